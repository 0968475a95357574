"""ONNX files with codes and scales of OCP's types are compiled as they are: DequantizeLinear of fp8 and fp4, with
scales of e8m0 or others, ahead of MatMul."""

import ml_dtypes
import numpy as np
import onnx
import pytest
from onnx import TensorProto, helper

TYPES = {
    "fp8_e4m3": (TensorProto.FLOAT8E4M3FN, ml_dtypes.float8_e4m3fn),
    "fp8_e5m2": (TensorProto.FLOAT8E5M2, ml_dtypes.float8_e5m2),
    "fp4_e2m1": (TensorProto.FLOAT4E2M1, ml_dtypes.float4_e2m1fn),
    "e8m0": (TensorProto.FLOAT8E8M0, ml_dtypes.float8_e8m0fnu),
    "f32": (TensorProto.FLOAT, np.float32),
}
ROWS, COLUMNS = 48, 96


def tensor(name, values, kind):
    raw = values.reshape(-1).view(np.uint8)
    if kind == "fp4_e2m1":
        raw = raw[0::2] | raw[1::2] << 4
    return helper.make_tensor(name, TYPES[kind][0], values.shape, raw.tobytes(), raw=True)


def random_codes(element, shape):
    values = np.random.default_rng(3).standard_normal(shape, dtype=np.float32)
    return (np.clip(values, -3, 3) * np.float32(2 if element == "fp4_e2m1" else 50)).astype(TYPES[element][1])


def write_model(path, codes, element, scales, scale, axis, block, transposed=True):
    """y = x . W with W [K, N] from DequantizeLinear, or the transpose of its [N, K]."""
    attributes = {"axis": axis, "block_size": block}
    if scale == "e8m0":
        attributes["output_dtype"] = TensorProto.FLOAT
    nodes = [helper.make_node("DequantizeLinear", ["w", "s"], ["d"], **attributes)]
    if not transposed:
        nodes.append(helper.make_node("Transpose", [nodes[-1].output[0]], ["t"], perm=[1, 0]))
    nodes.append(helper.make_node("MatMul", ["x", nodes[-1].output[0]], ["y"]))
    columns = codes.shape[0 if transposed else 1]
    x = helper.make_tensor_value_info("x", TensorProto.FLOAT, ["n", columns])
    y = helper.make_tensor_value_info("y", TensorProto.FLOAT, ["n", codes.shape[1 if transposed else 0]])
    weights = [tensor("w", codes, element), tensor("s", scales, scale)]
    graph = helper.make_graph(nodes, "g", [x], [y], weights)
    onnx.save(helper.make_model(graph, opset_imports=[helper.make_opsetid("", 25)], ir_version=12), path)


CASES = {
    "mxfp4": ("fp4_e2m1", "e8m0", 32),
    "fp8_e4m3_g32_se8m0": ("fp8_e4m3", "e8m0", 32),
    "fp8_e5m2_g96_sf32": ("fp8_e5m2", "f32", 96),
    "fp8_e4m3": ("fp8_e4m3", "f32", 0),
    "fp8_e5m2_tensor": ("fp8_e5m2", "f32", -1),
}


