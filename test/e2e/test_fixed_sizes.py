"""Models whose exporter fixed some dimensions and left others open: equal to onnxruntime, with any of them fixed."""

import re
import shutil

import numpy as np
import onnx
import onnxruntime
import pytest
from onnx import TensorProto as T
from onnx import helper

LIMIT = 1e-4  # of the largest difference to the largest expected value
# What is fixed, and batch, new and past tokens of the call. onnxruntime's GroupQueryAttention takes several new tokens
# behind a past for a batch of 1 only.
CASES = {
    "everything": ({"batch", "sequence", "past", "total"}, (1, 4, 3)),
    "batch": ({"batch"}, (1, 4, 3)),
    "one token": ({"sequence"}, (2, 1, 5)),
    "past": ({"past"}, (2, 1, 5)),
    "batch and tokens": ({"batch", "sequence"}, (2, 1, 3)),
    "total": ({"total"}, (2, 1, 3)),
}
ZOO = ("llama-genai-fp32", "llama-dynamo", "gptj-optimum", "gemma2-optimum", "bert-optimum")


def roles_of(dimension):
    """batch, sequence, past or total for a dimension's name; a number for what is none of them."""
    text = dimension.dim_param.replace(" ", "")
    if not text or text == "kv_cache_dim":
        return dimension.dim_value or 16
    if "batch" in text:
        return "batch"
    if "+" in text or "total" in text:
        return "total"
    return "past" if "past" in text else "sequence"


def fix(folder, fixed, sizes, path):
    """The model with the dimensions of these roles fixed, in a folder of its own."""
    model = onnx.load(folder / "model.onnx")
    del model.graph.value_info[:]
    for info in (*model.graph.input, *model.graph.output):
        for dimension in info.type.tensor_type.shape.dim:
            if (role := roles_of(dimension)) in fixed:
                dimension.dim_value = sizes[role]
    path.mkdir()
    onnx.save(model, path / "model.onnx")
    for extra in folder.glob("*config.json"):
        shutil.copy(extra, path)


def inputs_of(model, sizes):
    random = np.random.default_rng(0)
    inputs = {}
    for info in model.graph.input:
        tensor = info.type.tensor_type
        roles = [roles_of(dimension) for dimension in tensor.shape.dim]
        shape = [sizes.get(role, role) for role in roles]
        kind = helper.tensor_dtype_to_np_dtype(tensor.elem_type)
        if "mask" in info.name:
            value = np.ones(shape)
        elif "position" in info.name:
            value = np.broadcast_to(np.arange(sizes["past"], sizes["total"]), shape)
        elif "type" in info.name:
            value = np.zeros(shape)
        elif kind == np.int64:
            value = random.integers(3, 90, shape)
        else:
            value = random.standard_normal(shape)
        inputs[info.name] = value.astype(kind)
    return inputs


def expected_of(path, inputs):
    options = onnxruntime.SessionOptions()
    options.log_severity_level = 4
    options.graph_optimization_level = onnxruntime.GraphOptimizationLevel.ORT_DISABLE_ALL
    session = onnxruntime.InferenceSession(path, options)
    return dict(zip([o.name for o in session.get_outputs()], session.run(None, inputs), strict=True))


def check(tool, folder, model, inputs, expected):
    """What the compiled graph computes is what is expected, in shape too."""
    tool("qopt-compile", model, "--as", "graph", "-o", folder / "graph.qopt")
    np.savez(folder / "in.npz", **inputs)
    arguments = ("--inputs", folder / "in.npz", "--outputs", folder / "out.npz")
    tool("qopt-run", folder / "graph.qopt", *arguments, "--threads", 1)
    got = np.load(folder / "out.npz")
    for name, value in expected.items():
        assert got[name].shape == value.shape, name
        assert np.abs(got[name] - value).max() <= LIMIT * np.abs(value).max(), name


def sizes_of(batch, sequence, past):
    return {"batch": batch, "sequence": sequence, "past": past, "total": past + sequence}


