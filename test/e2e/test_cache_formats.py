"""Caches of codes: what the emulator writes greedily with the GPU's kernels, the host would have written with its own.

Both round the same numbers to the same codes; but a key that f16 sums move across the middle of two levels is a code
more or less, so that a choice may differ where two tokens are nearly as likely.
"""

import json

import numpy as np
import pytest
from conftest import NO_ASSEMBLER
from distributions import choice_gaps, divergences

# In parts of the spread of the logits: the largest preference that a level more or less may turn; and how many of 200
# choices it turns.
NEAR_TIE = {"int8": 0.01, "fp8_e4m3": 0.02, "int4": 0.16}
TURNED = {"int8": 4, "fp8_e4m3": 10, "int4": 40}
# The columns of stories260k's down projections are no multiple of 32.
DOWN = [word for layer in range(5) for word in ("--format", f"node_linear_{6 + 7 * layer}=int8")]


def gaps_of(tool, folder, tmp_path, formats, count, prompt=None):
    """The emulator's tokens, given to the host: by how much the host prefers another to each of them."""
    for target, device in (("host", "host"), ("cuda", "emulator")):
        options = ("--target", target, "--activations", "f16", *formats)
        tool("qopt-compile", folder, *options, "-o", tmp_path / f"{device}.qopt", environment=NO_ASSEMBLER)
    prompt = prompt or json.loads((folder / "generate.json").read_text())["prompt_ids"]
    asked = ("--tokens", ",".join(map(str, prompt)), "--max-tokens", count, "--json", "--device", "emulator")
    chosen = json.loads(tool("qopt-run", tmp_path / "emulator.qopt", *asked).stdout)["tokens"]
    assert len(chosen) == count
    np.save(tmp_path / "t.npy", np.array([[*prompt, *chosen]], np.int32))
    window = ("--tokens", tmp_path / "t.npy", "--window", len(prompt) + count)
    tool("qopt-eval", tmp_path / "host.qopt", *window, "--save-logits", tmp_path / "l.npy")
    return choice_gaps(np.load(tmp_path / "l.npy")[0, len(prompt) - 1 : -1], np.array(chosen))


@pytest.mark.parametrize(("weights", "cache"), [("f16", "int8"), ("int8", "fp8_e4m3"), ("int4_g32", "int4")])
def test_stories(tool, stories, tmp_path, weights, cache):
    formats = ("--weights", weights, "--kv", cache, *(DOWN if "_g" in weights else ()))
    gaps = gaps_of(tool, stories, tmp_path, formats, 200)
    assert gaps.max() <= NEAR_TIE[cache] and (gaps > 0).sum() <= TURNED[cache], gaps


@pytest.mark.parametrize(("weights", "cache"), [("int8", "fp8_e4m3"), ("int4_g128", "int8"), ("int4_g32", "int4")])
def test_books(tool, shared, tmp_path, weights, cache):
    gaps = gaps_of(tool, shared / "models/books-llama-28m", tmp_path, ("--weights", weights, "--kv", cache), 16)
    assert gaps.max() <= NEAR_TIE[cache], gaps


def test_latest_positions(tool, stories, tmp_path):
    """With them a token reads the same whatever the steps, and a prompt in one step loses as little as single tokens
    do."""
    text = json.loads((stories / "generate.json").read_text())
    np.save(tmp_path / "t.npy", np.array([[*text["prompt_ids"], *text["new_ids"]]], np.int32))

    def logits(cache, *options):
        exact = ("--weights", "f32", "--activations", "f32", "--kv", cache)
        tool("qopt-compile", stories, *exact, "-o", tmp_path / "m.qopt")
        windows = ("--tokens", tmp_path / "t.npy", *options)
        tool("qopt-eval", tmp_path / "m.qopt", *windows, "--save-logits", tmp_path / "l.npy")
        return np.load(tmp_path / "l.npy")

    groups = "int4_asym_g32_zf,int4"
    exact, plain, latest = (logits(cache) for cache in ("f32", groups, f"{groups},recent=32,first=16"))
    assert 0 < divergences(exact, latest).mean() <= divergences(exact, plain).mean() / 2
    for chunk in (1, 40):
        steps = logits(f"{groups},recent=32,first=16", "--chunk", chunk)
        assert divergences(latest, steps).mean() <= divergences(exact, latest).mean() / 100
