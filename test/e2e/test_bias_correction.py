"""Biases take back what rounding takes from the mean of results: closer to the model than the same codes without
that."""

import json
import re

import numpy as np
import pytest

WINDOWS, LENGTH = 32, 64
NOTE = "; mean kept by its bias"


def ids(path, seed):
    """Tokens of a text that nobody wrote, some of them often: the models are not trained, but have a vocabulary of
    256."""
    drawn = np.random.default_rng(seed).geometric(0.02, (WINDOWS, LENGTH)) % 256
    np.save(path, drawn.astype(np.int32))
    return path


def entry(store, weight):
    """The file of a weight's codes."""
    name = re.sub(r"[^A-Za-z0-9._-]", "_", f"codes-{weight['name']} {weight['format']}"[:80])
    (path,) = store.glob(f"*/{name}.*")
    return path


@pytest.mark.parametrize("family", ["gpt2-optimum", "opt-optimum"])
def test_corrected_biases_are_closer_to_the_model(shared, tool, tmp_path, family):
    model = shared / "zoo/families" / family
    plain = ("--activations", "f32", "--kv", "f32", "--context", LENGTH)
    calibrate = ("--calibrate", ids(tmp_path / "c.npy", 1), "--algorithm", "rtn", "--store", tmp_path / "store")
    plan = ("--save-plan", tmp_path / "p.json")
    valid = ("--tokens", ids(tmp_path / "v.npy", 2))
    tool("qopt-compile", model, "--weights", "f32", *plain, "-o", tmp_path / "f32.qopt")
    tool("qopt-eval", tmp_path / "f32.qopt", *valid, "--save-logits", tmp_path / "l.npy")

    def divergence(name):
        tool("qopt-compile", model, "--weights", "int3_asym", *plain, *calibrate, *plan, "-o", tmp_path / name)
        told = tool("qopt-eval", tmp_path / name, *valid, "--reference", tmp_path / "l.npy", "--json").stdout
        return json.loads(told)["kl"]["mean"]

    corrected = divergence("corrected.qopt")
    weights = json.loads((tmp_path / "p.json").read_text())["weights"]
    noted = [weight for weight in weights if weight["reason"].endswith(NOTE)]
    assert len(noted) >= 4 and len({weight["name"] for weight in noted}) == len(noted)
    assert NOTE in tool("qopt-inspect", tmp_path / "corrected.qopt", "--weights").stdout
    # The same codes, with biases as the file has them: corrections are what the store has behind codes.
    for weight in noted:
        path = entry(tmp_path / "store", weight)
        path.write_bytes(path.read_bytes()[: -4 * weight["rows"]])
    without = divergence("without.qopt")
    assert NOTE not in (tmp_path / "p.json").read_text()
    assert corrected < 0.98 * without, (corrected, without)


def test_nothing_is_corrected_without_a_bias(tool, stories, tmp_path):
    (tmp_path / "t.txt").write_text("Once upon a time there was a little girl named Lily. " * 400)
    options = ("--weights", "int4", "--algorithm", "rtn", "--calibrate", tmp_path / "t.txt", "--save-plan")
    tool("qopt-compile", stories, *options, tmp_path / "p.json", "-o", tmp_path / "m.qopt")
    assert NOTE not in (tmp_path / "p.json").read_text()
