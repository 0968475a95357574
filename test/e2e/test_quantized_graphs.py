"""Quantized graphs become linears of the file's codes: sums of integers without error, no dequantized copy of a weight.

Oracles: integer arithmetic of NumPy for every code there is, and onnxruntime for codes of 7 bits, whose products it
does not saturate on processors without VNNI.
"""

import json

import numpy as np
import onnx
import onnxruntime
import pytest
import qopt
from onnx import TensorProto, helper, numpy_helper

ROWS, COLUMNS, BATCH = 40, 172, 19  # no whole tile, no whole block
TYPES = {"u8": (np.uint8, TensorProto.UINT8), "s8": (np.int8, TensorProto.INT8)}
X_SCALE, Y_SCALE, Y_ZERO = np.float32(0.0371), np.float32(0.11), 117


class Weight:
    """Codes W [K, N] with a scale and a zero point for each of N, or for all."""

    def __init__(self, kind, per_channel, zero, bits=8):
        rng = np.random.default_rng(7)
        dtype = TYPES[kind][0]
        info, shape = np.iinfo(dtype), (ROWS if per_channel else ())
        middle = (info.min + info.max + 1) // 2
        self.codes = rng.integers(middle - 2 ** (bits - 1), middle + 2 ** (bits - 1), (COLUMNS, ROWS)).astype(dtype)
        self.scale = rng.uniform(1e-3, 1e-2, shape).astype(np.float32)
        offset = rng.integers(-9, 10, shape) if zero else np.zeros(shape, int)
        self.zero = (middle + offset).astype(dtype)

    def centred(self):
        return self.codes.astype(np.int64) - self.zero.astype(np.int64)

    def initializers(self):
        arrays = {"w": self.codes, "ws": self.scale, "wz": self.zero}
        return [numpy_helper.from_array(np.asarray(array), name) for name, array in arrays.items()]


def write(path, nodes, initializers, x=TensorProto.FLOAT, y=TensorProto.FLOAT, batch=("n",)):
    values = [
        helper.make_tensor_value_info("x", x, [*batch, COLUMNS]),
        helper.make_tensor_value_info("y", y, [*batch, ROWS]),
    ]
    graph = helper.make_graph(nodes, "g", values[:1], values[1:], initializers)
    opsets = [helper.make_opsetid("", 21), helper.make_opsetid("com.microsoft", 1)]
    onnx.save(helper.make_model(graph, opset_imports=opsets, ir_version=10), path)


def reference(path, x):
    options = onnxruntime.SessionOptions()
    options.graph_optimization_level = onnxruntime.GraphOptimizationLevel.ORT_DISABLE_ALL
    return onnxruntime.InferenceSession(path, options, ["CPUExecutionProvider"]).run(None, {"x": x})[0]


