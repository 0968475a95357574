"""ONNX's own node tests through the whole product: compiled to an artifact, run, equal to the onnx package's numbers.

What is refused stands in refused.toml with its reason, and that list is checked in both directions: whatever else does
not compile fails here, and so does an entry whose tests compile.
"""

import functools
import re
import tomllib
import warnings
from pathlib import Path

import numpy as np
import onnx
import pytest
import qopt
from test_onnx_nodes import as_array, as_tensor

# Operators whose later operands are sizes, axes, ratios and modes: they are constants in real models, and here.
SIZED = re.compile(
    "Reduce|Reshape|Expand|Slice|Squeeze|Unsqueeze|Tile|TopK|Pad|CumSum|OneHot|ConstantOfShape|Split|Range|Trilu|Dropout"
)
# All tests are run in so many parts.
PARTS = 16
# One of so many is compiled once more with sizes that only a call knows.
EVERY = 18
# One of so many runs as PTX on the emulator, too; all do (860 of 860 of the standard's operators for transformers).
ON_EMULATOR = 30
LISTED = tomllib.loads((Path(__file__).parent / "refused.toml").read_text())
UNREAD = {name for names in LISTED["operators"].values() for name in names}
CODES = (qopt.ErrorCode.UNSUPPORTED, qopt.ErrorCode.BAD_MODEL)


@functools.cache
def node_tests():
    from onnx.backend.test.loader import load_model_tests

    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        return load_model_tests(kind="node")


def with_constants(case):
    """The model with its sizes and axes as constants, and the values of the inputs that remain."""
    model = onnx.ModelProto()
    model.CopyFrom(case.model)
    inputs = list(zip(model.graph.input, case.data_sets[0][0], strict=True))
    op = model.graph.node[0].op_type
    first = len(inputs)
    if SIZED.match(op) and op != "SplitToSequence":
        first = 0 if op in ("ConstantOfShape", "Range") else 1
    del model.graph.input[:]
    model.graph.input.extend(info for info, _ in inputs[:first])
    for info, value in inputs[first:]:
        model.graph.initializer.append(as_tensor(value, info))
    return model, {info.name: value for info, value in inputs[:first]}


def difference(got, expected, limits=(1e-3, 1e-6)):
    """What is wrong with one output, or None. `limits` are relative and absolute."""
    if got.shape != expected.shape:
        return f"shape {got.shape}, expected {expected.shape}"
    coarse = expected.dtype.itemsize == 2 and expected.dtype.kind not in "iu"
    rtol, atol = (1e-2, 1e-2) if coarse else limits
    if not np.allclose(got.astype(np.float64), expected.astype(np.float64), rtol, atol, equal_nan=True):
        return f"{got.flatten()[:6]}, expected {expected.flatten()[:6]}"
    return None


def without_sizes(model):
    """Every size of an input is a name of its own, so that only a call knows what fits."""
    for info in model.graph.input:
        for axis, dim in enumerate(info.type.tensor_type.shape.dim):
            dim.dim_param = f"{info.name}_{axis}"
    for info in model.graph.output:
        info.type.tensor_type.ClearField("shape")


def outcome(case, folder, change=None, device="host"):
    """What is wrong with one test, the qopt.Error that refused it, or None."""
    model, inputs = with_constants(case)
    if change:
        change(model)
    (folder / "model.onnx").write_bytes(model.SerializeToString())
    target = {} if device == "host" else {"target": "cuda", "arch": "sm_90a"}
    try:
        qopt.compile(folder / "model.onnx", folder / "model.qopt", as_="graph", threads=1, **target)
    except qopt.Error as error:
        return error if error.code in CODES else f"compiling ended with {error.code}: {error}"
    try:
        inputs = {name: as_array(value) for name, value in inputs.items()}
        outputs = qopt.load(folder / "model.qopt", device=device, threads=1).run(inputs)
    except qopt.Error as error:
        return f"running ended with {error.code}: {error}"
    for info, expected in zip(model.graph.output, case.data_sets[0][1], strict=True):
        # On GPUs attention, norms and rotary embedding have f16 activations.
        limits = (1e-3, 1e-6) if device == "host" else (1e-2, 2e-3)
        if why := difference(outputs[info.name], as_array(expected), limits):
            return f"{info.name}: {why}"
    return None