@pytest.fixture(params=("stories260k", *ZOO))
def source(request, stories):
    return (
        stories
        if request.param == "stories260k"
        else request.getfixturevalue("shared") / "zoo/families" / request.param
    )


@pytest.mark.parametrize("case", CASES)
def test_graph(tool, source, case, tmp_path):
    fixed, call = CASES[case]
    sizes = sizes_of(*call)
    inputs = inputs_of(onnx.load(source / "model.onnx", load_external_data=False), sizes)
    fix(source, fixed, sizes, tmp_path / "model")
    check(tool, tmp_path, tmp_path / "model", inputs, expected_of(source / "model.onnx", inputs))


@pytest.mark.parametrize("fixed", ["", "past", "batch sequence past total"])
def test_buffer_of_a_past(tool, shared, fixed, tmp_path):
    """A past that has room for the new tokens: the total length says where they go, and the cache stays as long."""
    source = shared / "zoo/families/llama-genai-fp32"
    sizes = sizes_of(2, 1, 7) | {"past": 20}
    inputs = inputs_of(onnx.load(source / "model.onnx"), sizes)
    fix(source, set(fixed.split()), sizes, tmp_path / "model")
    check(tool, tmp_path, tmp_path / "model", inputs, expected_of(source / "model.onnx", inputs))


def group_query(path, past, total, **attributes):
    """A GroupQueryAttention whose total length is an input, and inputs for it."""
    names = ["q", "k", "v", "past_k", "past_v", "lengths", "total"]
    shapes = [[2, 1, 64], [2, 1, 32], [2, 1, 32], [2, 2, past, 16], [2, 2, past, 16], [2], [1]]
    types = [T.FLOAT] * 5 + [T.INT32] * 2
    node = helper.make_node(
        "GroupQueryAttention",
        names,
        ["y", "key", "value"],
        name="the_node",
        domain="com.microsoft",
        num_heads=4,
        kv_num_heads=2,
        **attributes,
    )
    inputs = [helper.make_tensor_value_info(*each) for each in zip(names, types, shapes, strict=True)]
    outputs = [helper.make_tensor_value_info(name, T.FLOAT, None) for name in node.output]
    domains = [helper.make_opsetid("", 21), helper.make_opsetid("com.microsoft", 1)]
    onnx.save(
        helper.make_model(helper.make_graph([node], "case", inputs, outputs), opset_imports=domains, ir_version=10),
        path,
    )
    random = np.random.default_rng(0)
    values = {name: random.standard_normal(shape).astype(np.float32) for name, shape in zip(names, shapes, strict=True)}
    return values | {"lengths": np.full(2, total - 1, np.int32), "total": np.array([total], np.int32)}


@pytest.mark.parametrize("window", [-1, 1, 3, 20])
def test_group_query(tool, tmp_path, window):
    inputs = group_query(tmp_path / "model.onnx", 7, 8, local_window_size=window)
    check(tool, tmp_path, tmp_path / "model.onnx", inputs, expected_of(tmp_path / "model.onnx", inputs))


def test_total_of_data_for_a_buffer(tool, tmp_path):
    """How long the result is would depend on the value of an input: refused by the node's name."""
    inputs = group_query(tmp_path / "model.onnx", 20, 8)
    tool("qopt-compile", tmp_path / "model.onnx", "-o", tmp_path / "graph.qopt")
    np.savez(tmp_path / "in.npz", **inputs)
    refused = tool("qopt-run", tmp_path / "graph.qopt", "--inputs", tmp_path / "in.npz", check=False)
    assert refused.returncode == 2 and re.search("the_node.* index 21 ", refused.stderr)


def test_decoder_of_one_token(tool, stories, tmp_path):
    """With one query no mask shows what it means for more."""
    fix(stories, {"sequence"}, sizes_of(1, 1, 0), tmp_path / "model")
    arguments = (tmp_path / "model", "--as", "decoder", "-o", tmp_path / "model.qopt")
    refused = tool("qopt-compile", *arguments, check=False)
    assert refused.returncode == 4 and "the sequence length is fixed to 1" in refused.stderr
