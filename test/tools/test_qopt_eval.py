"""qopt-eval on a decoder built by hand: every figure equals NumPy's from the logits that it saves."""

import json

import numpy as np
import pytest
from distributions import divergences, surprises

USAGE, BAD_MODEL, INFEASIBLE, GATE, NOT_FOUND = 2, 3, 5, 6, 9
TOKENS = np.random.default_rng(0).integers(0, 50, (6, 40)).astype(np.int32)


@pytest.fixture(scope="module")
def saved(tool, artifacts, tmp_path_factory):
    """tokens.npy, and the logits of decoder.qopt and other.qopt."""
    folder = tmp_path_factory.mktemp("eval")
    np.save(folder / "tokens.npy", TOKENS)
    for name in ("decoder", "other"):
        arguments = ("--tokens", folder / "tokens.npy", "--save-logits", folder / f"{name}.npy")
        tool("qopt-eval", artifacts / f"{name}.qopt", *arguments)
    return folder


def nll(logits):
    return surprises(logits, TOKENS).mean()


def evaluate(tool, *arguments):
    return json.loads(tool("qopt-eval", *arguments, "--json").stdout)


def test_perplexity(tool, artifacts, saved):
    found = evaluate(tool, artifacts / "decoder.qopt", "--tokens", saved / "tokens.npy")
    assert (found["windows"], found["window_length"]) == TOKENS.shape
    assert found["perplexity"] == pytest.approx(np.exp(nll(np.load(saved / "decoder.npy"))), rel=1e-6)
    assert found["perplexity_low"] < found["perplexity"] < found["perplexity_high"]


def test_an_input_is_never_replaced(tool, artifacts, saved, tmp_path):
    np.save(tmp_path / "tokens.npy", TOKENS)
    before = (tmp_path / "tokens.npy").read_bytes()
    run = (artifacts / "decoder.qopt", "--tokens", tmp_path / "tokens.npy")
    for option in ("--save-logits", "--report"):
        refused = tool("qopt-eval", *run, option, tmp_path / "tokens.npy", check=False)
        assert refused.returncode == 2 and f"error: {option} is" in refused.stderr
    assert (tmp_path / "tokens.npy").read_bytes() == before


def test_windows_do_not_depend_on_each_other(tool, artifacts, saved, tmp_path):
    np.save(tmp_path / "last.npy", TOKENS[5:])
    run = ("--tokens", tmp_path / "last.npy", "--save-logits", tmp_path / "logits.npy", "--threads", 1)
    tool("qopt-eval", artifacts / "decoder.qopt", *run)
    np.testing.assert_allclose(np.load(tmp_path / "logits.npy")[0], np.load(saved / "decoder.npy")[5], atol=1e-5)


@pytest.mark.parametrize("chunk", [1, 7, 40])
def test_steps_of_any_size(tool, artifacts, saved, tmp_path, chunk):
    """Token by token from the cache or all at once: the logits are the same."""
    run = ("--tokens", saved / "tokens.npy", "--save-logits", tmp_path / "logits.npy", "--chunk", chunk)
    tool("qopt-eval", artifacts / "decoder.qopt", *run)
    np.testing.assert_allclose(np.load(tmp_path / "logits.npy"), np.load(saved / "decoder.npy"), atol=1e-5)


@pytest.mark.parametrize("reference", ["decoder.npy", "decoder.qopt", "half.npy"])
def test_divergence(tool, artifacts, saved, reference):
    ours, theirs = (np.load(saved / f"{name}.npy") for name in ("other", "decoder"))
    np.save(saved / "half.npy", theirs.astype(np.float16))
    path = (artifacts if reference.endswith("qopt") else saved) / reference
    found = evaluate(tool, artifacts / "other.qopt", "--tokens", saved / "tokens.npy", "--reference", path)
    divergence = divergences(theirs, ours)
    tolerance = {"decoder.npy": 1e-6, "decoder.qopt": 1e-5, "half.npy": 1e-3}[reference]
    assert found["kl"]["mean"] == pytest.approx(divergence.mean(), rel=tolerance)
    assert found["kl"]["low"] < found["kl"]["mean"] < found["kl"]["high"]
    assert found["kl"]["median"] == pytest.approx(np.median(divergence), rel=0.02)
    for name, share in (("p99", 0.99), ("p999", 0.999), ("max", 1)):
        expected = np.quantile(divergence, share, method="inverted_cdf")
        assert found["kl"][name] == pytest.approx(expected, rel=tolerance)
    same = 100 * (ours.argmax(-1) == theirs.argmax(-1)).mean()
    assert found["same_top1_percent"]["mean"] == pytest.approx(same, abs=0.5)
    assert found["reference"]["perplexity"] == pytest.approx(np.exp(nll(theirs)), rel=tolerance)
    change = np.exp(-surprises(ours, TOKENS)) - np.exp(-surprises(theirs, TOKENS))
    root = found["probability_change_percent"]
    assert root["rms"] == pytest.approx(100 * np.sqrt((change**2).mean()), rel=tolerance)
    assert root["low"] < root["rms"] < root["high"]


