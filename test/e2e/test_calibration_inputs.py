"""What --calibrate takes beside a text: token ids, and a manifest of several sources."""

import hashlib
import json

import numpy as np
import pytest
import qopt
from test_calibration import stories_of

USAGE, INFEASIBLE, MISSING = 2, 5, 9
FAST = ("--weights", "int4", "--activations", "f32", "--algorithm", "gptq")


@pytest.fixture(scope="module")
def folder(tool, stories_artifact, tmp_path_factory):
    """tales.txt and more.txt, and their tokens as windows, tales.npy, and as one list, more.npy."""
    folder = tmp_path_factory.mktemp("inputs")
    tokenizer = qopt.load(stories_artifact).tokenizer
    for name, seeds in (("tales", range(24)), ("more", range(40, 64))):
        text = stories_of(tool, stories_artifact, seeds)
        (folder / f"{name}.txt").write_text(text)
        tokens = np.array(tokenizer.encode(text), np.int32)
        whole = tokens[: len(tokens) // 512 * 512]
        np.save(folder / f"{name}.npy", whole.reshape(-1, 512) if name == "tales" else tokens)
    return folder


def codes(tool, stories, calibrate, *options):
    words = (*FAST, "--calibrate", calibrate, *options, "--emit", "quantized")
    text = tool("qopt-compile", stories, *words).stdout
    return [line.split("=", 1)[1] for line in text.splitlines() if "scales(" in line]


@pytest.mark.parametrize("name", ["tales", "more"])
def test_token_ids_are_the_text(tool, stories, folder, name):
    of_text, of_ids = (codes(tool, stories, folder / f"{name}.{kind}") for kind in ("txt", "npy"))
    assert len(of_text) > 5 and of_text == of_ids


def test_token_ids_need_no_tokenizer(tool, stories, folder, tmp_path):
    model = tmp_path / "model.onnx"
    model.symlink_to(stories / "model.onnx")
    options = ("--calibrate", folder / "tales.npy", "--calibrate-tokens", 1024, "-o", tmp_path / "m.qopt")
    tool("qopt-compile", model, *FAST, *options)


@pytest.mark.parametrize(
    ("array", "code", "message"),
    [
        (np.zeros((4, 16), np.float32), USAGE, "expected token ids, i32[windows, length]"),
        (
            np.full((4, 16), 512, np.int32),
            USAGE,
            "is of another tokenizer than the model's: token 512 at 0 of window 0",
        ),
        (np.full((4, 16), -3, np.int64), USAGE, "is outside the vocabulary of 512"),
        (np.full((2, 1024), 5, np.int32), INFEASIBLE, "tokens, more than the model's context of"),
        (np.full((4, 16), np.nan, np.float32), USAGE, "expected token ids"),
        (np.zeros((0,), np.int32), USAGE, "has no token"),
    ],
)
def test_arrays_that_do_not_serve_are_refused(tool, stories, tmp_path, array, code, message):
    np.save(tmp_path / "t.npy", array)
    options = ("--calibrate", tmp_path / "t.npy", "-o", tmp_path / "m.qopt")
    done = tool("qopt-compile", stories, *FAST, *options, check=False)
    assert done.returncode == code and message in done.stderr and "t.npy" in done.stderr
    assert not (tmp_path / "m.qopt").exists()


def test_validation_takes_token_ids(tool, stories, folder, tmp_path):
    found = []
    for kind in ("txt", "npy"):
        options = ("--validate", f"tales={folder / f'tales.{kind}'}", "-o", tmp_path / "m.qopt", "--json")
        done = tool("qopt-compile", stories, "--weights", "int4", *options)
        found.append(json.loads(done.stdout)["validation"]["slices"])
    assert found[0] == found[1]


def manifest(folder, name="m.json", **entries):
    text = {"schema": "qopt-calibration-1", "sources": [{"path": "tales.txt"}], **entries}
    (folder / name).write_text(json.dumps(text))
    return folder / name


def test_a_manifest_of_one_text_is_the_text(tool, stories, folder):
    assert codes(tool, stories, manifest(folder)) == codes(tool, stories, folder / "tales.txt")


def digest(path):
    return hashlib.sha256(path.read_bytes()).hexdigest()


def test_sources_share_the_tokens_by_weight(tool, stories, folder, tmp_path):
    sources = [
        {"path": "tales.npy", "weight": 3, "domain": "tales", "sha256": digest(folder / "tales.npy")},
        {"path": str(folder / "more.txt"), "domain": "more", "slice": "stress"},
    ]
    path = manifest(folder, sources=sources)
    options = ("--calibrate", path, "--calibrate-tokens", 4096, "-o", tmp_path / "m.qopt")
    done = tool("qopt-compile", stories, *FAST, *options)
    assert "calibration on 8 windows of 512 tokens of 2 sources" in done.stderr
    rows = [line.split() for line in done.stderr.splitlines() if line.endswith((" tales.npy", " more.txt"))]
    assert rows == [
        ["tales", "tales", "3.00", "6", "75.0", "tales.npy"],
        ["more", "stress", "1.00", "2", "25.0", "more.txt"],
    ]
    record = json.loads(tool("qopt-inspect", tmp_path / "m.qopt", "--json").stdout)["precision_plan"]["calibration"]
    assert [source["windows"] for source in record["sources"]] == [6, 2]
    assert record["sources"][1]["sha256"] == digest(folder / "more.txt") and record["window"] == 512
    shown = tool("qopt-inspect", tmp_path / "m.qopt").stdout
    assert "source more.txt: domain more, slice stress, weight 1, 2 windows of 512 tokens" in shown


def test_limits_are_applied_to_each_slice(tool, stories, folder, tmp_path):
    sources = [{"path": "tales.txt", "domain": "tales"}, {"path": "more.txt", "slice": "stress"}]
    options = ("--calibrate", manifest(folder, sources=sources), "--max-kl", 5, "-o", tmp_path / "m.qopt", "--json")
    found = json.loads(tool("qopt-compile", stories, *FAST, *options).stdout)["validation"]
    assert [gate["slice"] for gate in found["gates"]] == ["all", "tales", "stress"]


def test_a_plan_knows_its_manifest(tool, stories, folder, tmp_path):
    path = manifest(folder, "n.json", sources=[{"path": "own.txt"}])
    (folder / "own.txt").write_bytes((folder / "tales.txt").read_bytes())
    plan, first = tmp_path / "plan.json", tmp_path / "a.qopt"
    tool("qopt-compile", stories, *FAST, "--calibrate", path, "--save-plan", plan, "-o", first)
    (folder / "own.txt").write_bytes((folder / "more.txt").read_bytes())
    done = tool("qopt-compile", stories, "--plan", plan, "-o", tmp_path / "b.qopt", check=False)
    assert done.returncode == USAGE and "is another one than the plan was made with" in done.stderr


@pytest.mark.parametrize(
    ("entries", "message"),
    [
        ({"schema": "qopt-plan-1"}, 'expected "qopt-calibration-1" at manifest.schema'),
        ({"sources": []}, "expected one or more at manifest.sources"),
        ({"sources": [{"weight": 1}]}, "missing value at manifest.sources[0].path"),
        ({"source": 1}, "unknown key at manifest.source"),
        ({"sources": [{"path": "tales.txt", "wieght": 2}]}, "unknown key at manifest.sources[0].wieght"),
        ({"sources": [{"path": "tales.txt", "weight": 0}]}, "expected a number above 0 at manifest.sources[0].weight"),
        ({"sources": [{"path": "tales.txt", "weight": -1}]}, "expected a number above 0"),
        ({"sources": [{"path": "tales.txt", "sha256": "12"}]}, "expected 64 hexadecimal digits"),
        ({"sources": [{"path": "tales.txt", "sha256": "0" * 64}]}, "is not the file that the manifest means (SHA-256 "),
        ({"window": 1}, "expected 2 tokens or more at manifest.window"),
        ({"window": 64, "sources": [{"path": "tales.npy"}]}, "has windows of 512 tokens, and all sources"),
    ],
)
def test_manifests_that_do_not_serve_are_refused(tool, stories, folder, tmp_path, entries, message):
    path = manifest(folder, "bad.json", **entries)
    done = tool("qopt-compile", stories, *FAST, "--calibrate", path, "-o", tmp_path / "m.qopt", check=False)
    assert done.returncode == USAGE and message in done.stderr, done.stderr
    assert not (tmp_path / "m.qopt").exists()


def test_a_source_that_is_not_there_is_named(tool, stories, folder):
    path = manifest(folder, "bad.json", sources=[{"path": "none.txt"}])
    done = tool("qopt-compile", stories, *FAST, "--calibrate", path, check=False)
    assert done.returncode == MISSING and "none.txt" in done.stderr


def test_a_manifest_is_json(tool, stories, tmp_path):
    (tmp_path / "m.json").write_text("Once upon a time")
    done = tool("qopt-compile", stories, *FAST, "--calibrate", tmp_path / "m.json", check=False)
    assert done.returncode == USAGE and 'the manifest "' in done.stderr


def test_windows_are_no_longer_than_the_context(tool, stories, folder):
    path = manifest(folder, "long.json", window=4096)
    done = tool("qopt-compile", stories, *FAST, "--calibrate", path, check=False)
    assert done.returncode == INFEASIBLE and "the manifest has windows of 4096 tokens, more than" in done.stderr