@pytest.mark.parametrize("transposed", [True, False])
@pytest.mark.parametrize("name", CASES)
def test_codes_are_those_of_the_file(tool, tmp_path, name, transposed):
    element, scale, block = CASES[name]
    codes = random_codes(element, (ROWS, COLUMNS))  # by rows of the product's result
    random = np.random.default_rng(4)
    if block < 0:
        scales, wide = np.float32(0.25).reshape(()), np.float32(0.25)
    else:
        count = COLUMNS // block if block else 1
        scales = np.exp2(random.integers(-9, -2, (ROWS, count))).astype(TYPES[scale][1])
        wide = scales.astype(np.float32).repeat(COLUMNS // count, 1)
        scales = scales if block else scales[:, 0]
    weight = codes.astype(np.float32) * wide
    file = (codes.T, scales.T) if transposed else (codes, scales)
    axis = (0 if transposed else 1) if block > 0 else (1 if transposed else 0)
    write_model(
        tmp_path / "m.onnx",
        np.ascontiguousarray(file[0]),
        element,
        np.ascontiguousarray(file[1]).reshape(file[1].shape),
        scale,
        axis,
        max(block, 0),
        transposed,
    )
    x = random.standard_normal((3, COLUMNS), dtype=np.float32)
    np.savez(tmp_path / "x.npz", x=x)
    tool("qopt-compile", tmp_path / "m.onnx", "--activations", "f32", "-o", tmp_path / "m.qopt")
    assert name in tool("qopt-inspect", tmp_path / "m.qopt", "--weights").stdout.split()
    tool("qopt-run", tmp_path / "m.qopt", "--inputs", tmp_path / "x.npz", "--outputs", tmp_path / "y.npz")
    expected = x.astype(np.float64) @ weight.T
    np.testing.assert_allclose(
        np.load(tmp_path / "y.npz")["y"], expected, rtol=1e-5, atol=1e-5 * np.abs(expected).max()
    )


def test_nvfp4(tool, tmp_path):
    """Scales of e4m3 come from a DequantizeLinear of their own, with the f32 of the matrix."""
    codes = random_codes("fp4_e2m1", (COLUMNS, ROWS))
    random = np.random.default_rng(4)
    scales = random.uniform(0.1, 400, (COLUMNS // 16, ROWS)).astype(ml_dtypes.float8_e4m3fn)
    write_model(tmp_path / "m.onnx", codes, "fp4_e2m1", scales, "fp8_e4m3", 0, 16)
    model = onnx.load(tmp_path / "m.onnx")
    model.graph.initializer.append(helper.make_tensor("unit", TensorProto.FLOAT, [], [0.003]))
    model.graph.node.insert(0, helper.make_node("DequantizeLinear", ["s", "unit"], ["wide"]))
    model.graph.node[1].input[1] = "wide"
    onnx.save(model, tmp_path / "m.onnx")
    wide = (np.float32(0.003) * scales.astype(np.float32)).repeat(16, 0)
    x = random.standard_normal((3, COLUMNS), dtype=np.float32)
    np.savez(tmp_path / "x.npz", x=x)
    tool("qopt-compile", tmp_path / "m.onnx", "--activations", "f32", "-o", tmp_path / "m.qopt")
    assert "nvfp4" in tool("qopt-inspect", tmp_path / "m.qopt", "--weights").stdout.split()
    tool("qopt-run", tmp_path / "m.qopt", "--inputs", tmp_path / "x.npz", "--outputs", tmp_path / "y.npz")
    expected = x.astype(np.float64) @ (codes.astype(np.float32) * wide)
    np.testing.assert_allclose(
        np.load(tmp_path / "y.npz")["y"], expected, rtol=1e-5, atol=1e-5 * np.abs(expected).max()
    )


def test_nan_codes_are_refused(tool, tmp_path):
    codes = random_codes("fp8_e4m3", (COLUMNS, ROWS))
    codes[5, 7] = np.nan
    write_model(tmp_path / "m.onnx", codes, "fp8_e4m3", np.full(ROWS, 0.5, np.float32), "f32", 1, 0)
    done = tool("qopt-compile", tmp_path / "m.onnx", "-o", tmp_path / "m.qopt", check=False)
    assert done.returncode and 'weight "w" has the code nan at row 7, column 5' in done.stderr


def test_powers_of_two_need_a_type_of_the_result(tool, tmp_path):
    codes = random_codes("fp4_e2m1", (COLUMNS, ROWS))
    scales = np.ones((COLUMNS // 32, ROWS), ml_dtypes.float8_e8m0fnu)
    write_model(tmp_path / "m.onnx", codes, "fp4_e2m1", scales, "e8m0", 0, 32)
    model = onnx.load(tmp_path / "m.onnx")
    del model.graph.node[0].attribute[-1]  # output_dtype
    onnx.save(model, tmp_path / "m.onnx")
    done = tool("qopt-compile", tmp_path / "m.onnx", "-o", tmp_path / "m.qopt", check=False)
    assert done.returncode and "float8e8m0" in done.stderr and "output_dtype" in done.stderr
