"""Inputs whose sizes or indices an operator does not take: refused, as onnxruntime refuses them, or the same numbers.

Each case is one operator with sizes that only a call knows. A refusal is one line that names the node and the sizes. A
GPU, which the emulator stands in for, refuses the same calls with the same words.
"""

import json
import re

import numpy as np
import onnx
import onnxruntime
import pytest
from onnx import TensorProto as T
from onnx import helper, numpy_helper

REFUSED = 2
TYPES = {np.dtype("float32"): T.FLOAT, np.dtype("int64"): T.INT64, np.dtype("bool"): T.BOOL}
TABLE = np.arange(16, dtype=np.float32).reshape(4, 4)


def floats(*shape):
    return np.arange(1, 1 + np.prod(shape, dtype=int), dtype=np.float32).reshape(shape)


def ints(*values):
    return np.array(values, np.int64)


class Case:
    """One operator: dimension names of its inputs, constants by name, and calls of which some fit."""

    def __init__(self, op, inputs, constants=(), outputs=1, good=(), bad=(), **attributes):
        self.op, self.inputs, self.constants, self.outputs = op, inputs, dict(constants), outputs
        self.good, self.bad, self.attributes = good, bad, attributes

    def model(self):
        sample = dict(zip(self.inputs, (self.good or self.bad)[0], strict=True))
        names = [*self.inputs, *self.constants]
        results = [f"y{i}" for i in range(self.outputs)]
        graph = helper.make_graph(
            [helper.make_node(self.op, sorted(names), results, name="the_node", **self.attributes)],
            "case",
            [helper.make_tensor_value_info(n, TYPES[sample[n].dtype], dims) for n, dims in self.inputs.items()],
            [onnx.ValueInfoProto(name=result) for result in results],
            [numpy_helper.from_array(value, name) for name, value in self.constants.items()],
        )
        return helper.make_model(graph, opset_imports=[helper.make_opsetid("", 24)], ir_version=10)


# From, to and step along an axis of any length, also one that has fewer elements.
BACKWARDS = [(5, 0, -2), (-2, -7, -1), (-1, -(2**63) + 1, -3), (2**63 - 1, -4, -2), (3, 6, -1)]