def operators_of(graph):
    names = set()
    for node in graph.node:
        names.add(node.op_type)
        for attribute in node.attribute:
            for inner in (attribute.g, *attribute.graphs):
                names |= operators_of(inner)
    return names


def is_listed(case, error):
    """Whether the refusal is what an entry says: of the test, or of each operator that the message names."""
    text = str(error)
    if any(re.fullmatch(entry["name"], case.name) and re.search(entry["says"], text) for entry in LISTED["tests"]):
        return True
    named = re.findall(r"^  ([\w.]+) \(.*\): node", text, re.MULTILINE) + re.findall(
        r"^  ([\w.]+) \(.*\), .*: node", text, re.MULTILINE
    )
    return bool(named) and UNREAD.issuperset(named)


@pytest.mark.parametrize("part", range(PARTS))
def test_nodes_agree_or_are_listed(part, tmp_path):
    wrong, passed = {}, 0
    for case in node_tests()[part::PARTS]:
        found = outcome(case, tmp_path)
        listed = [entry["says"] for entry in LISTED["tests"] if re.fullmatch(entry["name"], case.name)]
        if found is None:
            passed += 1
            if listed:
                wrong[case.name] = f"compiles and agrees; refused.toml lists it: {listed[0]}"
            if names := operators_of(case.model.graph) & UNREAD:
                wrong[case.name] = f"compiles and agrees; refused.toml lists {names}"
        elif isinstance(found, str):
            wrong[case.name] = found
        elif not is_listed(case, found):
            wrong[case.name] = f"is refused and not listed: {found}"
    assert not wrong, f"{len(wrong)}:\n" + "\n".join(f"{k}: {v}" for k, v in wrong.items())
    assert passed > 40


def test_every_entry_of_the_list_is_needed():
    """An operator that no test has, or a pattern that no test's name fits, says nothing."""
    operators = {name for case in node_tests() for name in operators_of(case.model.graph)}
    assert operators >= UNREAD, f"no node test has {sorted(UNREAD - operators)}"
    names = [case.name for case in node_tests()]
    unused = [
        entry["name"] for entry in LISTED["tests"] if not any(re.fullmatch(entry["name"], name) for name in names)
    ]
    assert not unused, f"no test fits {unused}"


def test_sizes_that_only_a_call_knows(tmp_path):
    """Such a model may be refused for any reason before it runs; what runs is right."""
    found = [(case, outcome(case, tmp_path, without_sizes)) for case in node_tests()[::EVERY]]
    wrong = {case.name: why for case, why in found if isinstance(why, str)}
    assert not wrong, f"{len(wrong)} of {len(found)}:\n" + "\n".join(f"{k}: {v}" for k, v in wrong.items())
    assert sum(why is None for _, why in found) > len(found) / 3


@pytest.mark.parametrize("part", range(2))
def test_nodes_agree_on_the_emulator(part, tmp_path, ptx_only):
    """What the host's target compiles, the GPU's does."""
    cases = node_tests()[part :: 2 * ON_EMULATOR]
    wrong, passed = {}, 0
    for case in cases:
        if outcome(case, tmp_path) is None:
            found = outcome(case, tmp_path, device="emulator")
            passed += found is None
            if found is not None:
                wrong[case.name] = found
    assert not wrong, f"{len(wrong)}:\n" + "\n".join(f"{k}: {v}" for k, v in wrong.items())
    assert passed > len(cases) / 3


