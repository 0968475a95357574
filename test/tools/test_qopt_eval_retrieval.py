"""qopt-eval --retrieval: what it says of needles is NumPy's from the logits of the prompts, built anew."""

import json

import numpy as np
import pytest
from distributions import surprises

USAGE, INFEASIBLE = 2, 5
TOKENS = np.random.default_rng(8).integers(0, 50, (5, 40)).astype(np.int32)
DEPTHS = [10, 30, 50, 70, 90, None]


def prompts(percent):
    """Eight tokens of the next window hidden in each, and the first four of them before the other four at the end."""
    needles = np.roll(TOKENS, -1, axis=0)[:, 20:28]
    if percent is None:
        return np.concatenate([TOKENS[:, :32], needles], 1)
    before = 24 * percent // 100
    return np.concatenate([TOKENS[:, :before], needles, TOKENS[:, before:24], needles], 1)


@pytest.fixture(scope="module")
def folder(tool, artifacts, tmp_path_factory):
    folder = tmp_path_factory.mktemp("retrieval")
    np.save(folder / "tokens.npy", TOKENS)
    for percent in DEPTHS:
        np.save(folder / f"{percent}.npy", prompts(percent))
        for name in ("decoder", "other"):
            run = ("--tokens", folder / f"{percent}.npy", "--save-logits", folder / f"{name}-{percent}.npy")
            tool("qopt-eval", artifacts / f"{name}.qopt", *run)
    return folder


def side(folder, name, percent):
    """p and rank of the last four tokens."""
    logits, tokens = np.load(folder / f"{name}-{percent}.npy"), prompts(percent)
    ordered = np.argsort(-logits[:, 35:39], axis=-1, kind="stable")
    ranks = (ordered == tokens[:, 36:, None]).argmax(-1) + 1
    return np.exp(-surprises(logits, tokens)[:, 35:]), ranks


def run(artifacts, folder, *options):
    return ("qopt-eval", artifacts / "other.qopt", "--tokens", folder / "tokens.npy", "--retrieval", *options)


def test_every_depth(tool, artifacts, folder):
    found = json.loads(tool(*run(artifacts, folder, "--reference", artifacts / "decoder.qopt"), "--json").stdout)
    assert [depth["depth_percent"] for depth in found["retrieval"]] == DEPTHS
    for depth, percent in zip(found["retrieval"], DEPTHS, strict=True):
        (ours, ranks), (theirs, their_ranks) = (side(folder, name, percent) for name in ("other", "decoder"))
        for got, chance, rank in ((depth, ours, ranks), (depth["reference"], theirs, their_ranks)):
            assert got["probability_percent"]["mean"] == pytest.approx(100 * chance.mean(), rel=1e-5)
            assert got["rank"]["mean"] == pytest.approx(rank.mean(), rel=1e-6)
            assert got["found_percent"]["mean"] == pytest.approx(100 * (rank == 1).mean(), rel=1e-6)
            assert got["rank"]["low"] < got["rank"]["mean"] < got["rank"]["high"]
        change = depth["reference"]["change_percent"]["mean"]
        assert change == pytest.approx(100 * (ours - theirs).mean(), rel=1e-5, abs=1e-6)


def test_floor(tool, artifacts, folder):
    found = json.loads(tool(*run(artifacts, folder, "--floor-chunk", 1), "--json").stdout)["retrieval"]
    for depth in found:
        assert depth["floor"]["rank"] == depth["rank"] and abs(depth["floor"]["change_percent"]["mean"]) < 1e-4


def test_a_trained_model_finds_needles(tool, stories_artifact, tmp_path):
    """Random tokens cannot be guessed: what was read before ranks higher, at every depth."""
    np.save(tmp_path / "drawn.npy", np.random.default_rng(1).integers(260, 500, (24, 64)).astype(np.int32))
    run = ("--tokens", tmp_path / "drawn.npy", "--retrieval")
    found = json.loads(tool("qopt-eval", stories_artifact, *run, "--json").stdout)["retrieval"]
    assert found[-1]["depth_percent"] is None
    assert all(depth["rank"]["mean"] < found[-1]["rank"]["mean"] for depth in found[:-1])


def test_text(tool, artifacts, folder):
    shown = tool(*run(artifacts, folder, "--reference", artifacts / "decoder.qopt", "--floor-chunk", 1)).stdout
    rows = shown.partition("needle at")[2].splitlines()[1:]
    assert [row.split()[0] for row in rows] == ["10", "30", "50", "70", "90", "nowhere"]
    assert len(rows[-1].split()) == 1 + 3 + 4 + 4


def test_errors(tool, artifacts, folder, tmp_path):
    np.save(tmp_path / "logits.npy", np.zeros((5, 40, 50), np.float32))
    np.save(tmp_path / "short.npy", TOKENS[:, :31])
    (tmp_path / "c.jsonl").write_text('{"context": [1], "options": [[2], [3]], "answer": 0}')
    tokens = ("--tokens", folder / "tokens.npy")
    cases = [
        ((*tokens, "--windows", 1), INFEASIBLE, "expected two windows or more, of 32 tokens or more, got 1 of 40"),
        (("--tokens", tmp_path / "short.npy"), INFEASIBLE, "of 32 tokens or more, got 5 of 31"),
        (
            (*tokens, "--reference", tmp_path / "logits.npy"),
            USAGE,
            "logits of windows; --retrieval expects an artifact",
        ),
        (("--choices", tmp_path / "c.jsonl"), USAGE, "--retrieval is for --text or --tokens, and there is neither"),
    ]
    for arguments, code, message in cases:
        failed = tool("qopt-eval", artifacts / "other.qopt", "--retrieval", *arguments, check=False)
        assert failed.returncode == code and message in failed.stderr, failed.stderr