# Operands are called a, b, c in their order.
CASES = {
    "add": Case(
        "Add",
        {"a": ["n"], "b": ["m"]},
        good=[(floats(3), floats(3)), (floats(3), floats(1)), (floats(1), floats(4)), (floats(1), floats(1))],
        bad=[(floats(3), floats(4)), (floats(2), floats(4)), (floats(0), floats(4))],
    ),
    "where": Case(
        "Where",
        {"a": ["n"], "b": ["m"], "c": ["k"]},
        good=[(np.array([True]), floats(3), floats(1)), (np.array([True, False, True]), floats(3), floats(1))],
        bad=[(np.array([True, False]), floats(3), floats(1)), (np.array([True]), floats(3), floats(2))],
    ),
    "matmul": Case(
        "MatMul",
        {"a": ["n", "k"], "b": ["j", "m"]},
        good=[(floats(2, 3), floats(3, 4))],
        bad=[(floats(2, 3), floats(4, 4)), (floats(2, 3), floats(1, 4)), (floats(2, 1), floats(3, 4))],
    ),
    "batched matmul": Case(
        "MatMul",
        {"a": ["p", "n", "k"], "b": ["p", "k", "m"]},
        good=[(floats(2, 2, 3), floats(2, 3, 4))],
        bad=[(floats(2, 2, 3), floats(3, 3, 4)), (floats(2, 2, 3), floats(2, 2, 4))],
    ),
    "matmul of two batches": Case(
        "MatMul",
        {"a": ["p", "n", "k"], "b": ["q", "k", "m"]},
        good=[
            (floats(2, 2, 3), floats(2, 3, 4)),
            (floats(1, 2, 3), floats(2, 3, 4)),
            (floats(3, 2, 3), floats(1, 3, 4)),
            (floats(1, 2, 3), floats(1, 3, 4)),
        ],
        bad=[(floats(2, 2, 3), floats(3, 3, 4)), (floats(0, 2, 3), floats(3, 3, 4))],
    ),
    "gemm": Case(
        "Gemm",
        {"a": ["n", 4], "b": ["k", 4]},
        good=[(floats(2, 4), floats(4, 4))],
        bad=[(floats(2, 4), floats(3, 4))],
    ),
    "einsum": Case(
        "Einsum",
        {"a": ["n", "k"], "b": ["m", "j"]},
        good=[(floats(2, 3), floats(4, 3))],
        bad=[(floats(2, 3), floats(4, 2))],
        equation="ik,jk->ij",
    ),
    "conv": Case(
        "Conv",
        {"a": ["n", "c", "t"]},
        {"b": np.ones((2, 3, 4), np.float32)},
        good=[(floats(1, 3, 5),), (floats(1, 3, 4),)],
        bad=[(floats(1, 2, 5),), (floats(1, 3, 3),)],
        strides=[4],
    ),
    "concat": Case(
        "Concat",
        {"a": ["n", "p"], "b": ["m", "q"]},
        good=[(floats(2, 3), floats(1, 3)), (floats(0, 3), floats(1, 3))],
        bad=[(floats(2, 3), floats(1, 4)), (floats(2, 3), floats(1, 1))],
        axis=0,
    ),
    "reshape": Case(
        "Reshape",
        {"a": ["n"]},
        {"b": ints(3, -1)},
        good=[(floats(6),), (floats(3),)],
        bad=[(floats(7),), (floats(2),)],
    ),
    "reshape to known sizes": Case(
        "Reshape",
        {"a": ["n", "m"]},
        {"b": ints(2, 3)},
        good=[(floats(6, 1),), (floats(2, 3),)],
        bad=[(floats(2, 4),), (floats(1, 3),)],
    ),
    "squeeze": Case("Squeeze", {"a": ["n", "m"]}, {"b": ints(0)}, good=[(floats(1, 3),)], bad=[(floats(2, 3),)]),
    "expand": Case(
        "Expand",
        {"a": ["n"]},
        {"b": ints(5)},
        good=[(floats(5),), (floats(1),)],
        bad=[(floats(3),), (floats(6),)],
    ),
    "split": Case(
        "Split",
        {"a": ["n"]},
        {"b": ints(3, 4)},
        outputs=2,
        good=[(floats(7),)],
        bad=[(floats(6),), (floats(8),)],
    ),
    "topk": Case(
        "TopK",
        {"a": ["n"]},
        {"b": ints(5)},
        outputs=2,
        good=[(floats(5),), (floats(8),)],
        bad=[(floats(4),)],
    ),
    "layer norm": Case(
        "LayerNormalization",
        {"a": ["n", "m"]},
        {"b": floats(3)},
        good=[(floats(2, 3),)],
        bad=[(floats(2, 4),), (floats(2, 2),), (floats(2, 1),)],
    ),
    "gather": Case(
        "Gather",
        {"b": ["n"]},
        {"a": TABLE},
        good=[(ints(0, 3, -1, -4),)],
        bad=[(ints(0, 4),), (ints(-5, 0),), (ints(1 << 40),)],
        axis=1,
    ),
    "gather of dynamic data": Case(
        "Gather",
        {"a": ["n", 2], "b": ["m"]},
        good=[(floats(3, 2), ints(2, -3))],
        bad=[(floats(3, 2), ints(3)), (floats(0, 2), ints(0))],
    ),
    "gather at numbers": Case(
        "Gather", {"a": ["n", 2]}, {"b": ints(0, 2)}, good=[(floats(3, 2),)], bad=[(floats(2, 2),)]
    ),
    "gather elements": Case(
        "GatherElements",
        {"b": ["n", "m"]},
        {"a": TABLE},
        good=[(ints(0, 3, -4).reshape(3, 1),)],
        bad=[(ints(0, 4).reshape(2, 1),), (ints(0, 1, 2, 3, 0).reshape(5, 1),)],
        axis=1,
    ),
    "gather nd": Case(
        "GatherND",
        {"b": ["n", 2]},
        {"a": np.arange(12, dtype=np.float32).reshape(3, 4)},
        good=[(ints(2, 3, -3, -4).reshape(2, 2),)],
        bad=[(ints(3, 0).reshape(1, 2),), (ints(0, 4).reshape(1, 2),), (ints(0, -5).reshape(1, 2),)],
    ),
    "tensor scatter": Case(
        "TensorScatter",
        {"a": ["n", "t", 2], "b": ["n", "s", 2], "c": ["n"]},
        good=[(floats(2, 5, 2), floats(2, 2, 2), ints(0, 3))],
        bad=[
            (floats(2, 5, 2), floats(2, 2, 2), ints(0, 4)),
            (floats(2, 5, 2), floats(2, 2, 2), ints(-1, 0)),
            (floats(2, 1, 2), floats(2, 2, 2), ints(0, 0)),
        ],
        axis=1,
    ),
    "scatter nd": Case(
        "ScatterND",
        {"b": ["n", 1], "c": ["m", 4]},
        {"a": TABLE},
        good=[(ints(1, -1).reshape(2, 1), floats(2, 4))],
        bad=[(ints(4).reshape(1, 1), floats(1, 4)), (ints(1, 2).reshape(2, 1), floats(1, 4))],
    ),
    "scatter elements": Case(
        "ScatterElements",
        {"b": ["n", 4], "c": ["m", 4]},
        {"a": TABLE},
        good=[(ints(0, 1, 2, -4).reshape(1, 4), floats(1, 4))],
        bad=[(ints(0, 1, 2, 4).reshape(1, 4), floats(1, 4)), (ints(0, 1, 2, 3).reshape(1, 4), floats(2, 4))],
    ),
    **{
        f"slice {start}:{end}:{step}": Case(
            "Slice",
            {"a": ["n"]},
            {"b": ints(start), "c": ints(end), "d": ints(0), "e": ints(step)},
            good=[(floats(size),) for size in (0, 1, 2, 5, 12)],
        )
        for start, end, step in BACKWARDS
    },
}


