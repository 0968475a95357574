"""Single operators of com.microsoft, compiled and run, against onnxruntime on random numbers."""

import ml_dtypes
import numpy as np
import onnx
import pytest
import qopt
from onnx import helper

ort = pytest.importorskip("onnxruntime")

B, S, T, N, D, P = 2, 5, 6, 4, 8, 3
H = N * D


def model_of(op, operands, feeds, constants, results, **attributes):
    """One node; `operands` are names in order, "" where one is left out."""
    if op in ("Attention", "MultiHeadAttention", "QAttention"):
        attributes["num_heads"] = N
    node = helper.make_node(op, operands, results, domain="com.microsoft", **attributes)
    inputs = [
        helper.make_tensor_value_info(name, helper.np_dtype_to_tensor_dtype(value.dtype), value.shape)
        for name, value in feeds.items()
    ]
    kinds = {"index": onnx.TensorProto.INT32}
    outputs = [helper.make_tensor_value_info(name, kinds.get(name, onnx.TensorProto.FLOAT), None) for name in results]
    used = {name: np.asarray(value) for name, value in constants.items() if name in operands}
    initializers = [onnx.numpy_helper.from_array(value, name) for name, value in used.items()]
    graph = helper.make_graph([node], "node", inputs, outputs, initializers)
    opsets = [helper.make_opsetid("", 17), helper.make_opsetid("com.microsoft", 1)]
    return helper.make_model(graph, opset_imports=opsets, ir_version=8)


def compiled(model, feeds, folder):
    onnx.save(model, folder / "model.onnx")
    qopt.compile(folder / "model.onnx", folder / "model.qopt", as_="graph", activations="f32", threads=1)
    return qopt.load(folder / "model.qopt").run(feeds)


rng = np.random.default_rng(1)


def floats(*shape):
    return rng.standard_normal(shape).astype(np.float32)


def integers(*rows):
    return np.array(rows, np.int32)


def codes(dtype, low, high, *shape):
    return rng.integers(low, high, shape).astype(dtype)