def test_floor(tool, artifacts, saved, tmp_path):
    """The second run is compared with the first one, and no figure of the first changes."""
    np.save(tmp_path / "tokens.npy", TOKENS)
    run = ("--tokens", tmp_path / "tokens.npy", "--reference", saved / "decoder.npy")
    again = (*run, "--floor-chunk", 1, "--save-logits", tmp_path / "first.npy")
    found = evaluate(tool, artifacts / "other.qopt", *again)
    tool("qopt-eval", artifacts / "other.qopt", *run, "--chunk", 1, "--save-logits", tmp_path / "second.npy")
    first, second = (np.load(tmp_path / f"{name}.npy") for name in ("first", "second"))
    floor = found["floor"]
    assert floor["kl"]["mean"] == pytest.approx(divergences(first, second).mean(), rel=1e-3, abs=1e-15)
    assert floor["perplexity"] == pytest.approx(np.exp(nll(second)), rel=1e-9)
    assert floor["reference"]["perplexity"] == found["perplexity"]
    change = np.exp(-surprises(second, TOKENS)) - np.exp(-surprises(first, TOKENS))
    assert floor["probability_change_percent"]["rms"] == pytest.approx(100 * np.sqrt((change**2).mean()), rel=1e-3)
    assert floor["kl"]["max"] < 1e-9 < found["kl"]["mean"] and floor["same_top1_percent"]["mean"] == 100
    assert [part["floor"]["same_top1_percent"]["mean"] for part in found["lengths"]] == [100, 100]
    without = evaluate(tool, artifacts / "other.qopt", *run)
    assert {name: found[name] for name in ("kl", "perplexity")} == {
        name: without[name] for name in ("kl", "perplexity")
    }
    assert (
        "floor, the model against itself in other steps: KL mean"
        in tool("qopt-eval", artifacts / "other.qopt", *run, "--floor-chunk", 1).stdout
    )


def test_one_window_has_no_interval(tool, artifacts, saved):
    """There is nothing to draw from: bounds are null in JSON and left out of the text, and both say why."""
    run = ("qopt-eval", artifacts / "other.qopt", "--tokens", saved / "tokens.npy", "--windows", 1)
    run += ("--reference", saved / "decoder.npy")
    found = json.loads(tool(*run, "--json").stdout)
    assert found["perplexity_low"] is found["perplexity_high"] is None and found["perplexity"] > 1
    why = "intervals are drawn from windows, and there is one"
    assert found["no_interval"] == why
    for estimate in (found["kl"], found["same_top1_percent"]):
        assert estimate["low"] is estimate["high"] is None and estimate["mean"] >= 0
    assert found["reference"]["perplexity_low"] is None
    text = tool(*run).stdout
    assert text.startswith("1 window of 40 tokens\n")
    assert "95 %:" not in text and f"no intervals: {why}" in text
    two = tool(*run[:-3], 2, *run[-2:]).stdout
    assert two.startswith("2 windows of 40 tokens\n") and two.count("95 %:") == 7 and "no intervals" not in two
    assert "no_interval" not in json.loads(tool(*run[:-3], 2, "--json").stdout)


def test_logits_that_are_no_numbers(tool, artifacts, saved, tmp_path):
    """A reference in a file is a damaged array file."""
    logits = np.load(saved / "decoder.npy")
    logits[3, 7, 11] = np.nan
    np.save(tmp_path / "nan.npy", logits)
    run = ("qopt-eval", artifacts / "other.qopt", "--tokens", saved / "tokens.npy")
    failed = tool(*run, "--reference", tmp_path / "nan.npy", check=False)
    assert failed.returncode == BAD_MODEL
    assert failed.stderr == "error: the reference's logits of position 7 in window 3 are not numbers\n"


def test_same_seed_same_interval(tool, artifacts, saved):
    run = ("qopt-eval", artifacts / "decoder.qopt", "--tokens", saved / "tokens.npy", "--json", "--seed")

    def interval(seed):
        found = json.loads(tool(*run, seed).stdout)
        return found["perplexity_low"], found["perplexity_high"]

    assert interval(3) == interval(3) != interval(4)


def test_flat_tokens_are_cut(tool, artifacts, tmp_path):
    np.save(tmp_path / "flat.npy", TOKENS.ravel().astype(np.int64))
    run = (artifacts / "decoder.qopt", "--tokens", tmp_path / "flat.npy")
    found = evaluate(tool, *run, "--window", 50, "--windows", 3)
    assert (found["windows"], found["window_length"]) == (3, 50)