DEVICES = {"host": "host", "emulator": "cuda"}  # and what is compiled for them


class Compiled:
    def __init__(self, tool, folder, model, device="host"):
        self.tool, self.folder, self.device = tool, folder, device
        folder.mkdir(exist_ok=True)
        (folder / "model.onnx").write_bytes(model.SerializeToString())
        self.artifact = folder / "model.qopt"
        target = ("--target", DEVICES[device])
        tool("qopt-compile", folder / "model.onnx", "--as", "graph", *target, "-o", self.artifact)
        options = onnxruntime.SessionOptions()
        options.log_severity_level = 4
        self.reference = onnxruntime.InferenceSession(model.SerializeToString(), options)

    def run(self, inputs):
        """The outputs by name, or the message."""
        np.savez(self.folder / "in.npz", **inputs)
        arguments = (self.artifact, "--inputs", self.folder / "in.npz", "--outputs", self.folder / "out.npz")
        done = self.tool("qopt-run", *arguments, "--device", self.device, "--threads", 1, check=False)
        if done.returncode == 0:
            return dict(np.load(self.folder / "out.npz")), None
        assert done.returncode == REFUSED and done.stderr.count("\n") == 1, (done.returncode, done.stderr)
        return None, done.stderr


@pytest.mark.parametrize("device", DEVICES)
@pytest.mark.parametrize("name", CASES)
def test_operator(tool, tmp_path, name, device):
    case = CASES[name]
    compiled = Compiled(tool, tmp_path / "case", case.model(), device)
    for call in case.good:
        inputs = dict(zip(case.inputs, call, strict=True))
        got, why = compiled.run(inputs)
        assert got is not None, (call, why)
        for info, expected in zip(compiled.reference.get_outputs(), compiled.reference.run(None, inputs), strict=True):
            np.testing.assert_allclose(got[info.name], expected, rtol=1e-5, atol=1e-6)
    for call in case.bad:
        inputs = dict(zip(case.inputs, call, strict=True))
        with pytest.raises(Exception):  # noqa: B017 (whatever onnxruntime raises)
            compiled.reference.run(None, inputs)
        got, why = compiled.run(inputs)
        assert got is None, (call, got)
        assert "the_node" in why or "expected [p, k, m]" in why, (call, why)


