"""qopt-run on artifacts built by hand: arrays in and out, comparisons, and one clear error for each wrong call."""

import json

import numpy as np
import pytest

USAGE, BAD_MODEL, INFEASIBLE, GATE, NOT_FOUND = 2, 3, 5, 6, 9
X = np.arange(24, dtype=np.float32).reshape(3, 8) - 7


def normed(x):
    return x / np.sqrt((x * x).mean(-1, keepdims=True) + 1e-5)


@pytest.mark.parametrize("save", [np.savez, np.savez_compressed])
@pytest.mark.parametrize("prefix", ["", "in."])
def test_graph_reads_and_writes_numpy(tool, artifacts, tmp_path, save, prefix):
    save(tmp_path / "in.npz", **{prefix + "x": X})
    tool("qopt-run", artifacts / "graph.qopt", "--inputs", tmp_path / "in.npz", "--outputs", tmp_path / "out.npz")
    out = np.load(tmp_path / "out.npz")
    np.testing.assert_allclose(out["y"], normed(X), rtol=1e-5)
    assert out["half"].dtype == np.float16 and np.array_equal(out["half"], X.astype(np.float16))


def test_single_input_from_npy_in_column_major_order(tool, artifacts, tmp_path):
    np.save(tmp_path / "x.npy", np.asfortranarray(X))
    done = tool("qopt-run", artifacts / "graph.qopt", "--inputs", tmp_path / "x.npy", "--json")
    y, half = json.loads(done.stdout)["outputs"]
    assert y["shape"] == [3, 8] and y["max"] == pytest.approx(float(normed(X).max()), rel=1e-5)
    assert half["type"] == "f16" and half["mean"] == pytest.approx(float(X.mean()))


def test_compare_with_expected_arrays(tool, artifacts, tmp_path):
    np.savez(tmp_path / "in.npz", x=X)
    np.savez(tmp_path / "good.npz", **{"out.y": normed(X)})
    np.savez(tmp_path / "bad.npz", y=normed(X) + 0.5)
    run = ("qopt-run", artifacts / "graph.qopt", "--inputs", tmp_path / "in.npz", "--json", "--tolerance", 1e-5)
    (y,) = json.loads(tool(*run, "--compare", tmp_path / "good.npz").stdout)["outputs"]
    assert y["name"] == "y" and y["max_abs"] < 1e-5
    failed = tool(*run, "--compare", tmp_path / "bad.npz", check=False)
    assert failed.returncode == GATE and "more than the tolerance 1e-05" in failed.stderr


def test_nothing_to_compare(tool, artifacts, tmp_path):
    """No limit is missed where arrays are of other outputs or shapes: the call is wrong."""
    np.savez(tmp_path / "in.npz", x=X)
    np.savez(tmp_path / "shape.npz", y=normed(X)[:2])
    np.savez(tmp_path / "others.npz")
    np.savez(tmp_path / "logits.npz", a=X, b=X)
    graph = ("qopt-run", artifacts / "graph.qopt", "--inputs", tmp_path / "in.npz", "--compare")
    decoder = ("qopt-run", artifacts / "decoder.qopt", "--tokens", "1,2", "--json", "--compare")
    for command, message in (
        ((*graph, tmp_path / "shape.npz"), "shape.npz' has shape [2, 8] for the output 'y'; expected [3, 8]"),
        (
            (*graph, tmp_path / "others.npz"),
            "others.npz' has none of the outputs to compare with; expected 'y', 'half'",
        ),
        ((*decoder, tmp_path / "shape.npz"), "shape.npz' has shape [2, 8] for the output 'logits'; expected [2, 50]"),
        ((*decoder, tmp_path / "logits.npz"), "has none of the outputs to compare with; expected 'logits'"),
    ):
        failed = tool(*command, check=False)
        assert failed.returncode == USAGE and message in failed.stderr, failed.stderr
        assert failed.stdout == ""


