"""Precision plans that are no plan, or of another model."""

import json

from hostile.corpus import Entry

COMMAND = ("qopt-compile", "STORIES", "--plan", "FOLDER/plan.json", "-o", "FOLDER/out.qopt")


def entry(name, content, says, codes=(2, 3, 4, 5)):
    def write(folder):
        text = content if isinstance(content, bytes) else json.dumps(content).encode()
        (folder / "plan.json").write_bytes(text)

    return Entry(name, "plan", write, says, command=COMMAND, codes=codes)


def weighing(name, says, **changes):
    """A plan with one weight, of which something cannot be."""
    weight = {"name": "w", "rows": 4, "columns": 4, "source": "f32", "format": "int8", "bytes": 9, "reason": ""}
    weight |= {"predicted_kl": 0} | changes
    return plan(name, says, weights=[weight])


def plan(name, says, **changes):
    content = {"schema": "qopt-plan-1", "target": "host", "activations": "f32", "kv": "f16", "weights": []} | changes
    return entry(name, json.dumps(content).replace("Infinity", "1e400").encode(), says)


def entries():
    yield entry("empty", b"", "plan.json")
    yield entry("cut-short", b'{"version": 1', "plan.json")
    yield entry("a-list", [1, 2], "plan.json")
    yield entry("deep", b"[" * 200_000 + b"]" * 200_000, "plan.json")
    yield entry("no-utf-8", b'{"model": "\xff\xfe"}', "plan.json")
    yield entry("of-the-future", {"version": 2**40}, "plan.json")
    yield entry("nothing-in-it", {}, "plan.json")
    yield entry("key-twice", b'{"version": 1, "version": 2}', "plan.json")
    yield weighing("divergence-without-end", "number from -1e12 to 1e12", predicted_kl=float("inf"))
    tuning = {"steps": 9, "kl_before": float("inf"), "kl_after": 0}
    yield plan("tuning-without-end", "number from -1e12 to 1e12", tuning=tuning)
    yield weighing("bytes-below-zero", r"number from 0 to 2\^40", bytes=-1)
    yield weighing("rows-that-overflow", r"number from 0 to 2\^40", rows=2**62)
    yield weighing("elements-that-overflow", r"at most 2\^40 elements", rows=2**40, columns=2**40)