def test_nothing_with_one_is_refused(tool, tmp_path):
    """[0] + [1] is [0] in ONNX; it is refused here, by name, rather than computed wrongly."""
    compiled = Compiled(tool, tmp_path / "case", CASES["add"].model())
    got, why = compiled.run({"a": floats(0), "b": floats(1)})
    assert got is None and "the_node" in why and '"a" of shape [0]' in why


@pytest.mark.parametrize("name", ["gather", "gather nd", "tensor scatter", "split"])
def test_devices_say_the_same(tool, tmp_path, name):
    """Indices outside are found by a kernel, sizes by the runtime; the message does not depend on the device."""
    case = CASES[name]
    host, gpu = (Compiled(tool, tmp_path / device, case.model(), device) for device in DEVICES)
    for call in case.bad:
        inputs = dict(zip(case.inputs, call, strict=True))
        _, expected = host.run(inputs)
        assert gpu.run(inputs) == (None, expected)


def test_message_names_the_sizes(tool, tmp_path):
    compiled = Compiled(tool, tmp_path / "case", CASES["add"].model())
    _, why = compiled.run({"a": floats(3), "b": floats(4)})
    assert 'node "the_node" (Add, opset 24): these inputs make the sizes n = 3 and m = 4' in why


@pytest.mark.parametrize("device", DEVICES)
def test_branch_that_runs(tool, tmp_path, device):
    """What the branch of a constant condition asks is checked, within another branch too, and of the other nothing."""
    a, b = (helper.make_tensor_value_info(name, T.FLOAT, [size]) for name, size in (("a", "n"), ("b", "m")))
    y = onnx.ValueInfoProto(name="y")

    def branch(name, *nodes):
        return helper.make_graph(nodes, name, [], [helper.make_tensor_value_info(name, T.FLOAT, None)])

    inner = helper.make_node(
        "If",
        ["no"],
        ["outer_then"],
        then_branch=branch("unused", helper.make_node("Mul", ["a", "b"], ["unused"], name="never")),
        else_branch=branch("used", helper.make_node("TopK", ["b", "three"], ["used", "places"], name="the_node")),
    )
    outer = helper.make_node(
        "If",
        ["yes"],
        ["y"],
        then_branch=branch("outer_then", inner),
        else_branch=branch("outer_else", helper.make_node("Add", ["a", "b"], ["outer_else"], name="never_either")),
    )
    constants = {"yes": np.array(True), "no": np.array(False), "three": ints(3)}
    initializers = [numpy_helper.from_array(value, name) for name, value in constants.items()]
    graph = helper.make_graph([outer], "case", [a, b], [y], initializers)
    model = helper.make_model(graph, opset_imports=[helper.make_opsetid("", 24)], ir_version=10)
    compiled = Compiled(tool, tmp_path / "case", model, device)
    for sizes in ((2, 3), (5, 4)):  # which the other branches would refuse
        inputs = {"a": floats(sizes[0]), "b": floats(sizes[1])}
        got, why = compiled.run(inputs)
        assert got is not None, why
        np.testing.assert_array_equal(got["y"], compiled.reference.run(None, inputs)[0])
    got, why = compiled.run({"a": floats(2), "b": floats(2)})
    assert got is None and "the_node" in why and "sizes 3 and m = 2" in why


def test_inspect_lists_what_is_required(tool, tmp_path):
    """No sizes are asked for, and the sizes of 1 that stand for them need not fit."""
    compiled = Compiled(tool, tmp_path / "case", CASES["split"].model())
    (function,) = json.loads(tool("qopt-inspect", compiled.artifact, "--json").stdout)["functions"]
    (needed,) = function["requirements"]
    assert (needed["lhs"], needed["relation"], needed["rhs"]) == ("7", "Equal", "n") and "the_node" in needed["origin"]
    assert 'requires 7 and n: Equal, for node "the_node"' in tool("qopt-inspect", compiled.artifact, "--plan").stdout