def test_an_input_is_never_replaced(tool, artifacts, tmp_path):
    np.savez(tmp_path / "in.npz", x=X)
    before = (tmp_path / "in.npz").read_bytes()
    run = (artifacts / "graph.qopt", "--inputs", tmp_path / "in.npz", "--outputs", tmp_path / "in.npz")
    refused = tool("qopt-run", *run, check=False)
    assert refused.returncode == USAGE and "read too" in refused.stderr
    assert (tmp_path / "in.npz").read_bytes() == before


def test_compare_artifacts(tool, artifacts):
    run = ("qopt-run", artifacts / "decoder.qopt", "--tokens", "1,2,3", "--json", "--tolerance", "0")
    (same,) = json.loads(tool(*run, "--compare", artifacts / "decoder.qopt").stdout)["outputs"]
    assert same["max_abs"] == 0
    assert tool(*run, "--compare", artifacts / "other.qopt", check=False).returncode == GATE


def test_tokens_without_a_tokenizer(tool, artifacts):
    run = ("qopt-run", artifacts / "decoder.qopt", "--tokens", "4 5,6", "--max-tokens", 9)
    result = json.loads(tool(*run, "--json").stdout)
    assert len(result["tokens"]) == 9 and result["prompt_tokens"] == 3 and result["finish"] == "length"
    assert result["text"] is None
    assert tool(*run).stdout.split() == ["4", "5", "6", *map(str, result["tokens"])]


def test_sampling_depends_on_the_seed_alone(tool, artifacts):
    def tokens(seed, *more):
        run = ("qopt-run", artifacts / "decoder.qopt", "--tokens", "1", "--json", "--temperature", 2, "--seed", seed)
        return json.loads(tool(*run, *more).stdout)["tokens"]

    assert tokens(1) == tokens(1, "--threads", 2) != tokens(2)


def test_end_of_context(tool, artifacts):
    result = json.loads(
        tool("qopt-run", artifacts / "decoder.qopt", "--tokens", "1,2", "--max-tokens", 500, "--json").stdout
    )
    assert result["finish"] == "context" and len(result["tokens"]) == 99


def test_folder_with_one_artifact(tool, artifacts, tmp_path):
    (tmp_path / "model.qopt").write_bytes((artifacts / "decoder.qopt").read_bytes())
    tool("qopt-run", tmp_path, "--tokens", 1, "--max-tokens", 1)
    (tmp_path / "second.qopt").write_bytes(b"")
    failed = tool("qopt-run", tmp_path, "--tokens", 1, check=False)
    assert failed.returncode == USAGE and "holds 2 artifacts; name one of them" in failed.stderr


