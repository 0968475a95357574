"""Products of a file's own codes on GPUs: integer tensor cores, zero points taken off in i32, run by the emulator.

Oracles: the host, whose integers are NumPy's and onnxruntime's (test_quantized_graphs.py), and what onnxruntime
computed of real exports.
"""

import json

import numpy as np
import pytest
import qopt
from conftest import NO_ASSEMBLER
from e2e.test_cuda_zoo import compared
from e2e.test_quantized_graphs import (
    COLUMNS,
    ROWS,
    TYPES,
    X_SCALE,
    Y_SCALE,
    Y_ZERO,
    Weight,
    dynamic_nodes,
    quantize_dynamically,
    reference,
    write,
)
from onnx import TensorProto, helper, numpy_helper
from test_zoo import largest_difference, load

TOKENS = (1, 3, 19, 70)  # a token alone, one tile of tokens, several, and gemm's


def compiled(tool, path, arch="sm_90a"):
    artifact = path.with_suffix(".qopt")
    tool("qopt-compile", path, "--target", "cuda", "--arch", arch, "-o", artifact, environment=NO_ASSEMBLER)
    return artifact


def kernels(tool, path, arch="sm_90a"):
    """Names of the kernels that the model launches."""
    options = ("--target", "cuda", "--arch", arch, "--emit", "kernels")
    text = tool("qopt-compile", path, *options, environment=NO_ASSEMBLER).stdout
    return [word.rstrip(":") for line in text.splitlines() for word in line.split() if word.endswith(":")]


def emulated(tool, artifact, x):
    folder = artifact.parent
    np.savez(folder / "in.npz", x=x)
    arrays = ("--inputs", folder / "in.npz", "--outputs", folder / "out.npz")
    tool("qopt-run", artifact, "--device", "emulator", *arrays)
    return np.load(folder / "out.npz")["y"]


def on_host(path):
    qopt.compile(path, path.with_suffix(".host.qopt"))
    return qopt.load(path.with_suffix(".host.qopt"))


def values(rows):
    return np.random.default_rng(2).standard_normal((rows, COLUMNS)).astype(np.float32) + np.float32(0.4)


@pytest.mark.parametrize(("per_channel", "arch"), [(False, "sm_90a"), (True, "sm_90a"), (True, "sm_80")])
def test_dynamic_quantization_has_the_bits_of_the_host(tool, tmp_path, per_channel, arch):
    path, weight = tmp_path / "model.onnx", Weight("s8", per_channel, zero=False)
    write(path, dynamic_nodes(None), weight.initializers())
    names = kernels(tool, path, arch)
    assert any(name.startswith(f"skinny_linear_{arch}_uint8_asym_int8_f32_m1_") for name in names), names
    assert any(name.startswith(f"gemm_{arch}_uint8_asym_int8_f32_") for name in names), names
    artifact, host = compiled(tool, path, arch), on_host(path)
    for rows in TOKENS:
        x = values(rows)
        codes, scale, offset = quantize_dynamically(x)
        got = emulated(tool, artifact, x)
        expected = ((codes - offset) @ weight.centred()).astype(np.float32) * (scale * weight.scale)
        np.testing.assert_array_equal(got, expected)
        np.testing.assert_array_equal(got, host.run({"x": x})["y"])


def test_the_host_in_the_order_of_a_gpu_has_its_bits(tool, tmp_path):
    """The sum is exact on both, and what follows it is rounded to 16 bits alike."""
    path, weight = tmp_path / "model.onnx", Weight("s8", True, zero=False)
    nodes = dynamic_nodes(None)[:-1]
    nodes += [helper.make_node("Mul", ["c", "f"], ["m"]), helper.make_node("Relu", ["m"], ["y"])]
    write(path, nodes, weight.initializers())
    artifact, ordered = compiled(tool, path), tmp_path / "ordered.qopt"
    tool("qopt-compile", path, "--sum-order", "sm_90a", "--activations", "f16", "-o", ordered)
    for rows in TOKENS:
        x = values(rows)
        got = emulated(tool, artifact, x)
        arrays = ("--inputs", tmp_path / "in.npz", "--outputs", tmp_path / "host.npz")
        tool("qopt-run", ordered, "--device", "host", *arrays)
        np.testing.assert_array_equal(got, np.load(tmp_path / "host.npz")["y"])


