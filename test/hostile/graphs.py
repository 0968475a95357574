"""Tensors that lie about their sizes, names, opsets, nesting and calls without end."""

import itertools

import numpy as np
import onnx
from hostile.containers import field
from hostile.corpus import Entry
from onnx import TensorProto, helper, numpy_helper

from lib.Import.Onnx import tiny_models


def model_entry(name, kind, make, says):
    """`make()` gives the model, or its bytes."""

    def write(folder):
        model = make()
        content = model if isinstance(model, bytes) else model.SerializeToString()
        (folder / "model.onnx").write_bytes(content)

    return Entry(name, kind, write, says)


def tensor(name, says, dims, raw=b"", data_type=TensorProto.FLOAT, **values):
    def make():
        made = TensorProto(name="w", data_type=data_type, dims=dims, **values)
        if raw is not None:
            made.raw_data = raw
        return tiny_models.linear(made)

    return model_entry(name, "tensor", make, says)


def of(nodes, inputs=("x",), outputs=("y",), **more):
    return tiny_models.model_of(nodes, list(inputs), list(outputs), **more)


def node(op, inputs, outputs=("y",), **attributes):
    return helper.make_node(op, list(inputs), list(outputs), name="n", **attributes)


def nested(levels):
    """If inside If, in bytes: the protobuf packages refuse to build it."""
    graph = field(1, node("Neg", ["x"], ["o"]).SerializeToString())
    graph += field(12, tiny_models.value("o", None).SerializeToString())
    leaf = graph
    for _ in range(levels):
        branches = b""
        for name, content in (("then_branch", graph), ("else_branch", leaf)):
            branches += field(5, field(1, name) + field(6, content) + b"\xa0\x01\x05")
        output = tiny_models.value("o", None).SerializeToString()
        graph = field(1, field(1, "c") + field(2, "o") + field(4, "If") + branches) + field(12, output)
    for info in (tiny_models.value("c", [], TensorProto.BOOL), tiny_models.value("x", ["n", 4])):
        graph += field(11, info.SerializeToString())
    return b"\x08\x08" + field(7, graph) + field(8, helper.make_opsetid("", 18).SerializeToString())


def nested_type(levels):
    """An input that is a sequence of sequences of … tensors."""
    kind = field(1, b"\x08\x01")
    for _ in range(levels):
        kind = field(4, field(1, kind))
    graph = field(1, node("Neg", ["x"]).SerializeToString()) + field(11, field(1, "x") + field(2, kind))
    graph += field(12, tiny_models.value("y", None).SerializeToString())
    return b"\x08\x08" + field(7, graph) + field(8, helper.make_opsetid("", 18).SerializeToString())


OPSETS = [helper.make_opsetid("", 18), helper.make_opsetid("my", 1)]


def chain(levels, calls):
    """Functions F0, F1, … of which each calls the next `calls` times, one after the other."""
    functions = []
    for level in range(levels):
        names = ["a", *(f"v{i}" for i in range(calls - 1)), "b"]
        nodes = [helper.make_node(f"F{level + 1}", [x], [y], domain="my") for x, y in itertools.pairwise(names)]
        functions.append(helper.make_function("my", f"F{level}", ["a"], ["b"], nodes, OPSETS))
    leaf = [helper.make_node("Neg", ["a"], ["b"])]
    functions.append(helper.make_function("my", f"F{levels}", ["a"], ["b"], leaf, OPSETS))
    call = helper.make_node("F0", ["x"], ["y"], name="f", domain="my")
    return of([call], domains=["my"], functions=functions)


def cycle(length):
    """Functions that call one another in a ring."""
    functions = [
        helper.make_function(
            "my", f"F{i}", ["a"], ["b"], [helper.make_node(f"F{(i + 1) % length}", ["a"], ["b"], domain="my")], OPSETS
        )
        for i in range(length)
    ]
    return of([helper.make_node("F0", ["x"], ["y"], name="f", domain="my")], domains=["my"], functions=functions)


def doubled_attributes():
    """Each function hands on a graph that has the one it was given twice."""

    def branch(name):
        return onnx.AttributeProto(name=name, ref_attr_name="body", type=onnx.AttributeProto.GRAPH)

    def choice(outputs):
        made = helper.make_node("If", ["c"], outputs)
        made.attribute.extend([branch("then_branch"), branch("else_branch")])
        return made

    output = tiny_models.value("o", None)
    functions = []
    for level in range(40):
        both = helper.make_graph([choice(["o"])], "both", [], [output])
        call = helper.make_node(f"F{level + 1}", ["c", "a"], ["b"], domain="my", body=both)
        functions.append(
            helper.make_function("my", f"F{level}", ["c", "a"], ["b"], [call], OPSETS, attributes=["body"])
        )
    functions.append(helper.make_function("my", "F40", ["c", "a"], ["b"], [choice(["b"])], OPSETS, attributes=["body"]))
    seed = helper.make_graph([helper.make_node("Neg", ["x"], ["o"])], "seed", [], [output])
    call = helper.make_node("F0", ["c", "x"], ["y"], domain="my", body=seed)
    return of([call], [tiny_models.value("c", [], TensorProto.BOOL), "x"], domains=["my"], functions=functions)


