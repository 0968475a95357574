"""Attention and rotary embedding in graphs, which a GPU computes with generic kernels, beside onnxruntime: every kind
of mask, shared key heads, caps, partial and interleaved rotation. Values are f16 between kernels."""

import numpy as np
import onnx
import onnxruntime
import pytest
from conftest import NO_ASSEMBLER
from onnx import TensorProto as T
from onnx import helper

LIMITS = {"f16": 3e-3, "bf16": 2e-2}
TYPES = {np.dtype("float32"): T.FLOAT, np.dtype("int64"): T.INT64, np.dtype("bool"): T.BOOL}


def normals(*shape, seed=0):
    return np.random.default_rng(seed).standard_normal(shape).astype(np.float32)


def model_of(op, inputs, dims, operands=None, results=("y",), **attributes):
    graph = helper.make_graph(
        [helper.make_node(op, operands or list(inputs), results, name="the_node", **attributes)],
        "case",
        [helper.make_tensor_value_info(n, TYPES[v.dtype], dims.get(n, v.shape)) for n, v in inputs.items()],
        [onnx.ValueInfoProto(name=result) for result in results],
    )
    return helper.make_model(graph, opset_imports=[helper.make_opsetid("", 23)], ir_version=10)


def check(tool, folder, model, inputs, activations="f16"):
    (folder / "model.onnx").write_bytes(model.SerializeToString())
    arguments = (folder / "model.onnx", "--as", "graph", "--target", "cuda", "--activations", activations)
    tool("qopt-compile", *arguments, "-o", folder / "model.qopt", environment=NO_ASSEMBLER)
    np.savez(folder / "in.npz", **inputs)
    arguments = (folder / "model.qopt", "--inputs", folder / "in.npz", "--outputs", folder / "out.npz")
    tool("qopt-run", *arguments, "--device", "emulator")
    (expected,) = onnxruntime.InferenceSession(model.SerializeToString()).run(["y"], inputs)
    got = np.load(folder / "out.npz")["y"]
    assert got.shape == expected.shape
    assert np.abs(got - expected).max() <= LIMITS[activations] * np.abs(expected).max()


MASKS = {
    "none": None,
    "bools of keys": np.broadcast_to(np.arange(9) < np.array([[[[9]]], [[[4]]]]), (2, 1, 5, 9)),
    "bools of all": normals(2, 4, 5, 9, seed=4) > -1,
    "numbers": normals(5, 9, seed=5),
    "lowest numbers": np.where(normals(2, 1, 5, 9, seed=6) > 0.5, np.finfo(np.float32).min, np.float32(0)),
}


def attention(keys, dims):
    """Queries of four heads at five places, keys and values of two heads."""
    inputs = {"q": normals(2, 4, 5, 8), "k": normals(2, 2, keys, 8, seed=1), "v": normals(2, 2, keys, 8, seed=2)}
    return inputs, {"q": ["b", 4, "s", 8], "k": ["b", 2, dims, 8], "v": ["b", 2, dims, 8]}


@pytest.mark.parametrize("mask", MASKS)
def test_attention(tool, tmp_path, mask):
    inputs, dims = attention(9, "t")
    if MASKS[mask] is not None:
        inputs["mask"] = MASKS[mask]
    check(tool, tmp_path, model_of("Attention", inputs, dims), inputs)


@pytest.mark.parametrize("mask", ["none", "numbers"])
def test_causal_attention_with_a_past_and_a_cap(tool, tmp_path, mask):
    inputs, dims = attention(5, "s")
    inputs |= {"past_k": normals(2, 2, 4, 8, seed=7), "past_v": normals(2, 2, 4, 8, seed=8)}
    dims |= {"past_k": ["b", 2, "p", 8], "past_v": ["b", 2, "p", 8]}
    if MASKS[mask] is not None:
        inputs["mask"] = MASKS[mask]
    operands = ["q", "k", "v", "mask" if "mask" in inputs else "", "past_k", "past_v"]
    results = ("y", "present_k", "present_v")
    check(tool, tmp_path, model_of("Attention", inputs, dims, operands, results, is_causal=1, softcap=3.0), inputs)


def test_attention_in_bf16(tool, tmp_path):
    inputs = {"q": normals(1, 2, 7, 16), "k": normals(1, 2, 7, 16, seed=1), "v": normals(1, 2, 7, 16, seed=2)}
    check(tool, tmp_path, model_of("Attention", inputs, {}, is_causal=1), inputs, "bf16")


@pytest.mark.parametrize("interleaved", [0, 1])
@pytest.mark.parametrize("rotated", [8, 4])
def test_rotary(tool, tmp_path, interleaved, rotated):
    angles = normals(2, 5, rotated // 2, seed=3)
    inputs = {"x": normals(2, 3, 5, 8), "cos": np.cos(angles), "sin": np.sin(angles)}
    dims = {"x": ["b", 3, "s", 8], "cos": ["b", "s", rotated // 2], "sin": ["b", "s", rotated // 2]}
    attributes = {"interleaved": interleaved} | ({"rotary_embedding_dim": rotated} if rotated < 8 else {})
    check(tool, tmp_path, model_of("RotaryEmbedding", inputs, dims, **attributes), inputs)
