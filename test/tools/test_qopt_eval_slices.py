"""qopt-eval by domain and by the tokens seen: a slice has the figures of its positions alone."""

import json

import numpy as np
import pytest
from distributions import calibration_bins, calibration_error, divergences, surprises

USAGE = 2
DRAWN = np.random.default_rng(5).integers(0, 50, (7, 40)).astype(np.int32)
PARTS = {"code": slice(0, 3), "tales": slice(3, 7)}


@pytest.fixture(scope="module")
def folder(tool, artifacts, tmp_path_factory):
    """code.npy and tales.npy, and the logits of both models for all of them."""
    folder = tmp_path_factory.mktemp("slices")
    np.save(folder / "all.npy", DRAWN)
    for name, part in PARTS.items():
        np.save(folder / f"{name}.npy", DRAWN[part])
    for name in ("decoder", "other"):
        run = ("--tokens", folder / "all.npy", "--save-logits", folder / f"{name}-logits.npy")
        tool("qopt-eval", artifacts / f"{name}.qopt", *run)
    return folder


@pytest.fixture(scope="module")
def logits(folder):
    return np.load(folder / "other-logits.npy"), np.load(folder / "decoder-logits.npy")


def run(artifacts, folder, names=PARTS):
    words = [word for name in names for word in ("--tokens", f"{name}={folder / name}.npy")]
    return ("qopt-eval", artifacts / "other.qopt", *words, "--reference", folder / "decoder-logits.npy")


def check(found, ours, theirs, tokens):
    """`tokens` has one column more than there are predictions."""
    near = {"rel": 1e-6}
    nll = surprises(ours, tokens)
    assert found["predictions"] == nll.size
    assert found["perplexity"] == pytest.approx(np.exp(nll.mean()), **near)
    assert found["reference"]["perplexity"] == pytest.approx(np.exp(surprises(theirs, tokens).mean()), **near)
    change = np.exp(-nll) - np.exp(-surprises(theirs, tokens))
    assert found["probability_change_percent"]["rms"] == pytest.approx(100 * np.sqrt((change**2).mean()), **near)
    for side, values in ((found, ours), (found["reference"], theirs)):
        error = side["calibration_error_percent"]
        assert error["expected"] == pytest.approx(100 * calibration_error(values, tokens), **near)
        assert [b["count"] for b in error["bins"]] == calibration_bins(values, tokens)[0].tolist()


def test_domains(tool, artifacts, folder, logits):
    found = json.loads(tool(*run(artifacts, folder), "--json").stdout)
    check({"predictions": 7 * 39, **found}, *logits, DRAWN)
    assert [domain["name"] for domain in found["domains"]] == list(PARTS)
    for domain, part in zip(found["domains"], PARTS.values(), strict=True):
        ours, theirs = (values[part] for values in logits)
        assert domain["windows"] == len(ours)
        check(domain, ours, theirs, DRAWN[part])
        assert domain["kl"]["mean"] == pytest.approx(divergences(theirs, ours).mean(), rel=1e-6)
        assert domain["kl"]["low"] < domain["kl"]["mean"] < domain["kl"]["high"]


def test_one_text_is_no_slice(tool, artifacts, folder):
    assert "domains" not in json.loads(tool(*run(artifacts, folder, ["code"]), "--json").stdout)


def test_lengths(tool, artifacts, folder, logits):
    """The last position of a window predicts nothing known, and counts for the distance of its slice."""
    found = json.loads(tool(*run(artifacts, folder), "--json").stdout)["lengths"]
    assert [part["name"] for part in found] == ["1-16", "17-39"]
    for part, first, end in zip(found, (0, 16), (16, 40), strict=True):
        predicting = slice(first, min(end + 1, 40))
        ours, theirs = (values[:, predicting] for values in logits)
        check(part, ours, theirs, DRAWN[:, predicting])
        divergence = divergences(*(values[:, first:end] for values in logits[::-1]))
        assert part["kl"]["mean"] == pytest.approx(divergence.mean(), rel=1e-6)
        assert part["kl"]["p999"] == pytest.approx(divergence.max(), rel=1e-6)


@pytest.mark.parametrize("length, names", [(16, []), (17, []), (18, ["1-16", "17-17"])])
def test_every_length_predicts(tool, artifacts, tmp_path, length, names):
    np.save(tmp_path / "short.npy", DRAWN[:, :length])
    found = json.loads(tool("qopt-eval", artifacts / "other.qopt", "--tokens", tmp_path / "short.npy", "--json").stdout)
    assert [part["name"] for part in found.get("lengths", [])] == names


def test_calibration(tool, artifacts, folder, logits):
    found = json.loads(tool(*run(artifacts, folder), "--json").stdout)["calibration_error_percent"]
    for name, expected in zip(("count", "confidence", "accuracy"), calibration_bins(logits[0], DRAWN), strict=True):
        assert [b[name] for b in found["bins"]] == pytest.approx(expected.tolist(), rel=1e-6)
    assert found["low"] < found["high"]


def test_text(tool, artifacts, folder):
    shown = tool(*run(artifacts, folder)).stdout.splitlines()
    rows = {line.split()[0]: line.split()[1:] for line in shown if line}
    assert rows["code"][0] == "117" and rows["tales"][0] == "156" and rows["1-16"][0] == "112"
    assert len(rows["code"]) == len(rows["17-39"]) == 8


def test_a_path_may_have_an_equals_sign(tool, artifacts, folder, tmp_path):
    np.save(tmp_path / "a=b.npy", DRAWN)
    assert (
        json.loads(tool(*run(artifacts, folder)[:2], "--tokens", tmp_path / "a=b.npy", "--json").stdout)["windows"] == 7
    )


def test_errors(tool, artifacts, folder, tmp_path):
    np.save(tmp_path / "short.npy", DRAWN[:, :9])
    code = f"code={folder}/code.npy"
    cases = {
        ("--tokens", code, "--tokens", code): '--tokens gives "code" twice; expected a name for each',
        ("--tokens", "code="): '--tokens is "code="; expected PATH or NAME=PATH',
        ("--tokens", code, "--tokens", f"x={tmp_path}/short.npy"): (
            '"x" has windows of 9 tokens, "code" of 40; expected texts with windows of one length (--window)'
        ),
    }
    for arguments, message in cases.items():
        failed = tool("qopt-eval", artifacts / "other.qopt", *arguments, check=False)
        assert failed.returncode == USAGE and failed.stderr == f"error: {message}\n", failed.stderr
