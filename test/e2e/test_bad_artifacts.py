"""What the runtime's tools say to files and values that are wrong: one line, the right exit code, nothing written."""

import collections
import hashlib
import json
import pathlib
import re
import struct

import numpy as np
import pytest

USAGE, BAD_MODEL, UNSUPPORTED, INFEASIBLE, RESOURCES, BAD_ARTIFACT, NOT_FOUND, UNWRITABLE = 2, 3, 4, 5, 7, 8, 9, 10
CALLS = {
    "qopt-run": ("--tokens", "1", "--max-tokens", "1"),
    "qopt-inspect": (),
    "qopt-bench": ("--prompt", "1", "--tokens", "0"),
    "qopt-eval": ("--text", __file__),
}


def refused(tool, code, name, *arguments):
    done = tool(name, *arguments, check=False)
    assert done.returncode == code, (name, done.returncode, done.stderr)
    assert done.stdout == "" and done.stderr.startswith("error: ") and done.stderr.count("\n") == 1
    return done.stderr


@pytest.fixture
def damaged(stories_artifact, tmp_path):
    """damaged(change): a file with the artifact's bytes after change(bytearray)."""

    def write(change):
        content = bytearray(stories_artifact.read_bytes())
        changed = change(content)
        path = tmp_path / "damaged.qopt"
        path.write_bytes(content if changed is None else changed)
        return path

    return write


@pytest.mark.parametrize("name", CALLS)
def test_cut_short(tool, damaged, name):
    for size in (0, 100, 4096, 500_000, -1):
        path = damaged(lambda content, size=size: content[:size])
        assert "damaged.qopt" in refused(tool, BAD_ARTIFACT, name, path, *CALLS[name])


