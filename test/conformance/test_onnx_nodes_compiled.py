"""ONNX's own node tests through the whole product: compiled to an artifact, run, equal to the onnx package's numbers.

What cannot be compiled must be refused as unsupported (status 4) for one of the reasons below; nothing else may fail.
"""

import os
import re
from concurrent.futures import ThreadPoolExecutor

import numpy as np
import onnx
import pytest
from test_onnx_nodes import as_array, as_tensor, node_tests

# One of so many tests is run; the others differ in details that the tests of LowerOnnx vary too.
EVERY = 9
# Operators whose later operands are sizes and axes: they are constants in real models, and here.
SIZED = re.compile(
    "Reduce|Reshape|Expand|Slice|Squeeze|Unsqueeze|Tile|TopK|Pad|CumSum|OneHot|ConstantOfShape|Split|Range|Trilu"
)
REFUSED = re.compile(
    "8-bit floats|less than 8 bits|depends on the contents|string|no tensor|is not supported outside of what raising"
    "|not supported|computed at run time|element type"
)
BAD_INPUT, UNSUPPORTED = 3, 4


def with_constants(case):
    """The model with its sizes and axes as constants, and the values of the inputs that remain."""
    model = onnx.ModelProto()
    model.CopyFrom(case.model)
    inputs = list(zip(model.graph.input, case.data_sets[0][0], strict=True))
    op = model.graph.node[0].op_type
    first = len(inputs)
    if SIZED.match(op):
        first = 0 if op in ("ConstantOfShape", "Range") else 1
    del model.graph.input[:]
    model.graph.input.extend(info for info, _ in inputs[:first])
    for info, value in inputs[first:]:
        tensor = as_tensor(value, info)
        if tensor is None:
            return None, None
        model.graph.initializer.append(tensor)
    return model, {info.name: as_array(value) for info, value in inputs[:first]}


def difference(got, expected):
    """What is wrong with one output, or None."""
    if got.shape != expected.shape:
        return f"shape {got.shape}, expected {expected.shape}"
    coarse = expected.dtype.itemsize == 2 and expected.dtype.kind not in "iu"
    rtol, atol = (1e-2, 1e-2) if coarse else (1e-3, 1e-6)
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


def outcome(case, tool, folder, change=None):
    """What is wrong with one test, "refused", or None. A changed model may be refused for any reason before it runs."""
    model, inputs = with_constants(case)
    if model is None:
        return "refused"
    if change:
        change(model)
    folder.mkdir()
    (folder / "model.onnx").write_bytes(model.SerializeToString())
    arguments = (folder / "model.onnx", "--as", "graph", "-o", folder / "model.qopt", "--threads", 1)
    compiled = tool("qopt-compile", *arguments, check=False)
    if compiled.returncode == UNSUPPORTED and REFUSED.search(compiled.stderr):
        return "refused"
    if change and compiled.returncode in (BAD_INPUT, UNSUPPORTED):
        return "refused"
    if compiled.returncode:
        return f"compiling ended with status {compiled.returncode}: {compiled.stderr}"
    np.savez(folder / "in.npz", **inputs)
    arguments = (folder / "model.qopt", "--inputs", folder / "in.npz", "--outputs", folder / "out.npz")
    run = tool("qopt-run", *arguments, check=False)
    if run.returncode:
        return f"running ended with status {run.returncode}: {run.stderr}"
    outputs = np.load(folder / "out.npz")
    for info, expected in zip(model.graph.output, case.data_sets[0][1], strict=True):
        if why := difference(outputs[info.name], as_array(expected)):
            return f"{info.name}: {why}"
    return None


@pytest.mark.parametrize("change", [None, without_sizes])
@pytest.mark.parametrize("part", range(2))
def test_compiled_nodes_agree(part, change, tool, tmp_path):
    cases = list(node_tests())[part :: 2 * EVERY]
    with ThreadPoolExecutor(max(1, (os.cpu_count() or 2) // 2)) as pool:
        results = list(pool.map(lambda case: outcome(case, tool, tmp_path / case.name, change), cases))
    wrong = {case.name: why for case, why in zip(cases, results, strict=True) if why and why != "refused"}
    assert not wrong, f"{len(wrong)} of {len(cases)}:\n" + "\n".join(f"{k}: {v}" for k, v in wrong.items())
    assert results.count(None) > len(cases) / 2


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
