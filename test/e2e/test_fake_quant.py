"""A model that qopt quantizes computes what the same model computes with weights that NumPy quantized and read back.

Integer codes, packed layouts and kernels on one side; plain f32 on the other. What differs is the order of sums.
"""

import numpy as np
import onnx
import pytest
from onnx import numpy_helper
from round_to_nearest import round_to_nearest

# element, zero points, scale type; one scale a row, because 172 columns have no groups
FORMATS = {
    "int8": ("int8", None, np.float32),
    "int4": ("int4", None, np.float32),
    "int4_asym": ("int4", "integer", np.float32),
    "int8_asym": ("int8", "integer", np.float32),
    "int4_sf16": ("int4", None, np.float16),
}


def fake_quantize(weight, name):
    """What the codes of W [N, K] stand for."""
    element, zero, scale_type = FORMATS[name]
    return round_to_nearest(weight, element, weight.shape[1], zero, scale_type)[3]


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


@pytest.mark.parametrize("name", FORMATS)
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
