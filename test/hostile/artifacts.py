"""Artifacts whose header, plan or segment table lies, signed anew so that no digest tells it."""

import functools
import hashlib
import json
import struct
import subprocess
import tempfile

import conftest
from hostile.corpus import Entry

PAGE = 4096
FILE_SIZE, PLAN_OFFSET, PLAN_SIZE = 16, 24, 32  # places in the header


def sign(content):
    """The digests of plan and header, where the plan is in the file."""
    at, size = struct.unpack_from("<QQ", content, PLAN_OFFSET)
    if at + size <= len(content):
        content[40:72] = hashlib.sha256(content[at : at + size]).digest()
    content[96:128] = hashlib.sha256(content[:96]).digest()


def in_header(place, value):
    def change(content, _):
        struct.pack_into("<Q", content, place, value)

    return change


def segment(key, value_of, index=0):
    """Changes the offset or the size of one of the largest segments, in the plan's table."""

    def change(content, segments):
        at, size = struct.unpack_from("<QQ", content, PLAN_OFFSET)
        chosen = sorted(segments, key=lambda s: -s["bytes"])[index]
        numbers = [struct.pack("<Q", chosen[name]) for name in ("offset", "bytes")]
        plan = bytes(content[at : at + size])
        table = next(joined for joined in (b"".join(numbers), b"".join(numbers[::-1])) if joined in plan)
        found = at + plan.index(table) + 8 * (table[:8] != struct.pack("<Q", chosen[key]))
        content[found : found + 8] = struct.pack("<Q", value_of(segments, chosen) & (2**64 - 1))

    return change


def cut(length):
    def change(content, _):
        del content[length:]
        if length > 128:
            struct.pack_into("<Q", content, FILE_SIZE, len(content))

    return change


def longer(content, _):
    content += bytes(PAGE)


def padded(content, _):
    """A byte where zeros are: two files of one name would have different bytes."""
    content[200] = 1


def no_plan(content, _):
    at, size = struct.unpack_from("<QQ", content, PLAN_OFFSET)
    content[at : at + size] = bytes(size)


def plan_that_refers_to_itself(content, _):
    at, _ = struct.unpack_from("<QQ", content, PLAN_OFFSET)
    content[at : at + 4] = struct.pack("<I", 0)


def tables_far_away(content, _):
    at, _ = struct.unpack_from("<QQ", content, PLAN_OFFSET)
    content[at : at + 4] = b"\xff\xff\xff\x7f"


CHANGES = {
    "header-cut": cut(100),
    "plan-cut": cut(-64),
    "segments-cut": cut(3 * PAGE),
    "longer": longer,
    "padding": padded,
    "plan-beyond-the-end": in_header(PLAN_OFFSET, 2**40),
    "plan-that-overflows": in_header(PLAN_OFFSET, 2**64 - PAGE),
    "plan-at-0": in_header(PLAN_OFFSET, 0),
    "plan-at-an-odd-place": in_header(PLAN_OFFSET, PAGE + 1),
    "plan-of-an-exabyte": in_header(PLAN_SIZE, 2**60),
    "plan-of-0": in_header(PLAN_SIZE, 0),
    "file-of-an-exabyte": in_header(FILE_SIZE, 2**60),
    "header-of-another-size": lambda content, _: struct.pack_into("<I", content, 12, 64),
    "version-0": lambda content, _: struct.pack_into("<I", content, 8, 0),
    "no-plan": no_plan,
    "plan-that-refers-to-itself": plan_that_refers_to_itself,
    "tables-far-away": tables_far_away,
    "segment-moved": segment("offset", lambda _, s: s["offset"] + PAGE),
    "segment-at-an-odd-place": segment("offset", lambda _, s: s["offset"] + 8),
    "segment-on-another": segment("offset", lambda all, s: next(o for o in all if o != s)["offset"]),
    "segment-over-the-header": segment("offset", lambda *_: 0),
    "segment-beyond-the-end": segment("offset", lambda *_: 2**40),
    "segment-that-overflows": segment("offset", lambda *_: -PAGE),
    "segment-longer": segment("bytes", lambda _, s: s["bytes"] + PAGE),
    "segment-shorter": segment("bytes", lambda _, s: s["bytes"] - PAGE),
    "segment-of-an-exabyte": segment("bytes", lambda *_: 2**60),
    "segment-of-0": segment("bytes", lambda *_: 0),
}


@functools.cache
def whole():
    """The bytes of an artifact, and its segments."""
    with tempfile.TemporaryDirectory() as folder:
        model = f"{folder}/whole.qopt"
        compiler, inspect = (conftest.BUILD / "bin" / tool for tool in ("qopt-compile", "qopt-inspect"))
        subprocess.run([compiler, conftest.STORIES, "-o", model], check=True, capture_output=True)
        shown = subprocess.run([inspect, model, "--json"], check=True, capture_output=True)
        with open(model, "rb") as file:
            return file.read(), json.loads(shown.stdout)["segments"]


def entry(name, change):
    def write(folder):
        model, segments = whole()
        content = bytearray(model)
        change(content, segments)
        if len(content) >= 128:
            sign(content)
        (folder / "model.artifact").write_bytes(content)

    # Without digests of segments: what is left is what the structure says.
    command = ("qopt-run", "FOLDER/model.artifact", "--trust", "--prompt", "a", "--max-tokens", "1")
    return Entry(name, "artifact", write, "model.artifact|artifact", command=command, codes=(8, 9))


def entries():
    return [entry(name, change) for name, change in CHANGES.items()]