@pytest.mark.parametrize("per_channel", [False, True])
@pytest.mark.parametrize("x_kind", TYPES)
def test_operators_have_the_codes_of_the_file(tool, tmp_path, x_kind, per_channel):
    """QLinearMatMul: every code is onnxruntime's, of activations with a sign and without."""
    path, weight = tmp_path / "model.onnx", Weight("s8", per_channel, zero=False, bits=7)
    dtype, kind = TYPES[x_kind]
    node = helper.make_node("QLinearMatMul", ["x", "xs", "xz", "w", "ws", "wz", "ys", "yz"], ["y"])
    y_zero = Y_ZERO if x_kind == "u8" else Y_ZERO - 128
    arrays = {"xs": X_SCALE, "xz": dtype(100), "ys": Y_SCALE, "yz": dtype(y_zero)}
    initializers = weight.initializers() + [numpy_helper.from_array(np.asarray(a), n) for n, a in arrays.items()]
    write(path, [node], initializers, x=kind, y=kind)
    sign = "uint8" if x_kind == "u8" else "int8"
    assert any(name.startswith(f"skinny_linear_sm_90a_{sign}_asym_int8_f32_m8_") for name in kernels(tool, path))
    artifact, info = compiled(tool, path), np.iinfo(dtype)
    for rows in TOKENS:
        x = np.random.default_rng(rows).integers(info.min, info.max + 1, (rows, COLUMNS)).astype(dtype)
        np.testing.assert_array_equal(emulated(tool, artifact, x), reference(path, x))


@pytest.mark.parametrize("x_kind", TYPES)
def test_quantized_and_dequantized_operands_are_codes(tool, tmp_path, x_kind):
    """With a bias of 32-bit codes, which is an operand in 16 bits: at most a step from onnxruntime."""
    path, weight = tmp_path / "model.onnx", Weight("s8", True, zero=False, bits=7)
    dtype, _ = TYPES[x_kind]
    bias = np.random.default_rng(1).integers(-3000, 3000, ROWS).astype(np.int32)
    arrays = {"xs": X_SCALE, "xz": dtype(131 if x_kind == "u8" else -5), "b": bias, "bs": X_SCALE * weight.scale}
    arrays |= {"ys": Y_SCALE, "yz": np.uint8(Y_ZERO)}
    nodes = [
        helper.make_node("QuantizeLinear", ["x", "xs", "xz"], ["q"]),
        helper.make_node("DequantizeLinear", ["q", "xs", "xz"], ["dx"]),
        helper.make_node("DequantizeLinear", ["w", "ws", "wz"], ["dw"], axis=1),
        helper.make_node("DequantizeLinear", ["b", "bs"], ["db"], axis=0),
        helper.make_node("Gemm", ["dx", "dw", "db"], ["r"]),
        helper.make_node("QuantizeLinear", ["r", "ys", "yz"], ["y"]),
    ]
    initializers = weight.initializers() + [numpy_helper.from_array(np.asarray(a), n) for n, a in arrays.items()]
    write(path, nodes, initializers, y=TensorProto.UINT8)
    assert any("_asym_int8_" in name for name in kernels(tool, path))
    artifact = compiled(tool, path)
    for rows in TOKENS:
        x = values(rows)
        got, expected = emulated(tool, artifact, x), reference(path, x)
        difference = np.abs(got.astype(int) - expected.astype(int))
        assert len(np.unique(expected)) > 30 and difference.max() <= 1 and (difference != 0).mean() < 1e-2


@pytest.mark.parametrize("kind", ["s8", "u8"])
def test_zero_points_of_the_weight_are_written_out(tool, tmp_path, kind):
    """No kernel takes them off: the product is of 32-bit integers as before, exact, and the report says so."""
    path, weight = tmp_path / "model.onnx", Weight(kind, True, zero=True)
    write(path, dynamic_nodes(None), weight.initializers())
    assert not any("_asym_int8_" in name for name in kernels(tool, path))
    x = values(19)
    codes, scale, offset = quantize_dynamically(x)
    expected = ((codes - offset) @ weight.centred()).astype(np.float32) * (scale * weight.scale)
    np.testing.assert_array_equal(emulated(tool, compiled(tool, path), x), expected)
    check = tool("qopt-compile", path, "--target", "cuda", "--check", "--json", environment=NO_ASSEMBLER).stdout
    assert "no GPU kernel takes its zero points off" in json.dumps(json.loads(check))


# Of the largest golden value. Values of 16 bits between kernels change a code where a value is near the middle of two;
# the kernels that were generated ahead of these gave the same logits, as far from the goldens.
LIMIT = 0.1


@pytest.mark.parametrize("kind", ["ort-dynamic-int8", "qdq-int8", "qoperator-int8"])
def test_exports_give_what_onnxruntime_does(tool, shared, tmp_path, kind):
    source, artifact = shared / f"zoo/stories260k-{kind}", tmp_path / "m.qopt"
    graph = ("--as", "graph", "--target", "cuda")
    tool("qopt-compile", source, *graph, "-o", artifact, environment=NO_ASSEMBLER)
    text = tool("qopt-compile", source, *graph, "--emit", "kernels", environment=NO_ASSEMBLER).stdout
    assert text.count("_asym_int8_") >= 4
    for call in ("prefill", "decode"):
        golden = load(source / f"golden_{call}.npz")
        arrays = ("--inputs", source / f"golden_{call}.npz", "--outputs", tmp_path / "out.npz")
        tool("qopt-run", artifact, "--device", "emulator", *arrays)
        got, expected = compared("logits", golden, load(tmp_path / "out.npz"))
        assert largest_difference(got, expected) <= LIMIT, call
        np.testing.assert_array_equal(got.argmax(-1), expected.argmax(-1))
