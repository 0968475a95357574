"""Keys that lie in the cache ahead of their rotation, against a NumPy model that rotates them when it reads them."""

import json

import numpy as np
import pytest
from distributions import divergences
from e2e.llama_reference import Llama
from e2e.test_key_groups import in_groups, logits_of

EXACT = ("--weights", "f32", "--activations", "f32")


@pytest.fixture(scope="module")
def tokens(tool, stories):
    sampling = ("--temperature", 1, "--seed", 3, "--max-tokens", 150, "--json")
    done = tool("qopt-run", stories, "--prompt", "Once upon a time", *sampling)
    return np.array(json.loads(done.stdout)["tokens"], np.int32)


@pytest.mark.parametrize("step", [None, 40, 1])
def test_groups_of_keys(tool, stories, tmp_path, tokens, step):
    """Codes of unrotated keys, of rotated ones otherwise: the two models are further apart than either from its
    artifact."""
    stored = in_groups("int4_g32")
    tool("qopt-compile", stories, *EXACT, "--kv", "int4_g32,f32,before_rotary", "-o", tmp_path / "m.qopt")
    found = logits_of(tool, tmp_path / "m.qopt", tokens, step)
    expected, behind = (Llama(stories, stored=stored, ahead=ahead).logits(tokens, step) for ahead in (range(5), ()))
    apart = divergences(behind, expected).mean()
    assert apart > 1e-3
    assert divergences(expected, found).mean() <= apart / 20


@pytest.mark.parametrize("kv", ["f32", "f16", "int8", "fp8_e4m3", "int8,recent=32,first=16", "int8_g32,int8,recent=32"])
@pytest.mark.parametrize("step", [None, 7])
def test_a_rotation_costs_nothing(tool, stories, tmp_path, tokens, kv, step):
    """What a format loses does not depend on when keys are rotated; a key at a wrong position is off by 1 and more."""
    losses = []
    for word in ("", ",before_rotary"):
        tool("qopt-compile", stories, *EXACT, "--kv", kv + word, "-o", tmp_path / "m.qopt")
        found = logits_of(tool, tmp_path / "m.qopt", tokens, step)
        losses.append(divergences(Llama(stories).logits(tokens), found).mean())
    assert losses[1] <= 3 * losses[0] + 1e-8, losses


def test_calibration_sees_rotated_keys(tool, stories, tmp_path, tokens):
    """It reads no cache, so that what weights cost is the same however keys are stored."""
    np.save(tmp_path / "c.npy", np.stack([tokens[:64], tokens[64:128]]))
    costs = []
    for word in ("", ",before_rotary"):
        words = ("--weights", "int4", "--kv", "int4_g32,f16" + word, "--save-plan", tmp_path / "p.json")
        words = (*words, "--calibrate", tmp_path / "c.npy", "--store", tmp_path / f"s{word}")
        tool("qopt-compile", stories, *words, "-o", tmp_path / "m.qopt")
        plan = json.loads((tmp_path / "p.json").read_text())
        costs.append([weight["predicted_kl"] for weight in plan["weights"] if "predicted_kl" in weight])
    assert len(costs[0]) > 10 and costs[1] == pytest.approx(costs[0], rel=1e-3)


@pytest.mark.parametrize("words", [("--target", "cuda"), ("--sum-order", "sm_90a")], ids=["gpu", "order"])
def test_gpus_refuse_it(tool, stories, tmp_path, words):
    words = (*words, "--kv", "int8,before_rotary", "-o", tmp_path / "m.qopt")
    done = tool("qopt-compile", stories, *words, check=False)
    assert done.returncode and not (tmp_path / "m.qopt").exists()
    assert "keys ahead of their rotation are read by the host alone" in done.stderr
