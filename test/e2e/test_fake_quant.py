"""A model that qopt quantizes computes what the same model computes with weights that NumPy quantized and read back.

Integer codes, packed layouts and kernels on one side; plain f32 on the other. What differs is the order of sums.
"""

import math

import ml_dtypes
import numpy as np
import onnx
import pytest
from onnx import numpy_helper
from round_to_nearest import FLOATS, round_floats, round_to_nearest

# element, zero points, scale type; one scale a row, because 172 columns have no groups
FORMATS = {
    "int8": ("int8", None, np.float32),
    "int4": ("int4", None, np.float32),
    "int4_asym": ("int4", "integer", np.float32),
    "int8_asym": ("int8", "integer", np.float32),
    "int4_sf16": ("int4", None, np.float16),
    "int6": ("int6", None, np.float32),
    "int5_asym": ("int5", "integer", np.float32),
    "int3": ("int3", None, np.float32),
    "int3_asym_zf": ("int3", "float", np.float32),
    "int2": ("int2", None, np.float32),
    "int2_asym_sf16": ("int2", "integer", np.float16),
    "lut4": ("lut4", None, np.float32),
    "lut3_sf16": ("lut3", None, np.float16),
    "int4_restricted": ("int4_restricted", None, np.float32),
    "int8_full": ("int8_full", None, np.float32),
    "fp8_e4m3": ("fp8_e4m3", None, np.float32),
    "fp8_e5m2": ("fp8_e5m2", None, np.float32),
    "fp4_e2m1": ("fp4_e2m1", None, np.float32),
    "nf4_sbf16": ("nf4", None, ml_dtypes.bfloat16),
}


def fake_quantize(weight, name):
    """What the codes of W [N, K] stand for."""
    element, zero, scale_type = FORMATS[name]
    if element in FLOATS or element == "nf4":
        return round_floats(weight, element, weight.shape[1], scale_type)[2]
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


def fake_quantize_activations(x):
    """What int8 codes of blocks of 32 stand for."""
    blocks = x.reshape(len(x), -1, 32)
    scale = np.abs(blocks).max(axis=2, keepdims=True) / np.float32(127)
    return (np.rint(blocks / scale) * scale).reshape(x.shape)


@pytest.mark.parametrize("function", ["Gelu", "Relu"])
def test_codes_between_integer_linears(tool, tmp_path, function):
    """A linear, a function that writes codes, and a linear that reads them."""
    random = np.random.default_rng(9)
    first = random.standard_normal((64, 96)).astype(np.float32)
    second = random.standard_normal((96, 32)).astype(np.float32)
    nodes = [
        onnx.helper.make_node("MatMul", ["x", "first"], ["h"]),
        onnx.helper.make_node(function, ["h"], ["g"]),
        onnx.helper.make_node("MatMul", ["g", "second"], ["y"]),
    ]
    graph = onnx.helper.make_graph(
        nodes,
        "mlp",
        [onnx.helper.make_tensor_value_info("x", onnx.TensorProto.FLOAT, ["n", 64])],
        [onnx.helper.make_tensor_value_info("y", onnx.TensorProto.FLOAT, ["n", 32])],
        [numpy_helper.from_array(first, "first"), numpy_helper.from_array(second, "second")],
    )
    onnx.save(onnx.helper.make_model(graph, opset_imports=[onnx.helper.make_opsetid("", 20)]), tmp_path / "mlp.onnx")
    x = random.standard_normal((5, 64)).astype(np.float32)
    np.savez(tmp_path / "in.npz", x=x)
    tool("qopt-compile", tmp_path / "mlp.onnx", "--weights", "int8", "-o", tmp_path / "mlp.qopt")
    tool("qopt-run", tmp_path / "mlp.qopt", "--inputs", tmp_path / "in.npz", "--outputs", tmp_path / "out.npz")

    w = [np.ascontiguousarray(fake_quantize(np.ascontiguousarray(m.T), "int8").T) for m in (first, second)]
    h = fake_quantize_activations(x) @ w[0]
    erf = np.vectorize(math.erf)
    g = np.maximum(h, 0) if function == "Relu" else (h / 2 * (1 + erf(h / np.sqrt(2)))).astype(np.float32)
    expected = fake_quantize_activations(g) @ w[1]
    got = np.load(tmp_path / "out.npz")["y"]
    # A code on the edge between two may round to either: 1/127 of a value in one of 96 products.
    assert np.abs(got - expected).max() <= 2e-3 * np.abs(expected).max()
    unrounded = np.maximum(x @ first, 0) @ second
    assert function == "Gelu" or np.abs(got - unrounded).max() > 1e-3 * np.abs(expected).max()