@pytest.mark.parametrize("name", CALLS)
def test_flipped_bit(tool, damaged, stories_artifact, name):
    size = stories_artifact.stat().st_size
    for at in (0, 20, 4096, size // 2, size - 1000):

        def flip(content, at=at):
            content[at] ^= 4

        assert "damaged.qopt" in refused(tool, BAD_ARTIFACT, name, damaged(flip), *CALLS[name])


def test_flipped_bit_of_a_weight_with_trust(tool, damaged, stories_artifact):
    """--trust skips the digests, and only these: the structure is still checked."""
    segments = json.loads(tool("qopt-inspect", stories_artifact, "--json").stdout)["segments"]
    largest = max((s for s in segments if s["kind"] == "Weight"), key=lambda s: s["bytes"])

    def flip(content):
        content[largest["offset"]] ^= 1

    path = damaged(flip)
    refused(tool, BAD_ARTIFACT, "qopt-run", path, *CALLS["qopt-run"])
    tool("qopt-run", path, "--trust", *CALLS["qopt-run"])
    path = damaged(lambda content: content[:-1])
    refused(tool, BAD_ARTIFACT, "qopt-run", path, "--trust", *CALLS["qopt-run"])


def test_flipped_bits_with_trust(tool, damaged, stories_artifact):
    """What --trust leaves to the checks of the structure is the artifact's fault too, whatever finds it: a plan whose
    digest was made anew, the tokenizer, weights that are no numbers."""
    content = stories_artifact.read_bytes()
    at, size = struct.unpack_from("<QQ", content, 24)
    segments = json.loads(tool("qopt-inspect", stories_artifact, "--json").stdout)["segments"]
    random = np.random.default_rng(0)

    # The recorded precision plan is text: a letter of a reason is no damage that shows.
    texts = [m.span() for m in re.finditer(rb"[\x20-\x7e\n]{200,}", content[at : at + size])]
    places = [i for i in range(size) if not any(begin <= i < end for begin, end in texts)]

    def spoil_plan(content):
        content[at + random.choice(places)] ^= 1 << random.integers(8)
        content[40:72] = hashlib.sha256(content[at : at + size]).digest()
        content[96:128] = hashlib.sha256(content[:96]).digest()

    def spoil_tokenizer(content):
        (segment,) = (s for s in segments if s["kind"] == "Tokenizer")
        content[segment["offset"]] ^= 4

    def spoil_weights(content):
        for segment in (s for s in segments if s["kind"] == "Weight"):
            content[segment["offset"] : segment["offset"] + segment["bytes"]] = b"\xff" * segment["bytes"]

    for change in (spoil_tokenizer, spoil_weights):
        refused(tool, BAD_ARTIFACT, "qopt-run", damaged(change), "--trust", "--prompt", "x", "--max-tokens", "2")
    codes = collections.Counter()
    for _ in range(120):
        path = damaged(spoil_plan)
        for name in ("qopt-run", "qopt-inspect"):
            done = tool(name, path, "--trust", *CALLS[name], check=False)
            codes[done.returncode] += 1
            assert done.returncode in (0, UNSUPPORTED, BAD_ARTIFACT), (done.returncode, done.stderr)
    assert codes[BAD_ARTIFACT] > 80 and codes[UNSUPPORTED] < 10, codes


def test_other_version(tool, damaged):
    def raise_version(content):
        struct.pack_into("<I", content, 8, 99)

    for name in CALLS:
        message = refused(tool, BAD_ARTIFACT, name, damaged(raise_version), *CALLS[name])
        assert "99" in message and "version" in message


def test_not_an_artifact(tool, stories, tmp_path):
    for name in CALLS:
        assert "cannot read 'none.qopt'" in refused(tool, NOT_FOUND, name, "none.qopt", *CALLS[name])
        assert "holds neither an artifact" in refused(tool, NOT_FOUND, name, tmp_path, *CALLS[name])
        (tmp_path / "model.onnx").write_text("no model")
        assert "error: " in refused(tool, BAD_MODEL, name, tmp_path / "model.onnx", *CALLS[name])
        (tmp_path / "model.onnx").unlink()
        refused(tool, BAD_ARTIFACT, name, __file__, *CALLS[name])


def test_models_are_compiled_for_one_run(tool, stories, stories_artifact, tmp_path):
    """Every tool takes a model or its folder too; what it compiled is gone afterwards."""
    away = {"TMPDIR": str(tmp_path)}
    for name in CALLS:
        for model in (stories / "model.onnx", stories):
            tool(name, model, *CALLS[name], environment=away)
            assert list(tmp_path.iterdir()) == []
    run = ("--prompt", "Once upon a time", "--max-tokens", 20)
    assert tool("qopt-run", stories, *run).stdout == tool("qopt-run", stories_artifact, *run).stdout


def test_prompt_longer_than_the_context(tool, stories_artifact):
    message = refused(tool, INFEASIBLE, "qopt-run", stories_artifact, "--prompt", "story " * 600)
    assert "context is 512" in message
    windows = ("--text", __file__, "--window", 513)
    assert "context of 512" in refused(tool, INFEASIBLE, "qopt-eval", stories_artifact, *windows)
    sizes = ("--context", 500, "--tokens", 13)
    assert "the model has 512" in refused(tool, INFEASIBLE, "qopt-bench", stories_artifact, *sizes)


def test_tokenizer_that_does_not_fit(tool, stories, stories_artifact, tmp_path):
    content = json.loads((stories / "tokenizer.json").read_text())
    content["model"]["vocab"]["zebra"] = 512
    (tmp_path / "tokenizer.json").write_text(json.dumps(content))
    run = (stories_artifact, "--prompt", "x", "--tokenizer", tmp_path)
    message = refused(tool, BAD_MODEL, "qopt-run", *run)
    assert "zebra" in message and "512" in message
    (tmp_path / "tokenizer.json").write_text("{}")
    refused(tool, BAD_MODEL, "qopt-run", *run)


OUT_OF_RANGE = [
    ("qopt-run", "--temperature", "-0.1"),
    ("qopt-run", "--top-k", "-1"),
    ("qopt-run", "--top-p", "0"),
    ("qopt-run", "--min-p", "1.5"),
    ("qopt-run", "--repetition-penalty", "-1"),
    ("qopt-run", "--max-tokens", "-3"),
    ("qopt-run", "--threads", "5000"),
    ("qopt-run", "--seed", "-1"),
    ("qopt-inspect", "--tokens", "0"),
    ("qopt-bench", "--repeats", "0"),
    ("qopt-bench", "--batch", "0"),
    ("qopt-bench", "--format", "xml"),
    ("qopt-eval", "--window", "1"),
]


@pytest.mark.parametrize("name,option,value", OUT_OF_RANGE)
def test_value_out_of_range(tool, stories_artifact, name, option, value):
    others = {"qopt-run": ("--prompt", "x"), "qopt-eval": ("--text", __file__)}.get(name, ())
    message = refused(tool, USAGE, name, stories_artifact, *others, option, value)
    assert option.strip("-").replace("-", " ") in message.replace("-", " ")


def test_unwritable_output(tool, artifacts, stories_artifact, tmp_path):
    missing = tmp_path / "no/such/folder"
    np.savez(tmp_path / "in.npz", x=np.zeros((1, 8), np.float32))
    run = (artifacts / "graph.qopt", "--inputs", tmp_path / "in.npz", "--outputs", missing / "out.npz")
    assert "cannot write" in refused(tool, UNWRITABLE, "qopt-run", *run)
    run = (stories_artifact, "--text", __file__, "--save-logits", missing / "l.npy")
    assert "cannot write" in refused(tool, UNWRITABLE, "qopt-eval", *run)


@pytest.mark.skipif(not pathlib.Path("/dev/full").exists(), reason="needs /dev/full")
def test_full_output(tool, stories_artifact):
    import subprocess

    import conftest

    with open("/dev/full", "w") as full:
        command = [conftest.BUILD / "bin/qopt-inspect", stories_artifact, "--json"]
        done = subprocess.run(command, stdout=full, stderr=subprocess.PIPE, text=True)
    assert done.returncode == RESOURCES and "cannot write to standard output" in done.stderr
