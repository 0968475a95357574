"""Constants of every size and kind mean what they say: few equal elements, of which the IR holds one, as well as many.

Each case is a model of a node or two with numpy's arithmetic beside it; it is compiled twice, to the same bytes.
"""

import numpy as np
import onnx
import pytest
from onnx import TensorProto as T
from onnx import helper, numpy_helper

RANDOM = np.random.default_rng(5)
node = helper.make_node


def compiled(tool, folder, nodes, inputs, constants, *options):
    """The artifact of a graph that returns y; `inputs` are example arrays whose first axis is free."""
    types = {array.dtype: helper.np_dtype_to_tensor_dtype(array.dtype) for array in inputs.values()}
    graph = helper.make_graph(
        nodes,
        "constants",
        [helper.make_tensor_value_info(k, types[v.dtype], ["n", *v.shape[1:]]) for k, v in inputs.items()],
        [helper.make_tensor_value_info("y", T.FLOAT, None)],
        [numpy_helper.from_array(value, name) for name, value in constants.items()],
    )
    opsets = [helper.make_opsetid("", 23), helper.make_opsetid("com.microsoft", 1)]
    folder.mkdir(exist_ok=True)
    onnx.save(helper.make_model(graph, opset_imports=opsets, ir_version=10), folder / "model.onnx")
    artifacts = []
    for name in ("first.qopt", "second.qopt"):
        tool("qopt-compile", folder / "model.onnx", "--as", "graph", *options, "-o", folder / name)
        artifacts.append((folder / name).read_bytes())
    assert artifacts[0] == artifacts[1], "two compilations give different bytes"
    return folder / "first.qopt"


def check(tool, folder, nodes, inputs, constants, expected, tolerance=1e-5, options=("--activations", "f32")):
    artifact = compiled(tool, folder, nodes, inputs, constants, *options)
    np.savez(folder / "in.npz", **inputs)
    tool("qopt-run", artifact, "--inputs", folder / "in.npz", "--outputs", folder / "out.npz")
    np.testing.assert_allclose(np.load(folder / "out.npz")["y"], expected, rtol=tolerance, atol=tolerance)


@pytest.mark.parametrize("shape", [(1, 1), (2, 2), (2, 4), (8, 1), (3, 3)])
@pytest.mark.parametrize("dtype", [np.float32, np.float16])
def test_matrix_of_equal_floats(tool, tmp_path, shape, dtype):
    """MatMul reads it transposed, a table of Gather as it is."""
    x = RANDOM.standard_normal((3, shape[0])).astype(np.float32)
    weight = np.full(shape, 0.375, dtype)
    cast = [node("Cast", ["x"], ["h"], to=helper.np_dtype_to_tensor_dtype(weight.dtype))]
    product = [*cast, node("MatMul", ["h", "w"], ["z"]), node("Cast", ["z"], ["y"], to=T.FLOAT)]
    wide = weight.astype(np.float32)
    check(tool, tmp_path / "product", product, {"x": x}, {"w": weight}, x @ wide, 1e-2 if dtype == np.float16 else 1e-5)
    rows = RANDOM.integers(0, shape[0], (4, 1))
    table = [node("Gather", ["w", "i"], ["z"]), node("Cast", ["z"], ["y"], to=T.FLOAT)]
    check(tool, tmp_path / "table", table, {"i": rows}, {"w": weight}, wide[rows])


def blocks(codes, scales, zeros):
    """The values of MatMulNBits' 4-bit codes [N, blocks, 16], as [N, blocks · 32]."""
    nibbles = np.stack([codes & 15, codes >> 4], -1).reshape(*codes.shape[:2], 32).astype(np.float32)
    return ((nibbles - zeros[..., None]) * scales[..., None]).reshape(len(codes), -1)


SCALES = {"equal": np.full(8, 0.05, np.float32), "different": RANDOM.random(8, np.float32) * 0.1}
ZEROS = {
    "none": None,
    "equal": np.full(8, 0x99, np.uint8),
    "different": RANDOM.integers(0, 256, 8, np.uint8),
    "equal fractions": np.full(8, 7.25, np.float32),
}


@pytest.mark.parametrize("zeros", ZEROS)
@pytest.mark.parametrize("scales", SCALES)
def test_blocks_with_equal_scales_or_zero_points(tool, tmp_path, scales, zeros):
    """Four rows of two blocks: eight scales; zero points are a byte for two blocks, or fractions."""
    x = RANDOM.standard_normal((2, 64)).astype(np.float32)
    codes = RANDOM.integers(0, 256, (4, 2, 16), np.uint8)
    constants = {"w": codes, "s": SCALES[scales]}
    zero = np.full((4, 2), 8, np.float32)
    if (stored := ZEROS[zeros]) is not None:
        packed = stored.dtype == np.uint8
        constants["z"] = stored[:4] if packed else stored
        zero = np.stack([stored[:4] & 15, stored[:4] >> 4], -1) if packed else stored.reshape(4, 2)
    names = ["x", *constants]
    product = node("MatMulNBits", names, ["y"], domain="com.microsoft", K=64, N=4, bits=4, block_size=32)
    weight = blocks(codes, SCALES[scales].reshape(4, 2), zero.astype(np.float32))
    check(tool, tmp_path, [product], {"x": x}, constants, x @ weight.T)


