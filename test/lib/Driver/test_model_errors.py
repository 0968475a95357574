"""What qopt-compile says of a model that is read but cannot be compiled: the node, what it has, and the next step."""

import numpy as np
import onnx
import onnxruntime
import pytest
from onnx import TensorProto, helper, numpy_helper

BAD_MODEL, UNSUPPORTED, NOT_FOUND = 3, 4, 9
DOUBLES = np.linspace(-3, 3, 24).reshape(3, 8)
WEIGHT = np.linspace(0.5, 1.5, 8)


def save(path, nodes, constants, x=TensorProto.FLOAT, shape=("n", 8)):
    """y of x, through the nodes."""
    constants = [numpy_helper.from_array(np.asarray(value), name) for name, value in constants.items()]
    inputs = [helper.make_tensor_value_info("x", x, list(shape))]
    graph = helper.make_graph(nodes, "main", inputs, [onnx.ValueInfoProto(name="y")], constants)
    model = helper.make_model(graph, opset_imports=[helper.make_opsetid("", 23)], ir_version=10)
    onnx.save(model, path)
    return path


def refused(tool, code, model, *options):
    done = tool("qopt-compile", model, "-o", model.parent / "m.qopt", *options, check=False)
    assert done.returncode == code and done.stderr.startswith("error: "), (done.returncode, done.stderr)
    return done.stderr


def test_a_plain_graph_is_not_blamed_for_being_none(tool, tmp_path):
    """That a model is no decoder is told where a decoder was asked for."""
    nodes = [helper.make_node("NonZero", ["x"], ["y"], name="the_node")]
    model = save(tmp_path / "model.onnx", nodes, {})
    message = refused(tool, UNSUPPORTED, model)
    assert 'node "the_node" (NonZero)' in message and "decoder" not in message
    message = refused(tool, UNSUPPORTED, model, "--as", "decoder")
    assert "no decoder: it has no input of token ids (input_ids)" in message


def quantized(scale, per_column=False):
    names = ["x", "scale", "zero"]
    axis = {"axis": 1} if per_column else {}
    nodes = [
        helper.make_node("QuantizeLinear", names, ["codes"], name="round", **axis),
        helper.make_node("DequantizeLinear", ["codes", *names[1:]], ["d"], name="widen", **axis),
        helper.make_node("MatMul", ["d", "w"], ["y"], name="product"),
    ]
    scale = np.asarray(scale, np.float32)
    return nodes, {"scale": scale, "zero": np.zeros(scale.shape, np.int8), "w": np.ones((8, 8), np.float32)}


@pytest.mark.parametrize(("value", "spelt"), [(np.inf, "infinity"), (np.nan, "nan"), (0.0, "0")])
def test_scales_of_activations(tool, tmp_path, value, spelt):
    """All nodes that no scale fits are named; an element of a vector by its place."""
    message = refused(tool, BAD_MODEL, save(tmp_path / "model.onnx", *quantized(value)))
    for node in ('"round" (QuantizeLinear, opset 23)', '"widen" (DequantizeLinear, opset 23)'):
        reason = f'its scale "scale" has the value {spelt} at element 0; expected a finite number other than 0'
        assert f"node {node}: {reason}" in message
    row = np.ones(8, np.float32)
    row[5] = value
    message = refused(tool, BAD_MODEL, save(tmp_path / "model.onnx", *quantized(row, per_column=True)))
    assert f"has the value {spelt} at element 5" in message
    row[5] = 0.5
    tool("qopt-compile", save(tmp_path / "model.onnx", *quantized(row, per_column=True)), "-o", tmp_path / "m.qopt")


