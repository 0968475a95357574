"""A model that qopt quantizes computes what the same model computes with weights that NumPy quantized and read back.

Integer codes, packed layouts and kernels on one side; plain f32 on the other. What differs is the order of sums.
"""

import json

import numpy as np
import onnx
import pytest
from onnx import numpy_helper
from round_to_nearest import round_to_nearest

# element, group (0: a row), zero points, scale type
FORMATS = {
    "int8": ("int8", 0, None, np.float32),
    "int4": ("int4", 0, None, np.float32),
    "int4_asym": ("int4", 0, "integer", np.float32),
    "int8_asym": ("int8", 0, "integer", np.float32),
    "int4_g32": ("int4", 32, None, np.float16),
    "int4_asym_g32": ("int4", 32, "integer", np.float16),
}


def fake_quantize(weight, name):
    """What the codes of W [N, K] stand for."""
    element, group, zero, scale_type = FORMATS[name]
    return round_to_nearest(weight, element, group or weight.shape[1], zero, scale_type)[3]


def fake_quantized_copy(model, name, path):
    """The model with every matrix of a product and the tied embedding quantized and read back, in the file's type."""
    model = onnx.load(model)
    products = {i for node in model.graph.node if node.op_type == "MatMul" for i in node.input}
    for initializer in model.graph.initializer:
        if len(initializer.dims) != 2 or initializer.data_type not in (1, 10):
            continue
        stored = numpy_helper.to_array(initializer)
        weight = stored.astype(np.float32)
        by_rows = weight.T if initializer.name in products else weight
        quantized = fake_quantize(np.ascontiguousarray(by_rows), name)
        quantized = quantized.T if initializer.name in products else quantized
        copy = numpy_helper.from_array(np.ascontiguousarray(quantized, stored.dtype), initializer.name)
        initializer.CopyFrom(copy)
    onnx.save(model, path)


@pytest.mark.parametrize("name", [n for n, f in FORMATS.items() if f[1] == 0])
def test_logits_are_those_of_the_fake_quantized_model(tool, stories, tmp_path, name):
    fake_quantized_copy(stories / "model.onnx", name, tmp_path / "fake.onnx")
    tokens = np.random.default_rng(5).integers(3, 512, (2, 96)).astype(np.int32)
    np.save(tmp_path / "tokens.npy", tokens)
    logits = []
    for model, options in (
        (stories / "model.onnx", ["--weights", name, "--activations", "f32"]),
        (tmp_path / "fake.onnx", ["--tokenizer", stories / "tokenizer.json"]),
    ):
        artifact = tmp_path / "model.qopt"
        tool("qopt-compile", model, *options, "-o", artifact)
        tool("qopt-eval", artifact, "--tokens", tmp_path / "tokens.npy", "--save-logits", tmp_path / "logits.npy")
        logits.append(np.load(tmp_path / "logits.npy"))
    quantized, fake = logits
    assert np.abs(quantized - fake).max() <= 1e-4 * np.abs(fake).max()


@pytest.mark.parametrize("name", ["int4_g32", "int4_asym_g32"])
def test_perplexity_is_that_of_the_fake_quantized_model(tool, shared, tmp_path, name):
    folder = shared / "models/books-llama-28m"
    fake_quantized_copy(folder / "model.onnx", name, tmp_path / "fake.onnx")
    perplexity = []
    for model, options in (
        (folder / "model.onnx", ["--weights", name, "--activations", "f32"]),
        (tmp_path / "fake.onnx", ["--tokenizer", folder / "tokenizer.json"]),
    ):
        artifact = tmp_path / "model.qopt"
        tool("qopt-compile", model, *options, "-o", artifact)
        text = shared / "corpora/books_valid.txt"
        done = tool("qopt-eval", artifact, "--text", text, "--window", 256, "--windows", 4, "--json")
        perplexity.append(json.loads(done.stdout)["perplexity"])
    assert perplexity[0] == pytest.approx(perplexity[1], rel=0.002)


def test_int8_weights_are_close_to_the_file(tool, shared, tmp_path):
    folder = shared / "models/books-llama-28m"
    tool("qopt-compile", folder / "model.onnx", "-o", tmp_path / "reference.qopt")
    tool("qopt-compile", folder / "model.onnx", "--weights", "int8", "-o", tmp_path / "int8.qopt")
    text = ["--text", shared / "corpora/books_valid.txt", "--windows", 4]
    tool("qopt-eval", tmp_path / "int8.qopt", *text, "--reference", tmp_path / "reference.qopt", "--max-kl", 0.002)
