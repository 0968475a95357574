"""ONNX's own node tests: a model is imported with the shapes and types that the test expects, or refused by name.

Their numbers are compared in test/conformance, for the operators that are known; here every fourth test is tried,
whatever its operator."""

import os
import re
import warnings
from concurrent.futures import ThreadPoolExecutor

import numpy as np
from onnx import TensorProto
from onnx.backend.test.loader import load_model_tests

# Why a node test may be refused. A message that none of these match is a defect.
REASONS = [
    "uses what is not supported",  # an operator or an opset, by name
    "computed at run time; expected a constant",  # axes as graph inputs
    "every size must be known",
    "training mode is not supported",
    "are not supported",  # strings, sequences, maps, optionals
    "the branches give tensors of different rank",
    "which are not supported",
]
# How many of them must be imported, at least.
IMPORTED = 200

NAMES = {"float32": "f32", "float16": "f16", "float64": "f64", "bool": "i1"}
NAMES |= {f"int{n}": f"i{n}" for n in (8, 16, 32, 64)} | {f"uint{n}": f"ui{n}" for n in (8, 16, 32, 64)}


def expected_types(test):
    """(shape, element type or None) of each output that the test knows."""
    for output in test.data_sets[0][1] if test.data_sets else []:
        if isinstance(output, TensorProto):
            yield tuple(output.dims), None
        elif isinstance(output, (np.ndarray, np.generic)):
            yield output.shape, NAMES.get(output.dtype.name)


def matches(text, shape, element):
    *sizes, imported = text.split("x")
    return (
        len(sizes) == len(shape)
        and all(size in ("?", str(known)) for size, known in zip(sizes, shape, strict=True))
        and element in (None, imported)
    )


def outcome(test, tool, folder):
    """None for an imported model, else the message it was refused with."""
    path = folder / f"{test.name}.onnx"
    path.write_bytes(test.model.SerializeToString())
    done = tool("qopt-translate", "--import-onnx", path, check=False)
    assert done.returncode in (0, 3, 4), f"{test.name}: {done.stderr}"
    if done.returncode:
        return done.stderr
    returned = re.findall(r"^ +return .*: (.*)$", done.stdout, re.MULTILINE)[-1]
    types = re.findall(r"tensor<([^>]*)>", returned)
    wrong = [(t, e) for t, e in zip(types, expected_types(test), strict=False) if not matches(t, *e)]
    assert not wrong, f"{test.name}: {wrong}"
    return None


def test_node_tests(tool, tmp_path):
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        # Without those that are written out as other operators.
        tests = [test for test in load_model_tests(kind="node") if not test.name.endswith("_expanded")][::4]
    with ThreadPoolExecutor(os.cpu_count()) as pool:
        messages = list(pool.map(lambda test: outcome(test, tool, tmp_path), tests))
    assert messages.count(None) >= IMPORTED
    unexplained = [m for m in messages if m and not any(reason in m for reason in REASONS)]
    assert not unexplained, "\n".join(unexplained)