X = {"x": floats(B, S, H)}
# Codes of 7 bits, whose products onnxruntime does not saturate.
CODES = {"x": codes(np.uint8, 0, 128, B, S, H)}
CODED = {
    "w": codes(np.int8, -64, 64, H, 3 * H),
    "b": floats(3 * H),
    "xs": np.float32(0.03),
    "xz": np.uint8(70),
}
EACH = CODED | {"ws": np.full(3 * H, 0.004, np.float32) + np.arange(3 * H, dtype=np.float32) / 50_000}
ALL = CODED | {"ws": np.float32(0.005), "wz": np.int8(3)}
PROJECTION = {"w": floats(H, 3 * H) / 5, "b": floats(3 * H)}
WIDER = {"w": floats(H, 4 * H) / 5, "b": floats(4 * H)}
QKV = {"q": floats(B, S, H), "k": floats(B, T, H), "v": floats(B, T, H)}
SELF = {"q": floats(B, S, H), "k": floats(B, S, H), "v": floats(B, S, H)}
PAST = {"pk": floats(B, N, P, D), "pv": floats(B, N, P, D)}
CACHED = {"q": floats(B, S, H), "k": floats(B, N, T, D), "v": floats(B, N, T, D)}
TABLES = {"we": floats(20, H), "pe": floats(9, H), "se": floats(2, H), "g": floats(H), "be": floats(H)}
UNSEGMENTED = {name: value for name, value in TABLES.items() if name != "se"}
IDS = {"i": rng.integers(0, 20, (B, S)).astype(np.int32)}
ANGLES = {"c": floats(20, D // 2), "s": floats(20, D // 2)}
PLACES = {"p": rng.integers(0, 20, (B, S))}
LINES = {"i": rng.integers(0, 20, (B, S))}


def table(dtype, *shape):
    """Codes of a type of ml_dtypes, from numbers that all of them have."""
    return rng.integers(0, 4, shape).astype(np.float32).astype(dtype)


# (operator, operands, inputs, constants, results, attributes)
CASES = {
    "attention": ("Attention", "x w b", X, PROJECTION, "y", {}),
    "attention-causal": ("Attention", "x w b", X, PROJECTION, "y", {"unidirectional": 1}),
    "attention-lengths": ("Attention", "x w b m", X | {"m": np.array([3, 5], np.int32)}, PROJECTION, "y", {}),
    # The second sequence sees nothing: with the filter value all keys are equal.
    "attention-keys": (
        "Attention",
        "x w b m",
        X | {"m": integers([1, 0, 1, 1, 0], [0] * 5)},
        PROJECTION,
        "y",
        {"mask_filter_value": -1e9},
    ),
    "attention-pairs": (
        "Attention",
        "x w b m",
        X | {"m": rng.integers(0, 2, (B, S, S)).astype(np.int32)},
        PROJECTION,
        "y",
        {},
    ),
    "attention-past": (
        "Attention",
        "x w b m past",
        X | {"past": floats(2, B, N, P, D), "m": integers([0] + [1] * (P + S - 1), [1] * (P + S))},
        PROJECTION,
        "y present",
        {"unidirectional": 1},
    ),
    "attention-bias": ("Attention", "x w b - - a", X | {"a": floats(1, N, S, S)}, PROJECTION, "y", {"scale": 0.5}),
    "attention-wide-values": ("Attention", "x w b", X, WIDER, "y", {"qkv_hidden_sizes": [H, H, 2 * H]}),
    "codes": ("QAttention", "x w b xs ws - xz wz", CODES, ALL, "y", {"unidirectional": 1}),
    "codes-lengths": ("QAttention", "x w b xs ws m xz", CODES | {"m": np.array([3, 5], np.int32)}, EACH, "y", {}),
    "codes-keys": (
        "QAttention",
        "x w b xs ws m xz",
        CODES | {"m": integers([1, 0, 1, 1, 0], [1] * 5)},
        EACH,
        "y",
        {"mask_filter_value": -1e9},
    ),
    "codes-past": (
        "QAttention",
        "x w b xs ws - xz wz past",
        CODES | {"past": floats(2, B, N, P, D)},
        ALL,
        "y present",
        {"unidirectional": 1},
    ),
    "multi-head": ("MultiHeadAttention", "q k v", QKV, {}, "y", {}),
    "multi-head-bias": ("MultiHeadAttention", "q k v b", QKV, {"b": floats(3 * H)}, "y", {}),
    "multi-head-lengths": ("MultiHeadAttention", "q k v - m", QKV | {"m": np.array([3, 6], np.int32)}, {}, "y", {}),
    "multi-head-keys": (
        "MultiHeadAttention",
        "q k v - m",
        QKV | {"m": integers([1, 0, 1, 1, 0, 1], [1] * 6)},
        {},
        "y",
        {},
    ),
    "multi-head-cached": ("MultiHeadAttention", "q k v", CACHED, {}, "y", {}),
    "multi-head-past": ("MultiHeadAttention", "q k v - - - pk pv", SELF | PAST, {}, "y ok ov", {"unidirectional": 1}),
    "multi-head-presents": ("MultiHeadAttention", "q k v", SELF, {}, "y ok ov", {}),
    "multi-head-scores": ("MultiHeadAttention", "q k v - - a", QKV | {"a": floats(B, N, S, T)}, {}, "y", {}),
    "embed": (
        "EmbedLayerNormalization",
        "i t we pe se g be",
        IDS | {"t": rng.integers(0, 2, (B, S)).astype(np.int32)},
        TABLES,
        "y index sum",
        {"epsilon": 1e-6},
    ),
    "embed-mask": (
        "EmbedLayerNormalization",
        "i - we pe - g be m",
        IDS | {"m": integers([1, 1, 1, 0, 0], [1] * 5)},
        UNSEGMENTED,
        "y index",
        {},
    ),
    "embed-positions": (
        "EmbedLayerNormalization",
        "i - we pe - g be - p",
        IDS | {"p": rng.integers(0, 9, (B, S)).astype(np.int32)},
        UNSEGMENTED,
        "y index",
        {},
    ),
    "rows-2-bits": (
        "GatherBlockQuantized",
        "t i s",
        LINES,
        {"t": codes(np.uint8, 0, 256, 20, 8), "s": floats(20, 2)},
        "y",
        {"bits": 2, "block_size": 16},
    ),
    "rows-int4": (
        "GatherBlockQuantized",
        "t i s",
        LINES,
        {"t": table(ml_dtypes.int4, 20, 32), "s": floats(20, 2)},
        "y",
        {"block_size": 16, "quantize_axis": -1},
    ),
    # Without zero points unsigned elements have them at 0, which is no format of weights.
    "rows-uint4": (
        "GatherBlockQuantized",
        "t i s",
        LINES,
        {"t": table(ml_dtypes.uint4, 20, 32), "s": floats(20, 1)},
        "y",
        {"block_size": 32},
    ),
    "middle-axis-int4": (
        "GatherBlockQuantized",
        "t i s",
        LINES,
        {"t": table(ml_dtypes.int4, 3, 20, 32), "s": floats(3, 20, 2)},
        "y",
        {"block_size": 16, "gather_axis": 1, "quantize_axis": 2},
    ),
    "rotary": ("RotaryEmbedding", "x p c s", X | PLACES, ANGLES, "y", {}),
    "rotary-first": ("RotaryEmbedding", "x p c s", X | {"p": np.array([4])}, ANGLES, "y", {"interleaved": 1}),
    "rotary-heads": ("RotaryEmbedding", "x p c s", {"x": floats(B, N, S, D)} | PLACES, ANGLES, "y", {}),
    "rotary-part": (
        "RotaryEmbedding",
        "x p c s",
        X | PLACES,
        {"c": floats(20, 2), "s": floats(20, 2)},
        "y",
        {"rotary_embedding_dim": 4, "num_heads": N},
    ),
    "product": (
        "FusedMatMul",
        "a b",
        {"a": floats(2, 4, 3), "b": floats(2, 6, 4)},
        {},
        "y",
        {"transA": 1, "transB": 1, "alpha": 0.5},
    ),
}


@pytest.mark.parametrize("name", CASES)
def test_node_equals_onnxruntime(name, tmp_path):
    op, operands, feeds, constants, results, attributes = CASES[name]
    operands = ["" if operand == "-" else operand for operand in operands.split()]
    model = model_of(op, operands, feeds, constants, results.split(), **attributes)
    session = ort.InferenceSession(model.SerializeToString(), providers=["CPUExecutionProvider"])
    expected = session.run(None, feeds)
    got = compiled(model, feeds, tmp_path)
    for result, values in zip(results.split(), expected, strict=True):
        np.testing.assert_allclose(got[result], values, rtol=1e-5, atol=1e-5)


E, INNER = 4, 64  # experts, channels inside one
TOKENS = {"x": floats(5, H), "r": 2 * floats(5, E)}
EXPERTS = {"w1": floats(E, INNER, H) / 6, "b1": floats(E, INNER), "w2": floats(E, H, INNER) / 8, "b2": floats(E, H)}
GATED = EXPERTS | {"w1": floats(E, 2 * INNER, H) / 6, "b1": floats(E, 2 * INNER)}
GLU = {"activation_type": "swiglu", "swiglu_fusion": 1, "k": 2}
# (constants, attributes)
MIXTURES = {
    "relu": (EXPERTS, {"k": 2}),
    "normalized": (EXPERTS, {"k": 2, "normalize_routing_weights": 1, "activation_type": "gelu"}),
    "one": (EXPERTS, {"k": 1, "activation_type": "silu"}),
    "all": (EXPERTS, {"k": E, "activation_type": "identity"}),
    "swiglu": (GATED, GLU),
    "swiglu-limit": (GATED, GLU | {"activation_alpha": 1.702, "activation_beta": 1.0, "swiglu_limit": 0.7}),
}


def quantized(weights, bits, block):
    """Packed codes around their middle [E, N, K · bits / 8], and scales [E, N, K / block], or [E, N] where it is 0."""
    groups = weights.reshape(*weights.shape[:2], -1, block or weights.shape[2])
    middle = 2 ** (bits - 1)
    scales = np.abs(groups).max(-1) / (middle - 1)
    numbers = (np.rint(groups / scales[..., None]) + middle).astype(np.uint8).reshape(weights.shape)
    packed = numbers if bits == 8 else numbers[..., 0::2] | numbers[..., 1::2] << 4
    return packed, (scales if block else scales[..., 0]).astype(np.float32)


def against_onnxruntime(model, feeds, folder, most=1e-5):
    session = ort.InferenceSession(model.SerializeToString(), providers=["CPUExecutionProvider"])
    (expected,) = session.run(None, feeds)
    np.testing.assert_allclose(compiled(model, feeds, folder)["y"], expected, rtol=most, atol=most)


@pytest.mark.parametrize("name", MIXTURES)
def test_mixtures_of_experts(name, tmp_path):
    constants, attributes = MIXTURES[name]
    model = model_of("MoE", ["x", "r", "w1", "b1", "w2", "b2"], TOKENS, constants, ["y"], **attributes)
    against_onnxruntime(model, TOKENS, tmp_path)


@pytest.mark.parametrize("has_zeros", [False, True])
@pytest.mark.parametrize(("bits", "block"), [(4, 32), (4, 0), (8, 0)])
@pytest.mark.parametrize("name", ["relu", "normalized", "swiglu"])
def test_quantized_mixtures_of_experts(name, bits, block, has_zeros, tmp_path):
    floating, attributes = MIXTURES[name]
    constants = {"b1": floating["b1"], "b2": floating["b2"]}
    for key in ("w1", "w2"):
        constants[key], constants[f"s{key}"] = quantized(floating[key], bits, block)
    names = ["x", "r", "w1", "sw1", "b1", "w2", "sw2", "b2", "", "", ""]
    if has_zeros:
        for key in ("w1", "w2"):
            experts, rows, width = constants[key].shape
            blocks = width * 8 // bits // block if block else 0
            last = (rows, -(-blocks * bits // 8)) if block else (-(-rows * bits // 8),)
            constants[f"z{key}"] = codes(np.uint8, 0, 256, experts, *last)
        names += ["zw1", "zw2"]
    options = {"expert_weight_bits": bits, **({"block_size": block} if block else {})}
    model = model_of("QMoE", names, TOKENS, constants, ["y"], **attributes, **options)
    against_onnxruntime(model, TOKENS, tmp_path, 1e-4)


@pytest.mark.parametrize("name", [name for name in MIXTURES if name != "all"])
def test_experts_that_no_token_takes_are_not_computed(name, tmp_path):
    """What they would give is infinite, and 0 times that is no number."""
    constants, attributes = MIXTURES[name]
    is_last = np.arange(E) == E - 1
    huge = {key: np.where(is_last[:, None, None], np.float32(1e38), constants[key]) for key in ("w1", "w2")}
    feeds = TOKENS | {"r": np.where(is_last, np.float32(-50), TOKENS["r"])}
    names = ["x", "r", "w1", "b1", "w2", "b2"]
    against_onnxruntime(model_of("MoE", names, feeds, constants | huge, ["y"], **attributes), feeds, tmp_path)


@pytest.mark.parametrize(
    ("attributes", "says"),
    [
        ({"use_sparse_mixer": 1}, "use_sparse_mixer"),
        ({"activation_type": "geglu"}, 'the activation_type "geglu" is not supported; expected relu'),
        ({"activation_type": "swiglu"}, "swiglu with swiglu_fusion 0 without fc3"),
        ({"k": 9}, "k is 9; expected 1 to the 4 experts"),
    ],
)
def test_mixtures_that_are_refused(attributes, says, tmp_path):
    model = model_of("MoE", ["x", "r", "w1", "b1", "w2", "b2"], TOKENS, EXPERTS, ["y"], **attributes)
    with pytest.raises(qopt.Error, match=says):
        compiled(model, TOKENS, tmp_path)


def test_experts_without_weights_are_refused(tmp_path):
    model = model_of("MoE", ["x", "r", "w1", "b1"], TOKENS, EXPERTS, ["y"])
    with pytest.raises(qopt.Error, match="input 4 is absent; expected weights of experts"):
        compiled(model, TOKENS, tmp_path)


@pytest.mark.parametrize(
    ("changed", "says"),
    [
        ({"w1": floats(E, INNER, H + 1)}, r"input 2 has shape \[4, 64, 33\]; expected \[-1, -1, 32\]"),
        ({"b1": floats(E, INNER - 1)}, r"input 3 has shape \[4, 63\]; expected \[4, 64\]"),
        ({"w2": floats(E, H, INNER // 2)}, r"input 4 has shape \[4, 32, 32\]; expected \[-1, -1, 64\]"),
    ],
)
def test_experts_of_other_shapes_are_refused(changed, says, tmp_path):
    model = model_of("MoE", ["x", "r", "w1", "b1", "w2", "b2"], TOKENS, EXPERTS | changed, ["y"])
    with pytest.raises(qopt.Error, match=says):
        compiled(model, TOKENS, tmp_path)


@pytest.mark.parametrize("element", ["float8_e4m3fn", "float8_e5m2", "float4_e2m1fn"])
@pytest.mark.parametrize(("block", "scales"), [(16, (20, 2)), (16, (1, 2)), (32, (1, 1)), (0, (20, 1)), (0, (1, 1))])
def test_tables_of_floats(tmp_path, element, block, scales):
    """A scale for each block, for each row, for all: output = data · scale (com.microsoft's schema)."""
    constants = {"t": table(getattr(ml_dtypes, element), 20, 32), "s": floats(*scales)}
    attributes = {"block_size": block, "gather_axis": 0, "quantize_axis": 1}
    model = model_of("GatherBlockQuantized", ["t", "i", "s"], LINES, constants, ["y"], **attributes)
    model.opset_import[0].version, model.ir_version = 23, 11
    wide = np.repeat(constants["s"], 32 // scales[1], axis=1)
    expected = (constants["t"].astype(np.float32) * wide)[LINES["i"]]
    np.testing.assert_array_equal(compiled(model, LINES, tmp_path)["y"], expected)


def test_packed_projections_equal_those_apart(tmp_path):
    """onnxruntime has these forms on GPUs alone."""
    q, k, v = (floats(B, S, N, D) for _ in range(3))
    apart = {name: value.reshape(B, S, H) for name, value in zip("qkv", (q, k, v), strict=True)}
    node = model_of("MultiHeadAttention", ["q", "k", "v"], apart, {}, ["y"])
    expected = compiled(node, apart, tmp_path)["y"]
    all_three = {"q": np.stack([q, k, v], axis=3)}
    node = model_of("MultiHeadAttention", ["q"], all_three, {}, ["y"])
    np.testing.assert_array_equal(compiled(node, all_three, tmp_path)["y"], expected)
    two = {"q": apart["q"], "k": np.stack([k, v], axis=3)}
    node = model_of("MultiHeadAttention", ["q", "k"], two, {}, ["y"])
    np.testing.assert_array_equal(compiled(node, two, tmp_path)["y"], expected)


@pytest.mark.parametrize(
    ("name", "attributes", "says"),
    [
        ("attention", {"do_rotary": 1}, "do_rotary is not supported"),
        ("codes", {"do_rotary": 1}, "do_rotary"),
        ("rotary", {"scale": 2.0}, "a scale are not supported"),
    ],
)
def test_what_is_not_known_is_refused(name, attributes, says, tmp_path):
    op, operands, feeds, constants, results, others = CASES[name]
    operands = operands.replace("-", "").split(" ")
    model = model_of(op, operands, feeds, constants, results.split(), **others, **attributes)
    with pytest.raises(qopt.Error, match=says):
        compiled(model, feeds, tmp_path)