@pytest.mark.parametrize("device", ["host", "emulator"])
def test_a_branch_that_data_chooses(tmp_path, ptx_only, device):
    """One artifact takes either branch, by the condition of each call."""
    make = onnx.helper.make_tensor_value_info

    def branch(op):
        output = make(f"by_{op}", onnx.TensorProto.FLOAT, [3, 2])
        return onnx.helper.make_graph([onnx.helper.make_node(op, ["x"], [f"by_{op}"])], op, [], [output])

    node = onnx.helper.make_node("If", ["flag"], ["y"], then_branch=branch("Neg"), else_branch=branch("Exp"))
    inputs = [make("flag", onnx.TensorProto.BOOL, []), make("x", onnx.TensorProto.FLOAT, [3, 2])]
    graph = onnx.helper.make_graph([node], "choice", inputs, [make("y", onnx.TensorProto.FLOAT, [3, 2])])
    opset = onnx.helper.make_opsetid("", 21)
    onnx.save(onnx.helper.make_model(graph, opset_imports=[opset], ir_version=10), tmp_path / "model.onnx")
    target = {} if device == "host" else {"target": "cuda", "arch": "sm_90a"}
    qopt.compile(tmp_path / "model.onnx", tmp_path / "model.qopt", as_="graph", threads=1, **target)
    model = qopt.load(tmp_path / "model.qopt", device=device, threads=1)
    x = np.linspace(-1, 1, 6, dtype=np.float32).reshape(3, 2)
    for flag, expected in ((True, -x), (False, np.exp(x))):
        got = model.run({"flag": np.array(flag), "x": x})["y"]
        np.testing.assert_allclose(got, expected, rtol=1e-5)


def test_sizes_of_one_name_must_agree(tool, tmp_path):
    info = [onnx.helper.make_tensor_value_info(name, onnx.TensorProto.FLOAT, ["n"]) for name in "xyz"]
    node = onnx.helper.make_node("Add", ["x", "y"], ["z"])
    graph = onnx.helper.make_graph([node], "sum", info[:2], info[2:])
    opset = onnx.helper.make_opsetid("", 21)
    onnx.save(onnx.helper.make_model(graph, opset_imports=[opset], ir_version=10), tmp_path / "model.onnx")
    tool("qopt-compile", tmp_path / "model.onnx", "--as", "graph", "-o", tmp_path / "model.qopt")
    np.savez(tmp_path / "in.npz", x=np.ones(4, np.float32), y=np.ones(3, np.float32))
    arguments = (tmp_path / "model.qopt", "--inputs", tmp_path / "in.npz", "--outputs", tmp_path / "out.npz")
    run = tool("qopt-run", *arguments, check=False)
    assert run.returncode != 0
    assert 'input "y" has shape [3]; expected [n] = [4]' in run.stderr


@pytest.mark.parametrize(
    ("op", "shapes", "attributes", "says"),
    [
        ("CausalConvWithState", {"x": (1, 4, 5), "w": (4, 1, 3), "b": (4,), "p": (1, 4, 7)}, {}, "= 28 and .* = 8"),
        ("GroupNormalization", {"x": (2, 4, 5), "a": (3,), "b": (3,)}, {"num_groups": 2}, "= 4 and 3"),
        ("GroupNormalization", {"x": (2, 4, 5), "a": (4,), "b": (4,)}, {"num_groups": 3}, "= 40 and .* = 6"),
    ],
)
def test_sizes_that_do_not_fit_end_the_call(op, shapes, attributes, says, tmp_path):
    """What an operator that is written out asks of sizes that only a call knows."""
    inputs = {name: np.ones(shape, np.float32) for name, shape in shapes.items()}
    info = [
        onnx.helper.make_tensor_value_info(
            name, onnx.TensorProto.FLOAT, shape if name in "wab" else [f"{name}{axis}" for axis in range(len(shape))]
        )
        for name, shape in shapes.items()
    ]
    results = ["y", "s"] if op == "CausalConvWithState" else ["y"]
    outputs = [onnx.helper.make_tensor_value_info(name, onnx.TensorProto.FLOAT, None) for name in results]
    node = onnx.helper.make_node(op, list(shapes), results, **attributes)
    graph = onnx.helper.make_graph([node], "one", info, outputs)
    opset = onnx.helper.make_opsetid("", 27)
    onnx.save(onnx.helper.make_model(graph, opset_imports=[opset], ir_version=10), tmp_path / "model.onnx")
    qopt.compile(tmp_path / "model.onnx", tmp_path / "model.qopt", as_="graph", threads=1)
    with pytest.raises(qopt.Error, match=says):
        qopt.load(tmp_path / "model.qopt").run(inputs)
