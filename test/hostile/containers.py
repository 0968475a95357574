"""Files that are no model, and wire formats that a parser trips over."""

import os

from hostile.corpus import Entry

from lib.Import.Onnx import tiny_models


def varint(value):
    """`value` in the wire format's seven bits a byte."""
    size = b""
    while value >= 0x80:
        size, value = size + bytes([value & 0x7F | 0x80]), value >> 7
    return size + bytes([value])


def field(number, content):
    """A length-delimited field."""
    content = content.encode() if isinstance(content, str) else content
    return varint(number << 3 | 2) + varint(len(content)) + content


def file(name, content, says, **more):
    def write(folder):
        (folder / "model.onnx").write_bytes(content)

    return Entry(name, "no model", write, says, **more)


def pipe(folder):
    os.mkfifo(folder / "model.onnx")


def device(folder):
    os.symlink("/dev/zero", folder / "model.onnx")


def folder_instead(folder):
    (folder / "model.onnx" / "model.onnx").mkdir(parents=True)


def loop(folder):
    os.symlink("model.onnx", folder / "model.onnx")


def sparse_file(folder):
    with open(folder / "model.onnx", "wb") as made:
        made.truncate(2**31 + 10)


def entries():
    whole = tiny_models.linear().SerializeToString()
    yield file("empty", b"", "is empty")
    yield file("text", b"a model of text\n" * 9, "is no ONNX file")
    yield file("zip", b"PK\x03\x04" + b"\0" * 64, "zip archive")
    yield file("gguf", b"GGUF" + b"\0" * 64, "GGUF")
    yield file("safetensors", b"\x40\0\0\0\0\0\0\0{" + b" " * 64, "safetensors")
    yield file("git-lfs-pointer", b"version https://git-lfs.github.com/spec/v1\n", "git lfs pull")
    yield file("no-graph", b"\x08\x07", "has no graph")
    yield file("cut-short", whole[:-3], "is no ONNX file, or is cut short")
    yield file("length-beyond-the-end", b"\x08\x08\x3a" + varint(2**31) + whole, "cut short")
    yield file("length-that-overflows", b"\x08\x08\x3a" + b"\xff" * 9 + b"\x01", "cut short")
    yield file("number-without-end", b"\x08" + b"\xff" * 64, "cut short")
    yield file("groups-in-groups", b"\x0b" * 200_000, "cut short")
    yield file("graphs-in-the-wrong-wire-type", b"\x08\x08\x38\x01", "no graph|cut short|no ONNX")
    for name, write, says in (
        ("pipe", pipe, "no regular file"),
        ("device", device, "no regular file"),
        ("folder", folder_instead, "no regular file|has no model.onnx"),
        ("link-to-itself", loop, "there is no file"),
        ("two-gigabytes", sparse_file, "save the model with external data"),
    ):
        yield Entry(name, "no model", write, says, codes=(3, 9))
