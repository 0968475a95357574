"""Weights in other files: places outside of the model's folder, links, devices, ranges that lie."""

import os
import socket

import numpy as np
import onnx
from hostile.corpus import Entry
from onnx import helper

from lib.Import.Onnx import tiny_models


def weights(folder, size=64, name="w.bin"):
    (folder / name).parent.mkdir(parents=True, exist_ok=True)
    (folder / name).write_bytes(np.eye(4, dtype=np.float32).tobytes()[:size].ljust(size, b"\0"))


def save(folder, *tensors):
    tiny_models.save(tiny_models.linear(*tensors), folder / "model.onnx")


def located(name, location, says, kind="path escape"):
    def write(folder):
        weights(folder)
        (folder.parent / "w.bin").write_bytes(b"\1" * 64)
        save(folder, tiny_models.external(location=location))

    return Entry(name, kind, write, says)


def ranged(name, says, size=64, **entries):
    def write(folder):
        weights(folder, size)
        save(folder, tiny_models.external(location="w.bin", **entries))

    return Entry(name, "range", write, says)


def twice(key):
    """An entry that is given two times: which one counts?"""

    def write(folder):
        weights(folder, 128)
        tensor = tiny_models.external(location="w.bin", offset=0, length=64)
        tensor.external_data.add(key=key, value={"location": "../w.bin", "offset": "64", "length": "32"}[key])
        save(folder, tensor)

    return Entry(f"{key}-given-twice", "range", write, f'key "{key}" is given twice')


def linked(name, make, says):
    def write(folder):
        outside = folder / "outside"
        weights(outside)
        inside = folder / "inside"
        inside.mkdir()
        location = make(inside, outside)
        save(inside, tiny_models.external(location=location))

    command = ("qopt-compile", "FOLDER/inside/model.onnx", "--as", "graph", "-o", "FOLDER/out.qopt")
    return Entry(name, "link or device", write, says, command=command)


def link(inside, outside):
    os.symlink(outside / "w.bin", inside / "link.bin")
    return "link.bin"


def relative_link(inside, _):
    os.symlink("../outside/w.bin", inside / "link.bin")
    return "link.bin"


def link_of_a_folder(inside, outside):
    os.symlink(outside, inside / "folder")
    return "folder/w.bin"


def link_to_itself(inside, _):
    os.symlink("link.bin", inside / "link.bin")
    return "link.bin"


def link_within(inside, _):
    """Even one that stays inside: what it names may change between look and use."""
    weights(inside)
    os.symlink("w.bin", inside / "link.bin")
    return "link.bin"


def hard_link(inside, outside):
    os.link(outside / "w.bin", inside / "hard.bin")
    return "hard.bin"


def pipe(inside, _):
    os.mkfifo(inside / "pipe")
    return "pipe"


def listening_socket(inside, _):
    here = os.getcwd()
    os.chdir(inside)  # names of sockets are short
    try:
        with socket.socket(socket.AF_UNIX) as made:
            made.bind("socket")
    finally:
        os.chdir(here)
    return "socket"


def folder_instead(inside, _):
    (inside / "w").mkdir()
    return "w"


def overlapping(folder):
    weights(folder, 128)
    first = tiny_models.external(location="w.bin", offset=0, length=64)
    second = tiny_models.external(location="w.bin", offset=32, length=64)
    second.name = "v"
    nodes = [helper.make_node("MatMul", ["x", "w"], ["a"]), helper.make_node("MatMul", ["a", "v"], ["y"])]
    tiny_models.save(tiny_models.model_of(nodes, ["x"], ["y"], [first, second]), folder / "model.onnx")


def sparse_initializer(folder):
    model = tiny_models.linear()
    sparse = onnx.SparseTensorProto(dims=[4])
    sparse.values.CopyFrom(tiny_models.external(location="/etc/passwd"))
    model.graph.sparse_initializer.append(sparse)
    tiny_models.save(model, folder / "model.onnx")


def constant_node(folder):
    """A constant's tensor is read by the same function as an initializer's."""
    node = helper.make_node("Constant", [], ["w"], value=tiny_models.external(location="/etc/passwd"))
    nodes = [node, helper.make_node("MatMul", ["x", "w"], ["y"])]
    tiny_models.save(tiny_models.model_of(nodes, ["x"], ["y"]), folder / "model.onnx")


def entries():
    yield located("parent", "../w.bin", "leaves the model's folder")
    yield located("parent-behind-a-folder", "a/../../w.bin", "leaves the model's folder")
    yield located("parent-behind-a-dot", "./../w.bin", "leaves the model's folder")
    yield located("parent-at-the-end", "..", "leaves the model's folder|names no file")
    yield located("absolute", "/etc/passwd", "is absolute")
    yield located("absolute-with-two-slashes", "//etc/passwd", "is absolute")
    yield located("memory-of-the-process", "/proc/self/mem", "is absolute")
    yield located("empty", "", "is empty")
    yield located("dot", ".", "names no file")
    yield located("nul", "w.bin\0.png", "NUL|is missing")
    yield located("address", "file:///etc/passwd", "is missing")
    yield located("backslashes", "..\\w.bin", "is absolute or has a backslash")
    yield located("missing", "none.bin", "is missing")
    yield located("file-as-folder", "w.bin/x", "is missing")
    yield located("name-of-a-megabyte", "a" * 2**20, "cannot open the external data file")
    yield Entry("sparse-initializer", "path escape", sparse_initializer, "sparse initializers are not supported")
    yield Entry("constant", "path escape", constant_node, "is absolute")
    yield linked("link", link, "symbolic link")
    yield linked("relative-link", relative_link, "symbolic link")
    yield linked("link-of-a-folder", link_of_a_folder, "symbolic link")
    yield linked("link-to-itself", link_to_itself, "symbolic link")
    yield linked("link-within-the-folder", link_within, "symbolic link")
    yield linked("hard-link", hard_link, "hard links")
    yield linked("pipe", pipe, "no regular file")
    yield linked("socket", listening_socket, 'cannot open the external data file "socket"')
    yield linked("folder", folder_instead, "no regular file|is a folder")
    yield ranged("offset-beyond-the-end", "beyond the end", offset=100)
    yield ranged("offset-that-overflows", "expected a number of bytes", offset=2**63)
    yield ranged("offset-below-zero", "expected a number of bytes", offset=-4)
    yield ranged("offset-in-hexadecimal", "expected a number of bytes", offset="0x10")
    yield ranged("offset-with-a-fraction", "expected a number of bytes", offset="0.5")
    yield ranged("end-that-overflows", "expected a number of bytes", offset=2**63 - 8, length=64)
    yield ranged("length-below-zero", "expected a number of bytes", length=-64)
    yield ranged("length-of-a-petabyte", "is too short", length=2**50)
    yield ranged("length-of-another-shape", "has 60 bytes; expected 64", length=60)
    yield ranged("file-shorter-than-the-tensor", "has 32 bytes; expected 64", offset=32)
    yield ranged("key-of-an-object", 'key "__class__" is not known', __class__="x")
    yield ranged("wrong-checksum", "has SHA-1", checksum="0" * 40)
    yield twice("location")
    yield twice("offset")
    yield twice("length")
    yield Entry("overlapping", "range", overlapping, "overlaps")