@pytest.fixture(scope="module")
def stories_graph(tool, stories, tmp_path_factory):
    """run(batch, tokens, mask) of the repository's model as a graph, with no past."""
    folder = tmp_path_factory.mktemp("stories")
    tool("qopt-compile", stories, "--as", "graph", "-o", folder / "graph.qopt")
    model = onnx.load(stories / "model.onnx", load_external_data=False)

    def run(batch, tokens, mask):
        sizes = {"batch": batch, "sequence": tokens, "past_sequence": 0, "total_sequence": mask}
        inputs = {}
        for info in model.graph.input:
            tensor = info.type.tensor_type
            shape = [sizes[d.dim_param] if d.dim_param else d.dim_value for d in tensor.shape.dim]
            inputs[info.name] = np.ones(shape, helper.tensor_dtype_to_np_dtype(tensor.elem_type))
        np.savez(folder / "in.npz", **inputs)
        return tool("qopt-run", folder / "graph.qopt", "--inputs", folder / "in.npz", check=False)

    return run


def test_stories_with_a_short_mask(stories_graph):
    """A mask shorter than past and tokens together is no mask."""
    assert stories_graph(1, 5, 5).returncode == 0
    for length in (4, 3, 1):
        refused = stories_graph(1, 5, length)
        assert refused.returncode == REFUSED and refused.stderr.count("\n") == 1, (length, refused)


@pytest.mark.parametrize(("batch", "tokens"), [(0, 4), (2, 0), (0, 0)])
def test_stories_of_nothing(stories_graph, batch, tokens):
    """No sequences, or none with a token: results of that size, which have no elements."""
    done = stories_graph(batch, tokens, tokens)
    assert done.returncode == 0, done.stderr
    assert done.stdout.startswith(f"logits: f32[{batch}, {tokens}, 512]\n")


# Token counts beyond the table of positions, and a sequence without tokens.
ENCODERS = ["bert-optimum", "bert-dynamo", "distilbert-dynamo", "roberta-optimum"]


@pytest.mark.parametrize("family", ENCODERS)
def test_encoder_lengths(tool, shared, tmp_path, family):
    folder = shared / "zoo/families" / family
    tool("qopt-compile", folder / "model.onnx", "--as", "graph", "-o", tmp_path / "model.qopt")
    options = onnxruntime.SessionOptions()
    options.log_severity_level = 4
    reference = onnxruntime.InferenceSession(folder / "model.onnx", options)

    def inputs_of(batch, tokens):
        inputs = {}
        for info in reference.get_inputs():
            fill = 5 if info.name == "input_ids" else info.name == "attention_mask"
            inputs[info.name] = np.full((batch, tokens), fill, np.int64)
        return inputs

    def run(inputs):
        np.savez(tmp_path / "in.npz", **inputs)
        arguments = (tmp_path / "model.qopt", "--inputs", tmp_path / "in.npz", "--outputs", tmp_path / "out.npz")
        return tool("qopt-run", *arguments, check=False)

    for tokens in (1, 7, 600, 2000):
        inputs = inputs_of(2, tokens)
        try:
            expected = reference.run(None, inputs)
        except Exception:  # whatever onnxruntime raises
            expected = None
        done = run(inputs)
        if expected is None:
            assert done.returncode == REFUSED and done.stderr.count("\n") == 1, (tokens, done)
            continue
        assert done.returncode == 0, (tokens, done.stderr)
        got = np.load(tmp_path / "out.npz")
        for info, values in zip(reference.get_outputs(), expected, strict=True):
            np.testing.assert_allclose(got[info.name], values, rtol=2e-2, atol=2e-2)
    for shape in ((0, 7), (2, 0)):
        done = run(inputs_of(*shape))
        if done.returncode:
            assert done.returncode == REFUSED and f"[{shape[0]}, {shape[1]}]" in done.stderr, done.stderr
            assert re.search("'batch.*', which is 0; expected 1 or more|expected the first", done.stderr), done.stderr
