"""Weights that a model computes when it runs, cast, joined, cut or scaled: they are weights, and quantized as such."""

import json
import shutil

import numpy as np
import onnx
import pytest
from onnx import TensorProto, helper, numpy_helper


def matrices(model):
    return [
        tensor for tensor in model.graph.initializer if len(tensor.dims) == 2 and tensor.data_type == TensorProto.FLOAT
    ]


def put_first(model, nodes):
    kept = list(model.graph.node)
    del model.graph.node[:]
    model.graph.node.extend([*nodes, *kept])


def computed(model, store):
    """Each matrix is the result of nodes; `store(name, array)` gives them and the initializers that they read."""
    nodes, made = [], []
    for tensor in matrices(model):
        more, arrays = store(tensor.name, numpy_helper.to_array(tensor))
        nodes += more
        made += [numpy_helper.from_array(np.ascontiguousarray(array), name) for name, array in arrays.items()]
        model.graph.initializer.remove(tensor)
    model.graph.initializer.extend(made)
    put_first(model, nodes)


def cast(element):
    def store(name, array):
        node = helper.make_node("Cast", [f"{name}.narrow"], [name], to=TensorProto.FLOAT)
        return [node], {f"{name}.narrow": array.astype(element)}

    return store


def joined(name, array):
    parts = {f"{name}.a": array[:3], f"{name}.b": array[3:]}
    return [helper.make_node("Concat", list(parts), [name], axis=0)], parts


def scaled(name, array):
    node = helper.make_node("Mul", [f"{name}.half", f"{name}.two"], [name])
    return [node], {f"{name}.half": array / 2, f"{name}.two": np.float32([2] * array.shape[1])}


def flat(name, array):
    reshape = helper.make_node("Reshape", [f"{name}.flat", f"{name}.sizes"], [name])
    return [reshape], {f"{name}.flat": array.ravel(), f"{name}.sizes": np.int64(array.shape)}


STORES = {"f16": cast(np.float16), "f64": cast(np.float64), "joined": joined, "scaled": scaled, "flat": flat}


@pytest.fixture
def variant(stories, tmp_path):
    """The folder of the small model after `change(model)`."""

    def make(name, change):
        folder = tmp_path / name
        folder.mkdir()
        model = onnx.load(stories / "model.onnx")
        change(model)
        onnx.save(model, folder / "model.onnx")
        shutil.copy(stories / "tokenizer.json", folder)
        return folder

    return make


def rounded(model):
    for tensor in matrices(model):
        array = numpy_helper.to_array(tensor).astype(np.float16).astype(np.float32)
        tensor.CopyFrom(numpy_helper.from_array(array, tensor.name))


@pytest.mark.parametrize("weights", [(), ("--weights", "int8")], ids=lambda w: "".join(w[1:]))
@pytest.mark.parametrize("name", STORES)
def test_same_model(tool, variant, tmp_path, name, weights):
    """The same numbers give the same bits: of logits, and of the sizes of weights."""
    plain = variant("plain", rounded if name == "f16" else lambda model: None)
    other = variant("other", lambda model: computed(model, STORES[name]))
    found, logits = [], []
    for folder in (plain, other):
        artifact, file = folder / "m.qopt", folder / "l.npy"
        found.append(json.loads(tool("qopt-compile", folder, *weights, "-o", artifact, "--json").stdout))
        np.save(tmp_path / "t.npy", np.arange(1, 33, dtype=np.int32).reshape(1, 32))
        tool("qopt-eval", artifact, "--tokens", tmp_path / "t.npy", "--save-logits", file)
        logits.append(np.load(file))
    assert found[0]["kind"] == found[1]["kind"] == "decoder"
    assert found[0]["parameters"] == found[1]["parameters"] > 250_000
    if weights:
        assert found[0]["weight_bytes"] == found[1]["weight_bytes"]
    np.testing.assert_array_equal(*logits)


@pytest.mark.parametrize("shape", [(4, 0), (0, 4)])
def test_weights_without_elements(tool, tmp_path, shape):
    """What onnxruntime multiplies with nothing is no weight, and no crash."""
    graph = helper.make_graph(
        [helper.make_node("MatMul", ["x", "w"], ["y"])],
        "none",
        [helper.make_tensor_value_info("x", TensorProto.FLOAT, ["n", shape[0]])],
        [helper.make_tensor_value_info("y", TensorProto.FLOAT, ["n", shape[1]])],
        [numpy_helper.from_array(np.zeros(shape, np.float32), "w")],
    )
    onnx.save(helper.make_model(graph, opset_imports=[helper.make_opsetid("", 21)], ir_version=10), tmp_path / "m.onnx")
    tool("qopt-compile", tmp_path / "m.onnx", "-o", tmp_path / "m.qopt")
    np.savez(tmp_path / "in.npz", x=np.ones((3, shape[0]), np.float32))
    tool("qopt-run", tmp_path / "m.qopt", "--inputs", tmp_path / "in.npz", "--outputs", tmp_path / "out.npz")
    np.testing.assert_array_equal(np.load(tmp_path / "out.npz")["y"], np.zeros((3, shape[1]), np.float32))