@pytest.mark.parametrize("zeros", ["none", "codes", "fractions"])
def test_blocks_of_two_bits(tool, tmp_path, zeros):
    """Four codes a byte, the first in the lowest bits, and so the zero points of a row; three blocks, the last
    short."""
    x = RANDOM.standard_normal((2, 80)).astype(np.float32)
    codes = RANDOM.integers(0, 256, (4, 3, 8), np.uint8)
    constants = {"w": codes, "s": RANDOM.random(12, np.float32)}
    zero = np.full((4, 3), 2, np.float32)
    if zeros == "codes":
        constants["z"] = RANDOM.integers(0, 64, 4, np.uint8)
        zero = (constants["z"][:, None] >> [0, 2, 4] & 3).astype(np.float32)
    elif zeros == "fractions":
        constants["z"] = RANDOM.random(12, np.float32) * 3
        zero = constants["z"].reshape(4, 3)
    numbers = (codes[..., None] >> [0, 2, 4, 6] & 3).reshape(4, 3, 32)
    weight = ((numbers - zero[..., None]) * constants["s"].reshape(4, 3, 1)).astype(np.float32).reshape(4, -1)[:, :80]
    names = ["x", *constants]
    product = node("MatMulNBits", names, ["y"], domain="com.microsoft", K=80, N=4, bits=2, block_size=32)
    check(tool, tmp_path, [product], {"x": x}, constants, x @ weight.T)


@pytest.mark.parametrize("zero", [None, 130])
def test_dequantized_blocks_with_equal_scales(tool, tmp_path, zero):
    """DequantizeLinear of [64, 4] with blocks along the first axis, stored transposed."""
    x = RANDOM.standard_normal((2, 64)).astype(np.float32)
    signed = zero is None
    codes = RANDOM.integers(-128 if signed else 0, 128 if signed else 256, (64, 4), np.int8 if signed else np.uint8)
    constants = {"w": codes, "s": np.full((2, 4), 0.05, np.float32)}
    if not signed:
        constants["z"] = np.full((2, 4), zero, np.uint8)
    nodes = [node("DequantizeLinear", [*constants], ["d"], axis=0, block_size=32), node("MatMul", ["x", "d"], ["y"])]
    weight = (codes.astype(np.float32) - (zero or 0)) * np.float32(0.05)
    check(tool, tmp_path, nodes, {"x": x}, constants, x @ weight, 1e-4)


@pytest.mark.parametrize("code", [0x88, 0x3C])
def test_table_of_equal_codes(tool, tmp_path, code):
    """One row of one block: eight equal bytes of codes and one scale."""
    constants = {"w": np.full((1, 8), code, np.uint8), "s": np.full((1, 1), 0.5, np.float32)}
    facts = {"bits": 4, "block_size": 16, "quantize_axis": 1, "gather_axis": 0}
    nodes = [node("GatherBlockQuantized", ["w", "i", "s"], ["y"], domain="com.microsoft", **facts)]
    row = np.tile(np.array([code & 15, code >> 4], np.float32) - 8, 8) * 0.5
    check(tool, tmp_path, nodes, {"i": np.zeros((3, 1), np.int64)}, constants, np.tile(row, (3, 1, 1)))


@pytest.mark.parametrize("op", ["LayerNormalization", "Gemm"])
def test_vectors_of_equal_halves(tool, tmp_path, op):
    """Kernels read vectors in f32; in f16 they are widened."""
    x = np.arange(8, dtype=np.float32)[None]
    vectors = {"w": np.full(8, 0.5, np.float16), "b": np.full(8, 0.25, np.float16)}
    if op == "Gemm":
        vectors["w"] = np.eye(8, dtype=np.float16)
        expected = x + 0.25
    else:
        expected = (x - x.mean()) / np.sqrt(x.var() + 1e-5) * 0.5 + 0.25
    half, single = {"to": T.FLOAT16}, {"to": T.FLOAT}
    nodes = [node("Cast", ["x"], ["h"], **half), node(op, ["h", "w", "b"], ["z"]), node("Cast", ["z"], ["y"], **single)]
    check(tool, tmp_path, nodes, {"x": x}, vectors, expected, 2e-3, options=())


@pytest.mark.parametrize("count", [1, 8, 255, 256, 257, 1024])
@pytest.mark.parametrize("kind", ["mixed", "all true", "other bytes"])
def test_booleans(tool, tmp_path, count, kind):
    """Masks of any length; a byte that is neither 0 nor 1 is true, as it is for onnxruntime."""
    mask = {
        "mixed": np.arange(count) % 3 == 0,
        "all true": np.ones(count, bool),
        "other bytes": (np.arange(count) % 3 * 2).astype(np.uint8).view(bool),
    }[kind]
    x = np.arange(2 * count, dtype=np.float32).reshape(2, count) + 1
    zero = np.array(-1, np.float32)
    expected = np.where(mask.view(np.uint8) != 0, x, zero)
    check(tool, tmp_path, [node("Where", ["m", "x", "z"], ["y"])], {"x": x}, {"m": mask, "z": zero}, expected)


def test_slice_of_a_large_mask(tool, tmp_path):
    """A causal mask of a fixed size, of which a model takes what it needs."""
    mask = np.tril(np.ones((32, 32), bool))
    nodes = [
        node("Shape", ["x"], ["length"], start=0, end=1),
        node("Slice", ["m", "start", "length", "axis"], ["part"]),
        node("Where", ["part", "x", "zero"], ["y"]),
    ]
    constants = {
        "m": mask,
        "start": np.array([0]),
        "axis": np.array([0]),
        "zero": np.array(0, np.float32),
    }
    x = np.ones((5, 32), np.float32)
    check(tool, tmp_path, nodes, {"x": x}, constants, np.where(mask[:5], x, 0))
