"""Operators of com.microsoft that stand for several: compiled and run against onnxruntime, on the node itself where its
processor has it, else on the operators that it stands for, or against what its description computes."""

import math

import ml_dtypes
import numpy as np
import onnx
import pytest
import qopt
from conformance.test_microsoft_nodes import ANGLES, PAST, B, D, H, N, S, compiled, floats, integers, model_of, ort, rng
from onnx import TensorProto, helper

STEP = {"q": floats(B, 1, H), "k": floats(B, 1, H), "v": floats(B, 1, H)}
KEPT = {"k": floats(B, N, 6, D), "v": floats(B, N, 6, D)}
PLACES = {"p": rng.integers(0, 20, (3, B, S))}
X = {"x": floats(B, S, H)}
# (operator, operands, inputs, constants, results, attributes), of which onnxruntime's processor has a kernel
CASES = {
    "step-across": (
        "DecoderMaskedMultiHeadAttention",
        "q k v",
        {"q": STEP["q"]} | KEPT,
        {},
        "y",
        {"num_heads": N},
    ),
    "rotary-sections": (
        "MRotaryEmbedding",
        "x p c s",
        X | PLACES,
        ANGLES,
        "y",
        {"mrope_section": [1, 2, 1], "num_heads": N},
    ),
    "rotary-interleaved": (
        "MRotaryEmbedding",
        "x p c s",
        {"x": floats(B, N, S, D)} | PLACES,
        ANGLES,
        "y",
        {"mrope_section": [2, 1, 1], "mrope_layout": 1, "interleaved": 1},
    ),
    "rotary-part": (
        "MRotaryEmbedding",
        "x p c s",
        X | PLACES,
        {"c": floats(20, 2), "s": floats(20, 2)},
        "y",
        {"mrope_section": [1, 1, 0], "rotary_embedding_dim": 4, "num_heads": N},
    ),
}


def run(model, feeds):
    session = ort.InferenceSession(model.SerializeToString(), providers=["CPUExecutionProvider"])
    return session.run(None, feeds)


def node(op, operands, feeds, constants, results, **attributes):
    operands = ["" if operand == "-" else operand for operand in operands.split()]
    return model_of(op, operands, feeds, constants, results.split(), **attributes)


@pytest.mark.parametrize("name", CASES)
def test_node_equals_onnxruntime(name, tmp_path):
    op, operands, feeds, constants, results, attributes = CASES[name]
    model = node(op, operands, feeds, constants, results, **attributes)
    got = compiled(model, feeds, tmp_path)
    for result, values in zip(results.split(), run(model, feeds), strict=True):
        np.testing.assert_allclose(got[result], values, rtol=1e-5, atol=1e-5)


@pytest.mark.parametrize("has_bias", [False, True])
def test_a_step_is_attention_of_one_token(has_bias, tmp_path):
    """onnxruntime's own kernel wants keys in a shared buffer: its MultiHeadAttention with the same past."""
    mask, biases = {"m": integers([0, 1, 1, 1], [1] * 4)}, {"b": floats(3 * H)}
    feeds, constants = STEP | PAST | (mask if has_bias else {}), biases if has_bias else {}
    operands = (
        ("q k v m - pk pv - - - b", "q k v b m - pk pv") if has_bias else ("q k v - - pk pv", "q k v - - - pk pv")
    )
    model = node("DecoderMaskedMultiHeadAttention", operands[0], feeds, constants, "y ok ov", num_heads=N, scale=0.5)
    got = compiled(model, feeds, tmp_path)
    expected = run(node("MultiHeadAttention", operands[1], feeds, constants, "y ok ov", scale=0.5), feeds)
    for result, values in zip(("y", "ok", "ov"), expected, strict=True):
        np.testing.assert_allclose(got[result], values, rtol=1e-5, atol=1e-5)


