"""Single operators of com.microsoft, compiled and run, against onnxruntime on random numbers."""

import numpy as np
import onnx
import pytest
from onnx import helper

import qopt

ort = pytest.importorskip("onnxruntime")

B, S, T, N, D, P = 2, 5, 6, 4, 8, 3
H = N * D


def model_of(op, operands, feeds, constants, results, **attributes):
    """One node; `operands` are names in order, "" where one is left out."""
    if op in ("Attention", "MultiHeadAttention"):
        attributes["num_heads"] = N
    node = helper.make_node(op, operands, results, domain="com.microsoft", **attributes)
    inputs = [
        helper.make_tensor_value_info(name, helper.np_dtype_to_tensor_dtype(value.dtype), value.shape)
        for name, value in feeds.items()
    ]
    kinds = {"index": onnx.TensorProto.INT32}
    outputs = [helper.make_tensor_value_info(name, kinds.get(name, onnx.TensorProto.FLOAT), None) for name in results]
    initializers = [onnx.numpy_helper.from_array(value, name) for name, value in constants.items()]
    graph = helper.make_graph([node], "node", inputs, outputs, initializers)
    opsets = [helper.make_opsetid("", 17), helper.make_opsetid("com.microsoft", 1)]
    return helper.make_model(graph, opset_imports=opsets, ir_version=8)


def compiled(model, feeds, folder):
    onnx.save(model, folder / "model.onnx")
    qopt.compile(folder / "model.onnx", folder / "model.qopt", as_="graph", threads=1)
    return qopt.load(folder / "model.qopt").run(feeds)


rng = np.random.default_rng(1)


def floats(*shape):
    return rng.standard_normal(shape).astype(np.float32)


def integers(*rows):
    return np.array(rows, np.int32)


X = {"x": floats(B, S, H)}
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
        ("rotary", {"scale": 2.0}, "a scale are not supported"),
    ],
)
def test_what_is_not_known_is_refused(name, attributes, says, tmp_path):
    op, operands, feeds, constants, results, others = CASES[name]
    model = model_of(op, operands.split(), feeds, constants, results.split(), **others, **attributes)
    with pytest.raises(qopt.Error, match=says):
        compiled(model, feeds, tmp_path)
