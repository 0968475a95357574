"""Small files that would become large, when they are compiled or when they run."""

from dataclasses import replace

import numpy as np
from hostile.graphs import model_entry, node, of
from onnx import TensorProto, helper, numpy_helper


def ints(name, *values):
    return numpy_helper.from_array(np.array(values, dtype=np.int64), name)


def constant(op, says, *arrays, **attributes):
    """One operator on numbers of the file, whose result is added to x."""

    def make():
        names = [array.name for array in arrays]
        nodes = [node(op, names, ["big"], **attributes), node("ReduceSum", ["big"], ["sum"], keepdims=0)]
        nodes += [node("Cast", ["sum"], ["f"], to=TensorProto.FLOAT), node("Add", ["x", "f"])]
        return of(nodes, initializers=list(arrays))

    return run(model_entry(op, "bomb", make, says))


def run(entry):
    """What nothing computes while it is compiled is refused where it runs, before any memory is taken."""
    only_model = entry.write

    def write(folder):
        only_model(folder)
        np.savez(folder / "in.npz", x=np.ones((1, 4), np.float32))

    command = ("qopt-run", "FOLDER/model.onnx", "--inputs", "FOLDER/in.npz", "--outputs", "FOLDER/out.npz")
    return replace(entry, write=write, command=command, codes=(3, 4, 7))


def doubled(op):
    """A constant that is joined with itself forty times."""

    def make():
        nodes = [node(op, [f"w{i}", f"w{i}"], [f"w{i + 1}"], axis=0) for i in range(40)]
        nodes += [node("ReduceSum", ["w40"], ["s"], keepdims=0), node("Add", ["x", "s"])]
        weight = numpy_helper.from_array(np.ones(1024, np.float32), "w0")
        return of(nodes, initializers=[weight])

    return run(model_entry(f"{op}-that-doubles", "bomb", make, TOO_LARGE))


def loop():
    body = helper.make_graph([], "body", [], [])
    return of([node("Loop", ["m", ""], [], body=body), node("Abs", ["x"])], initializers=[ints("m", 2**62)])


TOO_LARGE = "too large|are needed at once|cannot compile"


def entries():
    one = numpy_helper.from_array(np.ones(1, np.float32), "one")
    yield constant("ConstantOfShape", "too large to address", ints("s", 2**40, 2**40))
    yield constant("Expand", TOO_LARGE, one, ints("s", 2**44))
    yield constant("Range", TOO_LARGE, ints("a", 0), ints("b", 2**44), ints("c", 1))
    yield constant("Tile", TOO_LARGE, one, ints("r", 2**44))
    yield constant("Pad", TOO_LARGE, one, ints("p", 0, 2**44))
    depth = ints("d", 2**44)
    yield constant("OneHot", "OneHot|" + TOO_LARGE, ints("i", 0, 1), depth, numpy_helper.from_array(np.ones(2), "v"))
    yield doubled("Concat")
    yield model_entry("Loop", "bomb", loop, "Loop")
    huge = helper.make_tensor_value_info("x", TensorProto.FLOAT, [2**31, 2**31])
    yield model_entry("input-that-overflows", "bomb", lambda: of([node("Abs", ["x"])], [huge]), TOO_LARGE)