def function_twice():
    body = [helper.make_node("Neg", ["a"], ["b"])]
    functions = [helper.make_function("my", "F", ["a"], ["b"], body, OPSETS) for _ in range(2)]
    return of([helper.make_node("F", ["x"], ["y"], name="f", domain="my")], domains=["my"], functions=functions)


def invalid_utf8():
    return of([node("Abs", ["x"])]).SerializeToString().replace(b"\x12\x01y", b"\x12\x01\xff")


def tensors():
    yield tensor("bytes-missing", "has 60 bytes; expected 64", [4, 4], b"\0" * 60)
    yield tensor("bytes-too-many", "has 68 bytes; expected 64", [4, 4], b"\0" * 68)
    yield tensor("dimension-below-zero", "negative dimension -4", [4, -4], b"\0" * 64)
    yield tensor("elements-that-overflow", "overflows", [2**40, 2**40])
    yield tensor("elements-that-overflow-to-16", "overflows", [2**32 + 4, 2**32, 2**32], b"\0" * 64)
    yield tensor("bytes-that-overflow", "too large to address", [2**61])
    yield tensor("no-bytes-of-a-terabyte", "has 0 bytes; expected", [2**38])
    yield tensor("strings", "tensors of string are not supported", [4], b"\0" * 16, TensorProto.STRING)
    yield tensor("unknown-type", "data type 99", [4], b"\0" * 16, 99)
    yield tensor("undefined-type", "data type 0|undefined", [4], b"\0" * 16, 0)
    yield tensor("too-many-dimensions", "65 dimensions", [1] * 65, b"\0" * 4)
    yield tensor("half-a-byte-missing", "has 1 bytes; expected 2", [3], b"\0", TensorProto.UINT4)
    yield tensor("numbers-missing", "has 12 bytes; expected 64", [4, 4], None, float_data=[1, 2, 3])
    yield tensor("numbers-of-another-type", "expected 64", [4, 4], None, int64_data=[1] * 16)


def names():
    weight = numpy_helper.from_array(np.array([1.0], np.float32), "w")
    for name, says, make in (
        ("value-twice", '"y" is defined twice', lambda: of([node("Abs", ["x"]), node("Neg", ["x"])])),
        ("weight-twice", '"w" is defined twice', lambda: of([node("Abs", "w")], [], initializers=[weight] * 2)),
        ("nul", "NUL", lambda: of([node("Abs", ["x"], ["a\0b"])], outputs=["a\0b"])),
        ("undefined", 'reads "z", which no node before it', lambda: of([node("Abs", ["z"])])),
        (
            "cycle",
            'reads "b"',
            lambda: of([node("Add", ["x", "b"], ["a"]), node("Abs", ["a"], ["b"])], outputs=["b"]),
        ),
        ("undefined-output", 'output "q"', lambda: of([node("Abs", ["x"])], outputs=["q"])),
        ("no-utf-8", "UTF-8|no ONNX file|output", invalid_utf8),
        ("operator-of-a-megabyte", "Frob", lambda: of([node("Frob" * 250_000, ["x"])])),
        ("operator-with-terminal-codes", "Frob", lambda: of([node("Frob\x1b[2J\n", ["x"])])),
    ):
        yield model_entry(name, "name", make, says)


def entries():
    yield from tensors()
    yield from names()
    for opset in (-1, 0, 5, 29, 2**62):
        says = rf"opset {opset} of the model(, which has older forms of Abs)?; expected 11 to"
        yield model_entry(f"opset-{opset}", "opset", lambda opset=opset: of([node("Abs", ["x"])], opset=opset), says)
    far = node("Magic", ["x"])
    far.domain = "my.domain"
    yield model_entry("unknown-domain", "opset", lambda: of([far], domains=["my.domain"]), r"Magic \(my.domain 1\)")
    for levels in (33, 5000):
        yield model_entry(f"branches-{levels}", "nesting", lambda levels=levels: nested(levels), "deep|cut short")
    for levels in (2, 5000):
        says = "is no tensor|is damaged"
        yield model_entry(f"sequences-{levels}", "nesting", lambda levels=levels: nested_type(levels), says)
    for length in (1, 2, 500):
        yield model_entry(
            f"ring-of-{length}", "function", lambda length=length: cycle(length), "calls itself|more than 64 calls deep"
        )
    yield model_entry("chain-of-65", "function", lambda: chain(65, 1), "more than 64")
    yield model_entry("chain-of-5000", "function", lambda: chain(5000, 1), "more than 64")
    yield model_entry("calls-that-double", "function", lambda: chain(30, 2), "more than 1048576 nodes")
    yield model_entry("attributes-that-double", "function", doubled_attributes, "more than 32 MiB")
    yield model_entry("function-twice", "function", function_twice, "twice")
