"""Precision plans that are no plan, or of another model."""

import json

from hostile.corpus import Entry

COMMAND = ("qopt-compile", "STORIES", "--plan", "FOLDER/plan.json", "-o", "FOLDER/out.qopt")


def entry(name, content, says, codes=(2, 3, 4, 5)):
    def write(folder):
        text = content if isinstance(content, bytes) else json.dumps(content).encode()
        (folder / "plan.json").write_bytes(text)

    return Entry(name, "plan", write, says, command=COMMAND, codes=codes)


def entries():
    yield entry("empty", b"", "plan.json")
    yield entry("cut-short", b'{"version": 1', "plan.json")
    yield entry("a-list", [1, 2], "plan.json")
    yield entry("deep", b"[" * 200_000 + b"]" * 200_000, "plan.json")
    yield entry("no-utf-8", b'{"model": "\xff\xfe"}', "plan.json")
    yield entry("of-the-future", {"version": 2**40}, "plan.json")
    yield entry("nothing-in-it", {}, "plan.json")
    yield entry("key-twice", b'{"version": 1, "version": 2}', "plan.json")