ERRORS = {
    "no prompt": ("decoder", [], USAGE, "give --prompt, --prompt-file or --tokens"),
    "text without a tokenizer": ("decoder", ["--prompt", "x"], USAGE, "has no tokenizer; give --tokenizer"),
    "arrays for a decoder": ("decoder", ["--tokens", "1", "--inputs", "x.npz"], USAGE, "takes no --inputs"),
    "temperature for a graph": (
        "graph",
        ["--inputs", "x.npz", "--temperature", "1"],
        USAGE,
        "--temperature is for text",
    ),
    "length for a graph": ("graph", ["--inputs", "x.npz", "--max-tokens", "1"], USAGE, "--max-tokens is for text"),
    "negative tolerance": (
        "graph",
        ["--compare", "x", "--tolerance", "-1"],
        USAGE,
        "expected a number from 0 or above",
    ),
    "whole numbers stay whole": ("decoder", ["--tokens", "1", "--top-k", "-5"], USAGE, "or above, got -5\n"),
    "tokens for a graph": ("graph", ["--tokens", "1"], USAGE, "is a graph and writes no text"),
    "graph without inputs": ("graph", [], USAGE, "x: f32[batch, 8]"),
    "missing input file": ("graph", ["--inputs", "none.npz"], NOT_FOUND, "cannot read 'none.npz'"),
    "not ids": ("decoder", ["--tokens", "1,x"], USAGE, '"1,x" is no list of token ids'),
    "negative id": ("decoder", ["--tokens", "-1"], USAGE, "is no list of token ids"),
    "id beyond the vocabulary": ("decoder", ["--tokens", "50"], USAGE, "token 50 is outside the vocabulary of 50"),
    "prompt beyond the context": ("decoder", ["--tokens", "1 " * 101], INFEASIBLE, "context"),
    "no tokens asked": ("decoder", ["--tokens", "1", "--max-tokens", "0"], USAGE, "expected a number from 1 or above,"),
    "too many threads": ("decoder", ["--tokens", "1", "--threads", "9999"], USAGE, "--threads: expected a number"),
    "temperature": ("decoder", ["--tokens", "1", "--temperature", "-1"], USAGE, "temperature"),
    "endless temperature": (
        "decoder",
        ["--tokens", "1", "--temperature", "inf"],
        USAGE,
        "--temperature must be 0 (greedy) or above, and finite, got inf",
    ),
    "top-p": ("decoder", ["--tokens", "1", "--top-p", "1.5"], USAGE, "top-p"),
    "top-k": ("decoder", ["--tokens", "1", "--top-k", "-2"], USAGE, "top-k"),
    "min-p": ("decoder", ["--tokens", "1", "--min-p", "2"], USAGE, "min-p"),
    "repetition penalty": (
        "decoder",
        ["--tokens", "1", "--repetition-penalty", "0"],
        USAGE,
        "--repetition-penalty must",
    ),
    "not a number": ("decoder", ["--tokens", "1", "--seed", "abc"], USAGE, "--seed"),
    "unknown option": ("decoder", ["--bogus"], USAGE, '"qopt-run --help" lists the options'),
    "unknown device": ("decoder", ["--tokens", "1", "--device", "tpu"], USAGE, 'there is no device "tpu"'),
    "schedules of the emulator": (
        "decoder",
        ["--tokens", "1", "--device", "emulator,schedules=0"],
        USAGE,
        "expected host, cuda, cuda:N, cuda,synchronous, emulator or emulator,schedules=N",
    ),
    "two prompts": ("decoder", ["--tokens", "1", "--prompt", "x"], USAGE, "--prompt"),
    "tolerance alone": ("decoder", ["--tokens", "1", "--tolerance", "1"], USAGE, "--compare"),
}


@pytest.mark.parametrize("case", ERRORS)
def test_error(tool, artifacts, case):
    name, arguments, code, message = ERRORS[case]
    failed = tool("qopt-run", artifacts / f"{name}.qopt", *arguments, check=False)
    assert failed.returncode == code, failed.stderr
    assert failed.stderr.startswith("error: ") and message in failed.stderr
    assert failed.stdout == ""


def test_wrong_arrays(tool, artifacts, tmp_path):
    cases = {"'x' (f32[batch, 8])": {"z": X}, "expected": {"x": X[:, :4]}, "f64": {"x": X.astype(np.float64)}}
    for message, arrays in cases.items():
        np.savez(tmp_path / "in.npz", **arrays)
        failed = tool("qopt-run", artifacts / "graph.qopt", "--inputs", tmp_path / "in.npz", check=False)
        assert failed.returncode == USAGE and message in failed.stderr, failed.stderr


def test_damaged_archive(tool, artifacts, tmp_path):
    np.savez(tmp_path / "in.npz", x=X)
    data = (tmp_path / "in.npz").read_bytes()
    (tmp_path / "in.npz").write_bytes(data[:-40])
    failed = tool("qopt-run", artifacts / "graph.qopt", "--inputs", tmp_path / "in.npz", check=False)
    assert failed.returncode == BAD_MODEL and "perhaps it was cut short" in failed.stderr
