"""Operators of com.microsoft whose attributes say something else than their tensors have."""

import numpy as np
from hostile.graphs import model_entry
from onnx import TensorProto, helper, numpy_helper

from lib.Import.Onnx import tiny_models


def array(name, shape, dtype=np.float32):
    return numpy_helper.from_array(np.zeros(shape, dtype), name)


def contrib(op, inputs, arrays, dims=("n", 32), outputs=("y",), **attributes):
    made = helper.make_node(op, inputs, list(outputs), name="q", domain="com.microsoft", **attributes)
    given = [tiny_models.value("x", list(dims))]
    return tiny_models.model_of([made], given, list(outputs), arrays, domains=["com.microsoft"])


def matmul(n=8, k=32, bits=4, block=32, packed=(8, 1, 16), scales=8, zeros=None):
    arrays = [array("b", packed, np.uint8), array("s", scales)]
    if zeros is not None:
        arrays.append(array("z", zeros, np.uint8))
    inputs = ["x", *(a.name for a in arrays)]
    return contrib("MatMulNBits", inputs, arrays, K=k, N=n, bits=bits, block_size=block)


def bnb4(n=8, k=32, block=32, kind=1, bytes=128, scales=8):
    arrays = [array("b", bytes, np.uint8), array("s", scales)]
    return contrib("MatMulBnb4", ["x", "b", "s"], arrays, N=n, K=k, block_size=block, quant_type=kind)


def gate(n=8, k=32, scales=8, other=8):
    arrays = [array("b", (8, 1, 16), np.uint8), array("s", scales), array("t", other)]
    names = ["x", "", "", "b", "s", "", "b", "t"]
    return contrib("MatMulNBitsMlp", names, arrays, N=n, K=k, bits=4, block_size=32, activation="silu")


def fp4(packed=(8, 16), scales=(8, 2), block=16):
    arrays = [array("b", packed, np.uint8), array("s", scales, np.uint8), array("u", ())]
    return contrib("MatMulBlockQuantizedFp4Weight", ["x", "b", "s", "u"], arrays, block_size=block)


def gather(block=32, bits=4, axis=1, packed=(64, 16), scales=(64, 1)):
    arrays = [array("d", packed, np.uint8), array("s", scales)]
    made = helper.make_node(
        "GatherBlockQuantized",
        ["d", "x", "s"],
        ["y"],
        name="q",
        domain="com.microsoft",
        block_size=block,
        bits=bits,
        gather_axis=0,
        quantize_axis=axis,
    )
    indices = tiny_models.value("x", ["n"], TensorProto.INT64)
    return tiny_models.model_of([made], [indices], ["y"], arrays, domains=["com.microsoft"])


def attention(heads=4, kv_heads=2, hidden=32, kv_hidden=16, rotary=0, **shapes):
    floats = {"q": ["b", "s", hidden], "k": ["b", "s", kv_hidden], "v": ["b", "s", kv_hidden]}
    floats |= {name: ["b", 2, "p", 8] for name in ("past_k", "past_v")} | shapes
    given = [tiny_models.value(name, dims) for name, dims in floats.items()]
    given += [tiny_models.value("len", ["b"], TensorProto.INT32), tiny_models.value("all", [], TensorProto.INT32)]
    names = ["q", "k", "v", "past_k", "past_v", "len", "all"]
    arrays = []
    if rotary:
        arrays = [array("cos", (64, rotary)), array("sin", (64, rotary))]
        names += ["cos", "sin"]
    attributes = {"num_heads": heads, "kv_num_heads": kv_heads, "do_rotary": int(rotary > 0)}
    made = helper.make_node(
        "GroupQueryAttention", names, ["y", "k2", "v2"], name="q", domain="com.microsoft", **attributes
    )
    return tiny_models.model_of([made], given, ["y"], arrays, domains=["com.microsoft"])


def entries():
    for name, says, change in (
        ("N", "B has shape .* expected 256 elements", {"n": 16}),
        ("N-below-zero", "out of range", {"n": -1}),
        ("K", "expected K = 64 columns", {"k": 64, "packed": (8, 2, 16), "scales": 16}),
        ("K-that-overflows", "out of range", {"k": 2**62}),
        ("K-times-N-that-overflows", "out of range|expected", {"k": 2**31 - 1, "n": 2**31 - 1}),
        ("scales", "scales has shape .* expected 8 elements", {"scales": 4}),
        ("zeros", "expected", {"zeros": 3}),
        ("bits", "bits is 5", {"bits": 5}),
        ("bits-below-zero", "bits is -4", {"bits": -4}),
        ("block-of-0", "block_size is 0", {"block": 0}),
        ("block-of-24", "block_size is 24", {"block": 24}),
        ("block-that-overflows", "block_size is|expected", {"block": 2**62}),
    ):
        yield model_entry(f"MatMulNBits-{name}", "lying attribute", lambda change=change: matmul(**change), says)
    for name, says, change in (
        ("N-that-overflows", "do not divide", {"n": 2**62}),
        ("K-below-zero", "do not divide", {"k": -32}),
        ("sizes-that-overflow", "other bytes", {"n": 2**31 - 1, "k": 2**31 - 1, "block": 2**31 - 1}),
        ("bytes", "other bytes than the 128", {"bytes": 127}),
        ("scales", "scales|broadcast|shape|8", {"scales": 7}),
        ("block-that-overflows", "do not divide", {"block": 2**62}),
    ):
        yield model_entry(f"MatMulBnb4-{name}", "lying attribute", lambda change=change: bnb4(**change), says)
    for name, says, change in (
        ("N", "expected", {"n": 16}),
        ("K-that-overflows", "out of range", {"k": 2**62}),
        ("scales", "expected 8 elements", {"other": 4}),
    ):
        yield model_entry(f"MatMulNBitsMlp-{name}", "lying attribute", lambda change=change: gate(**change), says)
    for name, says, change in (
        ("block", "scales of shape .* do not fit", {"block": 7}),
        ("block-below-zero", "block_size is -16", {"block": -16}),
        ("scales", "scale|shape", {"scales": (8, 3)}),
        ("packed", "matrix of uint8|rank|shape", {"packed": (8, 4, 4)}),
    ):
        yield model_entry(
            f"MatMulBlockQuantizedFp4Weight-{name}", "lying attribute", lambda change=change: fp4(**change), says
        )
    for name, says, change in (
        ("block", "block_size 7 are not allowed", {"block": 7}),
        ("bits", "bits 9 and", {"bits": 9}),
        ("axis", "axis", {"axis": 9}),
        ("scales", "scales", {"scales": (64, 5)}),
    ):
        yield model_entry(
            f"GatherBlockQuantized-{name}", "lying attribute", lambda change=change: gather(**change), says
        )
    for name, says, change in (
        ("no-heads", "num_heads", {"heads": 0}),
        ("heads-that-do-not-divide", "heads|divisible", {"heads": 7}),
        ("key-heads-that-do-not-divide", "heads|divisible|multiple", {"kv_heads": 3}),
        ("key-heads-below-zero", "heads", {"kv_heads": -2}),
        ("wide-rotation", "cos", {"rotary": 64}),
        ("values-without-axes", r"operand 2 has shape \[\]; expected rank 3", {"v": []}),
        ("keys-of-another-size", "operand 1 .* expected head size 8", {"k": ["b", "s", 32]}),
        ("past-without-tokens", "operand 4 .* expected rank 4", {"past_v": ["b", 2, 8]}),
    ):
        yield model_entry(
            f"GroupQueryAttention-{name}", "lying attribute", lambda change=change: attention(**change), says
        )