def projection(name, rows, columns, bits=4, block=32):
    """Constants of a MatMulNBits."""
    packed = rng.integers(0, 256, (rows, columns // block, block * bits // 8)).astype(np.uint8)
    scales = (rng.random(rows * columns // block) / 50 + 0.01).astype(np.float32)
    return {f"{name}w": packed, f"{name}s": scales, f"{name}b": floats(rows)}


def composed(feeds, constants, nodes, results):
    inputs = [helper.make_tensor_value_info(n, TensorProto.FLOAT, v.shape) for n, v in feeds.items()]
    outputs = [helper.make_tensor_value_info(n, TensorProto.FLOAT, None) for n in results]
    held = [onnx.numpy_helper.from_array(v, n) for n, v in constants.items()]
    graph = helper.make_graph(nodes, "composed", inputs, outputs, held)
    opsets = [helper.make_opsetid("", 17), helper.make_opsetid("com.microsoft", 1)]
    return helper.make_model(graph, opset_imports=opsets, ir_version=8)


def normalized(skip, epsilon):
    """Nodes that make `n`, and `sum` where there is a skip."""
    ms = {"domain": "com.microsoft", "epsilon": epsilon}
    if skip:
        return [helper.make_node("SkipSimplifiedLayerNormalization", ["x", "r", "g"], ["n", "", "", "sum"], **ms)]
    return [helper.make_node("SimplifiedLayerNormalization", ["x", "g"], ["n"], axis=-1, epsilon=epsilon)]


def product(name, rows, columns, has_bias=True):
    operands = ["n", f"{name}w", f"{name}s", "", "", *([f"{name}b"] if has_bias else [])]
    sizes = {"N": rows, "K": columns, "bits": 4, "block_size": 32}
    return helper.make_node("MatMulNBits", operands, [name], domain="com.microsoft", **sizes)


def check_fused(fused, spelled, feeds, folder, results):
    got = compiled(fused, feeds, folder)
    for result, values in zip(results, run(spelled, feeds), strict=True):
        np.testing.assert_allclose(got[result], values, rtol=1e-4, atol=1e-4 * np.abs(values).max())


@pytest.mark.parametrize("skip", [False, True])
def test_products_of_queries_keys_and_values(skip, tmp_path, tool):
    feeds = {"x": floats(B, S, 64)} | ({"r": floats(B, S, 64)} if skip else {})
    constants = {"g": floats(64)} | projection("q", 64, 64) | projection("k", 32, 64) | projection("v", 32, 64)
    results = ["q", "k", "v", *(["sum"] if skip else [])]
    operands = f"x {'r' if skip else '-'} g qw qs qb kw ks - vw vs vb"
    sizes = {"Nq": 64, "Nkv": 32, "K": 64, "bits": 4, "block_size": 32, "epsilon": 1e-5}
    fused = node("MatMulNBitsQkv", operands, feeds, constants, " ".join(results), **sizes)
    nodes = [*normalized(skip, 1e-5), product("q", 64, 64), product("k", 32, 64, False), product("v", 32, 64)]
    check_fused(fused, composed(feeds, constants, nodes, results), feeds, tmp_path, results)
    shown = tool("qopt-inspect", tmp_path / "model.qopt", "--weights").stdout.split()
    assert shown.count("int4_g32_sf32") == 3


@pytest.mark.parametrize("form", ["plain", "norm", "skip"])
def test_products_of_a_gate(form, tmp_path):
    skip = form == "skip"
    feeds = {"x" if form != "plain" else "n": floats(B, S, 64)} | ({"r": floats(B, S, 64)} if skip else {})
    constants = {"g": floats(64)} | projection("gate", 96, 64) | projection("up", 96, 64)
    results = ["y", *(["sum"] if skip else [])]
    first = {"plain": "n - -", "norm": "x - g", "skip": "x r g"}[form]
    sizes = {"N": 96, "K": 64, "bits": 4, "block_size": 32, "activation": "silu", "epsilon": 1e-6}
    operands = f"{first} gatew gates gateb upw ups upb"
    fused = node("MatMulNBitsMlp", operands, feeds, constants, " ".join(results), **sizes)
    nodes = [] if form == "plain" else normalized(skip, 1e-6)
    nodes += [
        product("gate", 96, 64),
        product("up", 96, 64),
        helper.make_node("Sigmoid", ["gate"], ["s"]),
        helper.make_node("Mul", ["gate", "s"], ["a"]),
        helper.make_node("Mul", ["a", "up"], ["y"]),
    ]
    check_fused(fused, composed(feeds, constants, nodes, results), feeds, tmp_path, results)


def of_sixteen_bits(op, names, x, constants, attributes, folder, tool):
    """y of a node whose A is f16, and the formats of its weights."""
    inputs = [helper.make_tensor_value_info("x", TensorProto.FLOAT16, x.shape)]
    outputs = [helper.make_tensor_value_info("y", TensorProto.FLOAT16, None)]
    held = [onnx.numpy_helper.from_array(v, n) for n, v in constants.items()]
    made = helper.make_node(
        op, ["" if n == "-" else n for n in names.split()], ["y"], domain="com.microsoft", **attributes
    )
    graph = helper.make_graph([made], "node", inputs, outputs, held)
    opsets = [helper.make_opsetid("", 23), helper.make_opsetid("com.microsoft", 1)]
    y = compiled(helper.make_model(graph, opset_imports=opsets, ir_version=11), {"x": x}, folder)["y"]
    return y, tool("qopt-inspect", folder / "model.qopt", "--weights").stdout.split()


def e4m3(*shape):
    return (rng.standard_normal(shape) * 3).astype(ml_dtypes.float8_e4m3fn)


@pytest.mark.parametrize("has_scale", [False, True])
def test_weights_of_fp8_in_blocks(has_scale, tmp_path, tool):
    w, scales, bias = e4m3(48, 256), (rng.random((48, 2)) / 9).astype(np.float32), floats(48).astype(np.float16)
    x = floats(3, 256).astype(np.float16)
    constants = {"w": w, "s": scales, "b": bias} | ({"xs": np.float32(0.02)} if has_scale else {})
    operands = f"x w s {'xs' if has_scale else '-'} b"
    got, formats = of_sixteen_bits("MatMulBlockQuantizedFp8Weight", operands, x, constants, {}, tmp_path, tool)
    read = x.astype(np.float32)
    if has_scale:
        step = np.float32(0.02)
        read = (read / step).clip(-448, 448).astype(ml_dtypes.float8_e4m3fn).astype(np.float32) * step
    wide = w.astype(np.float64) * scales.repeat(128, 1)
    np.testing.assert_allclose(got, read @ wide.T + bias, rtol=2e-3, atol=5e-3)
    assert "fp8_e4m3_g128_sf32" in formats


def test_weights_of_nvfp4(tmp_path, tool):
    codes = rng.integers(0, 16, (48, 128)).astype(np.uint8)
    numbers = np.array([0, 0.5, 1, 1.5, 2, 3, 4, 6], np.float32)
    values = np.concatenate([numbers, -numbers])[codes]
    scales, unit = np.abs(e4m3(48, 8).astype(np.float32)).astype(ml_dtypes.float8_e4m3fn), np.float32(0.01)
    constants = {"w": codes[:, 0::2] | codes[:, 1::2] << 4, "s": scales.view(np.uint8), "u": unit}
    x = floats(3, 128).astype(np.float16)
    got, formats = of_sixteen_bits("MatMulBlockQuantizedFp4Weight", "x w s u", x, constants, {}, tmp_path, tool)
    wide = values * scales.astype(np.float32).repeat(16, 1) * unit
    np.testing.assert_allclose(got, x.astype(np.float64) @ wide.T, rtol=2e-3, atol=5e-3)
    assert "nvfp4" in formats


@pytest.mark.parametrize("kind", [0, 1])
def test_weights_of_bitsandbytes(kind, tmp_path):
    """Blocks may go on in the next row."""
    feeds = {"x": floats(3, 48)}
    held = {"w": rng.integers(0, 256, 32 * 48 // 2).astype(np.uint8), "s": rng.random(32 * 48 // 64).astype(np.float32)}
    sizes = {"N": 32, "K": 48, "block_size": 64, "quant_type": kind}
    model = node("MatMulBnb4", "x w s", feeds, held, "y", **sizes)
    (expected,) = run(model, feeds)
    np.testing.assert_allclose(compiled(model, feeds, tmp_path)["y"], expected, rtol=1e-5, atol=1e-5)


@pytest.mark.parametrize("activation", ["NONE", "RELU", "GELU"])
def test_gemm_of_fp8(activation, tmp_path, tool):
    a, w, bias = e4m3(5, 64), e4m3(32, 64), floats(32)
    feeds, scales = {"x": a}, {"sa": np.array([0.1], np.float32), "sb": np.array([0.2], np.float32)}
    inputs = [helper.make_tensor_value_info("x", TensorProto.FLOAT8E4M3FN, a.shape)]
    held = [onnx.numpy_helper.from_array(v, n) for n, v in ({"w": w, "b": bias} | scales).items()]
    attributes = {"transB": 1, "alpha": 0.5, "beta": 2.0, "activation": activation, "dtype": 1}
    made = helper.make_node("GemmFloat8", ["x", "w", "b", "sa", "sb"], ["y"], domain="com.microsoft", **attributes)
    outputs = [helper.make_tensor_value_info("y", TensorProto.FLOAT, None)]
    opsets = [helper.make_opsetid("", 23), helper.make_opsetid("com.microsoft", 1)]
    graph = helper.make_graph([made], "node", inputs, outputs, held)
    got = compiled(helper.make_model(graph, opset_imports=opsets, ir_version=11), feeds, tmp_path)["y"]
    y = 0.5 * 0.1 * 0.2 * (a.astype(np.float64) @ w.astype(np.float64).T) + 2 * bias
    if activation == "RELU":
        y = np.maximum(y, 0)
    if activation == "GELU":
        y = y * 0.5 * (1 + np.vectorize(math.erf)(y / math.sqrt(2)))
    np.testing.assert_allclose(got, y, rtol=1e-5, atol=1e-5 * np.abs(y).max())


LENGTHS = [3, 1, 5]
STARTS = np.cumsum([0, *LENGTHS]).astype(np.int32)
OFFSETS = np.arange(15, dtype=np.int32).reshape(3, 5)  # of the padded form, which is not read


def sequences(x):
    return [x[begin:end] for begin, end in zip(STARTS[:-1], STARTS[1:], strict=True)]


@pytest.mark.parametrize("values", [H, 2 * H])
def test_tokens_without_padding(values, tmp_path):
    """Each sequence by itself is what onnxruntime's Attention gives for it."""
    x, w, b = floats(9, H), floats(H, 2 * H + values) / 5, floats(2 * H + values)
    sizes = {"num_heads": N, "qkv_hidden_sizes": [H, H, values]}
    feeds = {"x": x, "o": OFFSETS, "c": STARTS}
    got = compiled(node("PackedAttention", "x w b o c", feeds, {"w": w, "b": b}, "y", **sizes), feeds, tmp_path)["y"]
    for part, own in zip(sequences(x), sequences(got), strict=True):
        alone = {"x": part[None]}
        (expected,) = run(node("Attention", "x w b", alone, {"w": w, "b": b}, "y", **sizes), alone)
        np.testing.assert_allclose(own, expected[0], rtol=1e-5, atol=1e-5)


@pytest.mark.parametrize("packed", [False, True])
def test_heads_without_padding(packed, tmp_path):
    q, k, v, b = floats(9, H), floats(9, H), floats(9, H), floats(3 * H)
    feeds = {"c": STARTS, "o": OFFSETS}
    if packed:
        feeds["q"] = np.stack([part.reshape(9, N, D) for part in (q, k, v)], 2)
    else:
        feeds |= {"q": q, "k": k, "v": v}
    operands = "q - - b o c" if packed else "q k v b o c"
    model = node("PackedMultiHeadAttention", operands, feeds, {"b": b}, "y", num_heads=N, scale=0.4)
    got = compiled(model, feeds, tmp_path)["y"]
    for own, *parts in zip(sequences(got), sequences(q), sequences(k), sequences(v), strict=True):
        alone = dict(zip("qkv", (part[None] for part in parts), strict=True))
        (expected,) = run(node("MultiHeadAttention", "q k v b", alone, {"b": b}, "y", scale=0.4), alone)
        np.testing.assert_allclose(own, expected[0], rtol=1e-5, atol=1e-5)


def test_one_token_with_its_projection(tmp_path):
    """As onnxruntime's Attention with the same past."""
    x, w, b = {"x": floats(B, 1, H)}, floats(H, 3 * H) / 5, floats(3 * H)
    feeds = x | {"past": floats(2, B, N, 3, D), "l": np.array([3], np.int32)}
    constants = {"w": w, "b": b}
    model = node("DecoderMaskedSelfAttention", "x w b - past - l", feeds, constants, "y present", num_heads=N)
    got = compiled(model, feeds, tmp_path)
    given = {name: feeds[name] for name in ("x", "past")}
    expected = run(node("Attention", "x w b - past", given, constants, "y present", unidirectional=1), given)
    for result, values in zip(("y", "present"), expected, strict=True):
        np.testing.assert_allclose(got[result], values, rtol=1e-5, atol=1e-5)


def test_gemma_rotary(tmp_path):
    feeds = {"e": floats(B, S, D)} | {name: floats(B, N, S, D) for name in ("q", "qr", "k", "kr")}
    got = compiled(node("GemmaRotaryEmbedding", "e q qr k kr", feeds, {}, "y z"), feeds, tmp_path)
    sine, cosine = np.sin(feeds["e"])[:, None], np.cos(feeds["e"])[:, None]
    np.testing.assert_allclose(got["y"], feeds["q"] * cosine + feeds["qr"] * sine, rtol=1e-5, atol=1e-5)
    np.testing.assert_allclose(got["z"], feeds["k"] * cosine + feeds["kr"] * sine, rtol=1e-5, atol=1e-5)


def bucket(distance, count, farthest, bidirectional):
    """T5's, of one distance of a key from its query."""
    own = count // 2 if bidirectional else count
    side = own if bidirectional and distance > 0 else 0
    size = abs(distance) if bidirectional else max(-distance, 0)
    exact = own // 2
    if size < exact:
        return side + size
    shared = exact + int(math.log(size / exact) / math.log(farthest / exact) * (own - exact))
    return side + min(shared, own - 1)


@pytest.mark.parametrize("bidirectional", [0, 1])
def test_relative_positions(bidirectional, tmp_path):
    count, farthest, length = 8, 20, 40
    table = floats(count, N)
    held = {"t": np.ascontiguousarray(table.T).reshape(count, N), "first": np.array([0], np.int64)}  # by the optimizer
    nodes = [
        helper.make_node("Shape", ["x"], ["sizes"]),
        helper.make_node("Gather", ["sizes", "first"], ["l"]),
        helper.make_node(
            *("RelativePositionBias", ["t", "l", "l"], ["y"]),
            domain="com.microsoft",
            max_distance=farthest,
            is_bidirectional=bidirectional,
        ),
    ]
    feeds = {"x": floats(length)}
    got = compiled(composed(feeds, held, nodes, ["y"]), feeds, tmp_path)["y"]
    rows = [[bucket(key - query, count, farthest, bidirectional) for key in range(length)] for query in range(length)]
    np.testing.assert_array_equal(got[0], table[np.array(rows)].transpose(2, 0, 1))


def test_gated_relative_positions(tmp_path):
    feeds = {"q": floats(B, S, H), "r": floats(1, N, S, S)}
    held = {"qb": floats(H), "w": floats(D, 6), "b": floats(6), "e": floats(1, N, 1, 1)}
    got = compiled(node("GatedRelativePositionBias", "q qb r w b e", feeds, held, "y", num_heads=N), feeds, tmp_path)[
        "y"
    ]
    q = (feeds["q"] + held["qb"]).reshape(B, S, N, D).transpose(0, 2, 1, 3)
    gates = (q @ held["w"] + held["b"]).reshape(B, N, S, 2, 3).sum(-1)
    u, r = np.split(1 / (1 + np.exp(-gates)), 2, -1)
    np.testing.assert_allclose(got, (u * (r * held["e"] - 1) + 2) * feeds["r"], rtol=1e-5, atol=1e-5)


@pytest.mark.parametrize(
    "op, operands, attributes, says",
    [
        ("MatMulNBitsMlp", "x - g w s - w s", {"activation": "tanh", "N": 8, "K": 32}, 'activation "tanh"'),
        ("MatMulNBitsMlp", "x x - w s - w s", {"activation": "silu", "N": 8, "K": 32}, "a skip and no norm_scale"),
        ("MatMulNBitsQkv", "x - g w s - w s", {"Nq": 8, "Nkv": 8, "K": 32}, "input 9 is absent"),
        ("MRotaryEmbedding", "x p c c", {"mrope_section": [1, 1, 1]}, "add up to the cache's 4 columns"),
        ("MRotaryEmbedding", "x p c c", {"mrope_section": [2, 1, 1], "mrope_layout": 2}, "mrope_layout is 2"),
        ("RelativePositionBias", "c p p", {"max_distance": 3}, "max_distance is 3"),
        ("PackedAttention", "x w s p p x", {"num_heads": 1}, "attention_bias"),
        ("PackedMultiHeadAttention", "x x - - p p", {"num_heads": 1}, "not both there"),
        ("DecoderMaskedMultiHeadAttention", "x x x - - - - p", {"num_heads": 1}, "input 7"),
        ("GemmFloat8", "x x - - - s", {}, "scaleY"),
        ("MatMulBlockQuantizedFp4Weight", "x x x s", {}, "packed codes must be constants"),
        ("MatMulBnb4", "x w s", {"N": 8, "K": 32, "block_size": 16, "quant_type": 2}, "quant_type 2"),
        ("MatMulBnb4", "x w s", {"N": 8, "K": 31, "block_size": 16, "quant_type": 1}, "do not divide the 8 x 31"),
        ("MatMulBnb4", "x w s", {"N": 8, "K": 64, "block_size": 16, "quant_type": 1}, "other bytes than the 256"),
        ("PagedAttention", "x x x", {}, "GroupQueryAttention"),
        ("SparseAttention", "x x x", {}, "dense attention"),
        ("MatMulFpQ4", "x x x", {}, "MatMulNBits"),
    ],
)
def test_what_is_refused(op, operands, attributes, says, tmp_path):
    feeds = {"x": floats(2, 32), "p": np.array([0, 1], np.int64)}
    constants = {
        "g": floats(32),
        "w": np.zeros((8, 1, 16), np.uint8),
        "s": floats(8),
        "c": floats(20, 4),
    }
    onnx.save(node(op, operands, feeds, constants, "y", **attributes), tmp_path / "model.onnx")
    with pytest.raises(qopt.Error, match=says):
        qopt.compile(tmp_path / "model.onnx", tmp_path / "model.qopt", as_="graph")
    assert not (tmp_path / "model.qopt").exists()