@pytest.mark.parametrize(("value", "spelt"), [(np.inf, "infinity"), (np.nan, "nan"), (0.0, None)])
def test_scales_of_constant_codes(tool, tmp_path, value, spelt):
    """A weight of zeros may have a scale of 0."""
    nodes = [
        helper.make_node("DequantizeLinear", ["codes", "scale"], ["w"], name="widen"),
        helper.make_node("MatMul", ["x", "w"], ["y"], name="product"),
    ]
    constants = {"codes": np.ones((8, 8), np.int8), "scale": np.float32(value)}
    model = save(tmp_path / "model.onnx", nodes, constants)
    if spelt:
        message = refused(tool, BAD_MODEL, model)
        assert f'node "widen" (DequantizeLinear, opset 23): its scale "scale" has the value {spelt}' in message
    else:
        tool("qopt-compile", model, "-o", tmp_path / "m.qopt")


ATTENTION = [
    helper.make_node("Transpose", ["x"], ["k"], perm=[0, 1, 3, 2]),
    helper.make_node("MatMul", ["x", "k"], ["s"]),
    helper.make_node("Softmax", ["s"], ["p"], axis=-1),
    helper.make_node("MatMul", ["p", "x"], ["y"]),
]
COMPUTED = {
    **{op: ([helper.make_node(op, ["x"], ["y"])], {}) for op in ("Sigmoid", "Tanh", "Relu")},
    "silu": ([helper.make_node("Sigmoid", ["x"], ["s"]), helper.make_node("Mul", ["x", "s"], ["y"])], {}),
    "layer norm": ([helper.make_node("LayerNormalization", ["x", "w"], ["y"])], {"w": WEIGHT}),
    "attention": (ATTENTION, {}),
}


@pytest.mark.parametrize("name", COMPUTED)
def test_doubles(tool, tmp_path, name):
    """What qopt's own operations cannot compute stays what it is, and is as exact as elsewhere."""
    x = DOUBLES.reshape(1, 2, 3, 4) if name == "attention" else DOUBLES
    model = save(tmp_path / "model.onnx", *COMPUTED[name], x=TensorProto.DOUBLE, shape=("n", *x.shape[1:]))
    tool("qopt-compile", model, "-o", tmp_path / "m.qopt")
    np.savez(tmp_path / "in.npz", x=x)
    tool("qopt-run", tmp_path / "m.qopt", "--inputs", tmp_path / "in.npz", "--outputs", tmp_path / "out.npz")
    (expected,) = onnxruntime.InferenceSession(model).run(None, {"x": x})
    got = np.load(tmp_path / "out.npz")["y"]
    assert got.dtype == np.float64
    np.testing.assert_allclose(got, expected, rtol=1e-13, atol=1e-14)


def test_doubles_where_only_floats_do(tool, tmp_path):
    """The node, its operator, the type and the next step, and no word of the IR."""
    node = helper.make_node("Attention", ["x", "x", "x"], ["y"], name="the_node")
    model = save(tmp_path / "model.onnx", [node], {}, x=TensorProto.DOUBLE, shape=("n", 3, 2, 4))
    message = refused(tool, UNSUPPORTED, model)
    reason = "is not supported for f64; expected f32, f16 or bf16, export the model in one of them"
    assert f'node "the_node" (Attention): {reason}' in message and "tensor<" not in message


@pytest.mark.parametrize("program", ["qopt-compile", "qopt-run", "qopt-translate --import-onnx"])
def test_a_folder_of_other_models(tool, tmp_path, program):
    def said():
        done = tool(*program.split(), tmp_path, check=False)
        assert done.returncode == NOT_FOUND, done.stderr
        return done.stderr

    other = "holds neither an artifact" if "run" in program else "has no model.onnx and no other *.onnx; name the"
    assert other in said()
    for name in ("encoder", "decoder"):
        node = helper.make_node("Identity", ["x"], ["y"])
        save(tmp_path / f"{name}.onnx", [node], {})
    start = f'error: the folder "{tmp_path}" has no model.onnx, but it has "decoder.onnx", "encoder.onnx"'
    assert said() == f'{start}; name one of them, "{tmp_path}/decoder.onnx"\n'
    (tmp_path / "decoder.onnx").unlink()
    assert f'; name it, "{tmp_path}/encoder.onnx"' in said()
    for number in range(9):
        save(tmp_path / f"m{number}.onnx", [node], {})
    assert '"m6.onnx" and 2 more; name one of them' in said()