def test_report_and_gates(tool, artifacts, saved, tmp_path):
    run = ("qopt-eval", artifacts / "other.qopt", "--tokens", saved / "tokens.npy", "--report", tmp_path / "r.json")
    run += ("--reference", saved / "decoder.npy")
    for gate, limit, message in (
        ("--max-perplexity", 2, "perplexity"),
        ("--max-kl", 0.1, "mean KL"),
        ("--min-same-top1", 99, "same-top-1"),
    ):
        failed = tool(*run, gate, limit, check=False)
        assert failed.returncode == GATE and message in failed.stderr
        assert json.loads((tmp_path / "r.json").read_text())["windows"] == 6
    tool(*run, "--max-perplexity", 1e6, "--max-kl", 100, "--min-same-top1", 0)


def test_a_context_of_one_token_predicts_nothing(tool, stories, tmp_path):
    tool("qopt-compile", stories, "--context", 1, "-o", tmp_path / "m.qopt")
    for options in ((), ("--begin-each",)):
        failed = tool("qopt-eval", tmp_path / "m.qopt", "--text", stories / "config.json", *options, check=False)
        assert failed.returncode == INFEASIBLE and "longer than the model's context of 1" in failed.stderr


def test_a_text_without_tokens(tool, stories_artifact, tmp_path):
    """The model's begin token predicts nothing alone."""
    (tmp_path / "empty.txt").touch()
    failed = tool("qopt-eval", stories_artifact, "--text", tmp_path / "empty.txt", check=False)
    assert failed.returncode == USAGE and "empty.txt' has one token to evaluate; expected two" in failed.stderr
    failed = tool("qopt-eval", stories_artifact, "--text", tmp_path / "empty.txt", "--begin-each", check=False)
    assert failed.returncode == USAGE and "empty.txt' has no token to evaluate" in failed.stderr


def test_large_numbers_are_no_limit(tool, artifacts, saved):
    run = ("qopt-eval", artifacts / "decoder.qopt", "--tokens", saved / "tokens.npy", "--json")
    most = 2**63 - 1
    found, same = (json.loads(tool(*run, *more).stdout) for more in ((), ("--windows", most, "--chunk", most)))
    assert found["perplexity"] == pytest.approx(same["perplexity"], rel=1e-6)


def test_errors(tool, artifacts, saved, tmp_path):
    np.save(tmp_path / "beyond.npy", np.full((2, 4), 50, np.int32))
    np.save(tmp_path / "long.npy", np.zeros((1, 101), np.int32))
    np.save(tmp_path / "floats.npy", np.zeros((2, 4), np.float32))
    np.save(tmp_path / "logits.npy", np.zeros((6, 40, 49), np.float32))
    np.save(tmp_path / "one.npy", np.zeros(1, np.int32))
    decoder = artifacts / "decoder.qopt"
    cases = [
        ((decoder,), USAGE, "--text or --tokens"),
        ((artifacts / "graph.qopt", "--tokens", saved / "tokens.npy"), USAGE, "is a graph"),
        ((decoder, "--text", __file__), USAGE, "has no tokenizer"),
        ((decoder, "--tokens", tmp_path / "beyond.npy"), USAGE, "token 50 at 0 of window 0 is outside"),
        ((decoder, "--tokens", tmp_path / "long.npy"), INFEASIBLE, "longer than the model's context of 100"),
        ((decoder, "--tokens", tmp_path / "floats.npy"), USAGE, "expected token ids"),
        ((decoder, "--tokens", tmp_path / "none.npy"), NOT_FOUND, "cannot read"),
        ((decoder, "--tokens", saved / "tokens.npy", "--window", 1), USAGE, "expected a number from 2 or above"),
        ((decoder, "--tokens", saved / "tokens.npy", "--chunk", 0), USAGE, "expected a number from 1 or above"),
        (
            (decoder, "--tokens", tmp_path / "one.npy"),
            USAGE,
            "one.npy' has one token to evaluate; expected two or more",
        ),
        ((decoder, "--tokens", saved / "tokens.npy", "--window", 20), USAGE, "has windows of 40 tokens; leave it out"),
        (
            (decoder, "--tokens", saved / "tokens.npy", "--tokenizer", "x"),
            USAGE,
            "--tokenizer is for --text or --choices",
        ),
        ((decoder, "--text", __file__, "--max-perplexity", -1), USAGE, "expected a number from 1 or above"),
        ((decoder, "--text", __file__, "--max-perplexity", "nan"), USAGE, "expected a number from 1 or above"),
        ((decoder, "--text", __file__, "--reference", "r", "--max-kl", -1), USAGE, "expected a number from 0 or above"),
        (
            (decoder, "--text", __file__, "--reference", "r", "--min-same-top1", 150),
            USAGE,
            "expected a number from 0 to 100",
        ),
        (
            (decoder, "--tokens", saved / "tokens.npy", "--reference", tmp_path / "logits.npy"),
            USAGE,
            "expected logits of these windows, f32[6, 40, 50]",
        ),
    ]
    for arguments, code, message in cases:
        failed = tool("qopt-eval", *arguments, check=False)
        assert failed.returncode == code and message in failed.stderr, failed.stderr
        assert failed.stderr.startswith("error: ")