def compiled(tool, path, rows=ROWS):
    """The model, once its artifact has been seen to hold one linear of codes and nothing of their size beside it."""
    artifact = path.with_suffix(".qopt")
    tool("qopt-compile", path, "-o", artifact)
    found = json.loads(tool("qopt-inspect", artifact, "--json", "--weights").stdout)
    (function,) = found["functions"]
    assert function["kernels"]["linear"] == 1 and function["kernels"]["from_codes"] == 1
    (weight,) = found["weights"]["list"]
    assert (weight["rows"], weight["columns"], weight["layout"]) == (rows, COLUMNS, "HostTiledSums")
    assert weight["format"] in ("int8", "int8_asym")
    tiles, columns = -(-rows // 16), -(-COLUMNS // 32) * 32
    assert (
        weight["bytes"] <= tiles * 16 * (columns + 12) + tiles * 64
    )  # a code each; scale, zero point and sum of a row
    constants = sum(segment["bytes"] for segment in found["segments"] if segment["kind"] == "Constant")
    assert constants <= 4 * rows + 256  # a bias
    return qopt.load(artifact)


def dynamic_nodes(bias):
    nodes = [
        helper.make_node("DynamicQuantizeLinear", ["x"], ["q", "s", "z"]),
        helper.make_node("MatMulInteger", ["q", "w", "z", "wz"], ["p"]),
        helper.make_node("Cast", ["p"], ["c"], to=TensorProto.FLOAT),
        helper.make_node("Mul", ["s", "ws"], ["f"]),
        helper.make_node("Mul", ["c", "f"], ["y" if bias is None else "m"]),
    ]
    return nodes if bias is None else [*nodes, helper.make_node("Add", ["m", "b"], ["y"])]


def quantize_dynamically(x):
    """DynamicQuantizeLinear of ONNX's Operators.md, in f32."""
    low, high = min(x.min(), np.float32(0)), max(x.max(), np.float32(0))
    scale = np.float32((high - low) / np.float32(255))
    zero = np.clip(np.rint(-low / scale), 0, 255)
    return np.clip(np.rint(x / scale) + zero, 0, 255).astype(np.int64), scale, int(zero)


@pytest.mark.parametrize("has_bias", [False, True])
@pytest.mark.parametrize("zero", [False, True])
@pytest.mark.parametrize("per_channel", [False, True])
@pytest.mark.parametrize("kind", TYPES)
def test_dynamic_quantization_has_the_bits_of_the_file(tool, tmp_path, kind, per_channel, zero, has_bias):
    path = tmp_path / "model.onnx"
    bias = np.random.default_rng(1).standard_normal(ROWS).astype(np.float32) if has_bias else None
    x = np.random.default_rng(2).standard_normal((BATCH, COLUMNS)).astype(np.float32) + np.float32(0.4)
    for bits in (8, 7):
        weight = Weight(kind, per_channel, zero, bits)
        extra = [] if bias is None else [numpy_helper.from_array(bias, "b")]
        write(path, dynamic_nodes(bias), weight.initializers() + extra)
        model = compiled(tool, path)
        for rows in (1, 3, BATCH):
            got = model.run({"x": x[:rows]})["y"]
            codes, scale, offset = quantize_dynamically(x[:rows])
            product = ((codes - offset) @ weight.centred()).astype(np.float32)
            expected = product * (scale * weight.scale)
            expected = expected if bias is None else expected + bias
            np.testing.assert_array_equal(got, expected)
            if bits == 7:
                np.testing.assert_array_equal(got, reference(path, x[:rows]))


@pytest.mark.parametrize("op", ["MatMul", "Gemm", "Gemm transposed"])
@pytest.mark.parametrize("per_channel", [False, True])
@pytest.mark.parametrize(("x_kind", "w_kind", "zero"), [("u8", "s8", False), ("s8", "s8", True), ("u8", "u8", True)])
def test_quantized_and_dequantized_operands_are_codes(tool, tmp_path, x_kind, w_kind, zero, per_channel, op):
    path = tmp_path / "model.onnx"
    weight = Weight(w_kind, per_channel, zero, 7)
    if op == "Gemm transposed":
        weight.codes = np.ascontiguousarray(weight.codes.T)
    dtype, _ = TYPES[x_kind]
    x_zero = dtype(131 if x_kind == "u8" else -5)
    bias = np.random.default_rng(1).integers(-3000, 3000, ROWS).astype(np.int32)
    axis = 0 if op == "Gemm transposed" else 1
    nodes = [
        helper.make_node("QuantizeLinear", ["x", "xs", "xz"], ["q"]),
        helper.make_node("DequantizeLinear", ["q", "xs", "xz"], ["dx"]),
        helper.make_node("DequantizeLinear", ["w", "ws", "wz"], ["dw"], axis=axis),
        helper.make_node("DequantizeLinear", ["b", "bs"], ["db"], axis=0),
    ]
    if op == "MatMul":
        nodes += [helper.make_node("MatMul", ["dx", "dw"], ["m"]), helper.make_node("Add", ["m", "db"], ["r"])]
    else:
        nodes += [helper.make_node("Gemm", ["dx", "dw", "db"], ["r"], transB=int(axis == 0))]
    nodes += [helper.make_node("QuantizeLinear", ["r", "ys", "yz"], ["y"])]
    arrays = {
        "xs": X_SCALE,
        "xz": x_zero,
        "b": bias,
        "bs": X_SCALE * weight.scale,
        "ys": Y_SCALE,
        "yz": np.uint8(Y_ZERO),
    }
    initializers = weight.initializers() + [numpy_helper.from_array(np.asarray(a), n) for n, a in arrays.items()]
    write(path, nodes, initializers, y=TensorProto.UINT8)
    model = compiled(tool, path)
    x = np.random.default_rng(2).standard_normal((BATCH, COLUMNS)).astype(np.float32) * np.float32(1.5)
    got, expected = model.run({"x": x})["y"], reference(path, x)
    difference = np.abs(got.astype(int) - expected.astype(int))
    assert len(np.unique(expected)) > 60 and difference.max() <= 1 and (difference != 0).mean() < 1e-2


@pytest.mark.parametrize("per_channel", [False, True])
@pytest.mark.parametrize(("x_kind", "w_kind", "zero"), [("u8", "s8", False), ("u8", "u8", True), ("s8", "s8", False)])
def test_operators_have_the_codes_of_the_file(tool, tmp_path, x_kind, w_kind, zero, per_channel):
    path = tmp_path / "model.onnx"
    weight = Weight(w_kind, per_channel, zero, 7)
    dtype, onnx_type = TYPES[x_kind]
    nodes = [helper.make_node("QLinearMatMul", ["x", "xs", "xz", "w", "ws", "wz", "ys", "yz"], ["y"])]
    y_zero = Y_ZERO if x_kind == "u8" else Y_ZERO - 128
    arrays = {"xs": X_SCALE, "xz": dtype(100), "ys": Y_SCALE, "yz": dtype(y_zero)}
    initializers = weight.initializers() + [numpy_helper.from_array(np.asarray(a), n) for n, a in arrays.items()]
    write(path, nodes, initializers, x=onnx_type, y=onnx_type, batch=("m", "n"))
    model = compiled(tool, path)
    info = np.iinfo(dtype)
    x = np.random.default_rng(2).integers(info.min, info.max + 1, (3, BATCH, COLUMNS)).astype(dtype)
    expected = reference(path, x)
    assert len(np.unique(expected)) > 200
    np.testing.assert_array_equal(model.run({"x": x})["y"], expected)


@pytest.mark.parametrize("form", ["codes", "numbers", "transposed", "alpha"])
@pytest.mark.parametrize("per_channel", [False, True])
@pytest.mark.parametrize("kind", TYPES)
def test_quantized_gemm(tool, tmp_path, kind, per_channel, form):
    path, is_transposed = tmp_path / "model.onnx", form == "transposed"
    weight = Weight(kind, per_channel, kind == "u8", 7)
    if is_transposed:
        weight.codes = np.ascontiguousarray(weight.codes.T)
    bias = np.random.default_rng(1).integers(-3000, 3000, ROWS).astype(np.int32)
    arrays = {"xs": X_SCALE, "xz": np.uint8(100), "b": bias, "ys": Y_SCALE, "yz": np.uint8(Y_ZERO)}
    names = ["x", "xs", "xz", "w", "ws", "wz", "b", "ys", "yz"][: 7 if form == "numbers" else 9]
    alpha = 0.5 if form == "alpha" else 1.0
    node = helper.make_node("QGemm", names, ["y"], domain="com.microsoft", alpha=alpha, transB=int(is_transposed))
    initializers = weight.initializers() + [numpy_helper.from_array(np.asarray(a), n) for n, a in arrays.items()]
    y = TensorProto.FLOAT if form == "numbers" else TensorProto.UINT8
    write(path, [node], initializers, x=TensorProto.UINT8, y=y)
    x = np.random.default_rng(2).integers(0, 256, (BATCH, COLUMNS)).astype(np.uint8)
    if form == "alpha":  # no linear: the product is of numbers
        tool("qopt-compile", path, "-o", path.with_suffix(".qopt"))
        model = qopt.load(path.with_suffix(".qopt"))
    else:
        model = compiled(tool, path)
    got, expected = model.run({"x": x})["y"], reference(path, x)
    assert got.dtype == expected.dtype
    if form == "numbers":
        np.testing.assert_allclose(got, expected, rtol=1e-6, atol=1e-5)
    else:
        difference = np.abs(got.astype(int) - expected.astype(int))
        assert len(np.unique(expected)) > 100 and difference.max() <= 1 and (difference != 0).mean() < 1e-2


def test_products_of_two_inputs_stay_exact(tool, tmp_path):
    """No weight: the product is written out, and the same sums come of it."""
    path, kind = tmp_path / "model.onnx", TensorProto.UINT8
    node = helper.make_node("MatMulInteger", ["x", "w", "z"], ["y"])
    values = {"x": (kind, ["n", COLUMNS]), "w": (kind, [COLUMNS, ROWS]), "z": (kind, [])}
    values["y"] = (TensorProto.INT32, ["n", ROWS])
    infos = [helper.make_tensor_value_info(name, *value) for name, value in values.items()]
    graph = helper.make_graph([node], "g", infos[:3], infos[3:])
    onnx.save(helper.make_model(graph, opset_imports=[helper.make_opsetid("", 21)], ir_version=10), path)
    tool("qopt-compile", path, "-o", tmp_path / "model.qopt")
    rng = np.random.default_rng(4)
    x, w = (rng.integers(0, 256, shape).astype(np.uint8) for shape in ((BATCH, COLUMNS), (COLUMNS, ROWS)))
    got = qopt.load(tmp_path / "model.qopt").run({"x": x, "w": w, "z": np.uint8(77)})["y"]
    np.testing.assert_array_equal(got, (x.astype(np.int64) - 77) @ w.astype(np.int64))


@pytest.mark.parametrize("kind", ["ort-dynamic-int8", "ort-dynamic-uint8-pertensor", "qdq-int8", "qoperator-int8"])
def test_exports_keep_one_byte_a_weight(tool, shared, tmp_path, kind):
    """Every product with a constant matrix of codes is a linear, and the artifact has the codes of each once."""
    folder = shared / f"zoo/stories260k-{kind}"
    tool("qopt-compile", folder, "--as", "graph", "-o", tmp_path / "model.qopt")
    found = json.loads(tool("qopt-inspect", tmp_path / "model.qopt", "--json", "--weights").stdout)
    model = onnx.load(folder / "model.onnx").graph
    multiplied = {name for node in model.node if "MatMul" in node.op_type for name in node.input}
    dequantized = {
        node.input[0] for node in model.node if node.op_type == "DequantizeLinear" and node.output[0] in multiplied
    }
    matrices = [
        i for i in model.initializer if i.name in multiplied | dequantized and len(i.dims) == 2 and i.data_type != 1
    ]
    codes = [weight for weight in found["weights"]["list"] if weight["format"] in ("int8", "int8_asym")]
    assert len(matrices) >= 30
    assert sum(weight["parameters"] for weight in codes) == sum(int(np.prod(i.dims)) for i in matrices)
    assert all(weight["packed_bits"] < 14 for weight in codes)  # 64 columns of codes beside 12 bytes a row


@pytest.mark.parametrize("has_bias", [False, True])
@pytest.mark.parametrize("per_channel", [False, True])
@pytest.mark.parametrize("kind", TYPES)
@pytest.mark.parametrize("op", ["DynamicQuantizeMatMul", "MatMulIntegerToFloat"])
def test_products_that_onnxruntime_has_fused(tool, tmp_path, op, kind, per_channel, has_bias):
    path, dynamic = tmp_path / "model.onnx", op == "DynamicQuantizeMatMul"
    weight = Weight(kind, per_channel, kind == "u8", 7)
    rng = np.random.default_rng(1)
    arrays = {"xs": X_SCALE, "xz": np.uint8(100), "b": rng.standard_normal(ROWS).astype(np.float32)}
    names = ["x", "w", "ws", "wz"] if dynamic else ["x", "w", "xs", "ws", "xz", "wz"]
    names += ["b"] if has_bias else []
    extra = [numpy_helper.from_array(np.asarray(array), name) for name, array in arrays.items() if name in names]
    node = helper.make_node(op, names, ["y"], domain="com.microsoft")
    write(path, [node], weight.initializers() + extra, x=TensorProto.FLOAT if dynamic else TensorProto.UINT8)
    x = rng.standard_normal((BATCH, COLUMNS)) + 0.4 if dynamic else rng.integers(0, 256, (BATCH, COLUMNS))
    x = x.astype(np.float32 if dynamic else np.uint8)
    got = compiled(tool, path).run({"x": x})["y"]
    np.testing.assert_allclose(got, reference(path, x), rtol=1e-6, atol=1e-6)


@pytest.mark.parametrize("groups", [1, 2])
@pytest.mark.parametrize("per_channel", [False, True])
@pytest.mark.parametrize("op", ["ConvInteger", "QLinearConv"])
def test_convolutions_of_codes_are_exact(tmp_path, op, per_channel, groups):
    """x has padding, which is its zero point; strides and dilations differ by axis."""
    rng, outputs = np.random.default_rng(3), 6
    x = rng.integers(0, 256, (2, 4, 9, 11)).astype(np.uint8)
    shape = (outputs,) if per_channel else ()
    arrays = {
        "w": rng.integers(-64, 64, (outputs, 4 // groups, 3, 2)).astype(np.int8),
        "xs": X_SCALE,
        "xz": np.uint8(131),
        "ws": rng.uniform(1e-3, 1e-2, shape).astype(np.float32),
        "wz": np.int8(0) if op == "QLinearConv" else rng.integers(-9, 10, ()).astype(np.int8),
        "ys": np.float32(0.03),
        "yz": np.uint8(99),
        "b": rng.integers(-3000, 3000, outputs).astype(np.int32),
    }
    if per_channel and op == "QLinearConv":
        arrays["wz"] = np.zeros(outputs, np.int8)
    integer = op == "ConvInteger"
    names = ["x", "w", "xz", "wz"] if integer else ["x", "xs", "xz", "w", "ws", "wz", "ys", "yz", "b"]
    window = {"strides": [2, 1], "dilations": [1, 2], "pads": [1, 0, 2, 1], "group": groups}
    node = helper.make_node(op, names, ["y"], **window)
    infos = [
        helper.make_tensor_value_info("x", TensorProto.UINT8, ["n", *x.shape[1:]]),
        helper.make_tensor_value_info("y", TensorProto.INT32 if integer else TensorProto.UINT8, None),
    ]
    initializers = [numpy_helper.from_array(np.asarray(a), name) for name, a in arrays.items() if name in names]
    graph = helper.make_graph([node], "g", infos[:1], infos[1:], initializers)
    path = tmp_path / "model.onnx"
    onnx.save(helper.make_model(graph, opset_imports=[helper.make_opsetid("", 21)], ir_version=10), path)
    qopt.compile(path, tmp_path / "model.qopt")
    got, expected = qopt.load(tmp_path / "model.qopt").run({"x": x})["y"], reference(path, x)
    assert got.dtype == expected.dtype and len(np.unique(expected)) > 100
    np.testing.assert_array_equal(got, expected)
