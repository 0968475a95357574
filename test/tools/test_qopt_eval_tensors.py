"""How errors grow from operation to operation: values of two artifacts, compared where both have them."""

import json

import numpy as np
import pytest

USAGE, UNSUPPORTED = 2, 4


@pytest.fixture(scope="module")
def folder(tool, stories, tmp_path_factory):
    folder = tmp_path_factory.mktemp("tensors")
    np.save(folder / "t.npy", np.random.default_rng(3).integers(3, 500, (2, 48)).astype(np.int32))
    plain = ("--embedding", "f32", "--activations", "f32")
    for name in ("f32", "int4"):
        tool("qopt-compile", stories, "--weights", name, *plain, "-o", folder / f"{name}.qopt")
    tool("qopt-compile", stories, "--weights", "int8", "-o", folder / "int8.qopt")
    return folder


def compared(tool, folder, model, *options):
    words = ("--tokens", folder / "t.npy", "--reference", folder / "f32.qopt", "--compare-tensors", "--json")
    return json.loads(tool("qopt-eval", folder / model, *words, *options).stdout)["tensors"]


def test_an_artifact_is_itself(tool, folder):
    found = compared(tool, folder, "f32.qopt")
    assert found["unmatched"] == 0 and len(found["values"]) > 30
    assert {value["relative_rms"] for value in found["values"]} == {0}


def test_the_last_value_is_the_logits(tool, folder):
    """Against numpy, on what --save-logits writes."""
    logits = []
    for name in ("int4", "f32"):
        path = folder / f"{name}.npy"
        tool("qopt-eval", folder / f"{name}.qopt", "--tokens", folder / "t.npy", "--save-logits", path)
        logits.append(np.load(path).astype(np.float64))
    expected = np.sqrt(((logits[0] - logits[1]) ** 2).sum() / (logits[1] ** 2).sum())
    html = folder / "eval.html"
    last = compared(tool, folder, "int4.qopt", "--html", html)["values"][-1]
    assert last["columns"] == 512 and last["relative_rms"] == pytest.approx(expected, rel=1e-4)
    assert "Growth of errors" in html.read_text()


def test_errors_begin_with_the_first_weight(tool, folder):
    values = compared(tool, folder, "int4.qopt")["values"]
    embedded = next(value for value in values if value["kernel"] == "embedding")
    linear = next(value for value in values if value["kernel"] == "linear")
    assert embedded["relative_rms"] == 0  # as the file has it
    assert 0.01 < linear["relative_rms"] < 0.5


def test_codes_of_activations_count_as_what_they_mean(tool, folder):
    """Norms write int8 there and f32 in the reference; the error is that of 8 bits."""
    values = compared(tool, folder, "int8.qopt")["values"]
    norm = next(value for value in values if value["kernel"] == "rms_norm")
    assert 0.001 < norm["relative_rms"] < 0.02


def test_the_table(tool, folder):
    words = ("--tokens", folder / "t.npy", "--reference", folder / "f32.qopt", "--compare-tensors")
    lines = tool("qopt-eval", folder / "int4.qopt", *words).stdout.splitlines()
    first = next(i for i, line in enumerate(lines) if line.startswith("value, in order of execution"))
    assert "growth" in lines[first] and len(lines) > first + 30


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ((), "--compare-tensors requires --reference"),
        (("--reference", "l.npy"), "--compare-tensors expects an artifact"),
    ],
)
def test_two_artifacts_are_needed(tool, folder, options, message):
    words = ("--tokens", folder / "t.npy", "--compare-tensors", *options)
    done = tool("qopt-eval", folder / "int4.qopt", *words, check=False)
    assert done.returncode == USAGE and message in done.stderr


def test_values_are_of_the_host(tool, stories, folder):
    tool("qopt-compile", stories, "--target", "cuda", "-o", folder / "gpu.qopt")
    np.save(folder / "short.npy", np.full((1, 4), 7, np.int32))
    words = ("--tokens", folder / "short.npy", "--device", "emulator", "--reference", folder / "f32.qopt")
    done = tool("qopt-eval", folder / "gpu.qopt", *words, "--compare-tensors", check=False)
    assert done.returncode == UNSUPPORTED and "can be seen on the host alone" in done.stderr
