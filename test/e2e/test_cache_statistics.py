"""What calibration sees of keys, ahead of their rotation and behind it, and of values: beside a NumPy model."""

import json
import shutil

import numpy as np
import onnx
import pytest
from e2e.llama_reference import Llama

LAYERS = 5


class Watched(Llama):
    """Keeps the keys of each layer ahead of their rotation, and keys and values as a cache has them."""

    def __init__(self, folder):
        super().__init__(folder)
        self.before, self.cached = [], {}

    def rotate(self, x, start):
        if x.shape[0] == self.kv_heads:
            self.before.append(x)
        return super().rotate(x, start)

    def attention(self, x, prefix, past):
        y = super().attention(x, prefix, past)
        self.cached.setdefault(int(prefix.split(".")[2]), []).append(past[prefix])
        return y


@pytest.fixture(scope="module")
def tokens(tmp_path_factory):
    path = tmp_path_factory.mktemp("tokens") / "t.npy"
    np.save(path, np.random.default_rng(3).integers(3, 500, (8, 64), dtype=np.int32))
    return path


def compiled(tool, model, tokens, folder, cache):
    """The plan's entries by name, and what was said."""
    plan = folder / "plan.json"
    options = ("--weights", "int8", "--activations", "f32", "--algorithm", "gptq", "--calibrate", tokens, "--kv", cache)
    done = tool("qopt-compile", model, *options, "--save-plan", plan, "-o", folder / "m.qopt")
    return {entry["name"]: entry for entry in json.loads(plan.read_text())["caches"]}, done.stderr


def test_statistics_are_those_of_the_keys_and_values(tool, stories, tokens, tmp_path):
    model = Watched(stories)
    for window in np.load(tokens):
        model.logits(window)
    caches, _ = compiled(tool, stories, tokens, tmp_path, "int8")
    for layer in range(LAYERS):
        keys, values = (np.stack([pair[i] for pair in model.cached[layer]]) for i in (0, 1))
        for entry, part, expected in (
            (f"cache.{layer}.key", "statistics", keys),
            (f"cache.{layer}.key", "before_rotary", np.stack(model.before[layer::LAYERS])),
            (f"cache.{layer}.value", "statistics", values),
        ):
            found = caches[entry][part]
            assert found["largest"] == pytest.approx(np.abs(expected).max(), rel=1e-4)
            assert found["rms"] == pytest.approx(np.sqrt(np.mean(expected**2)), rel=1e-4)
        assert "before_rotary" not in caches[f"cache.{layer}.value"]
    shown = tool("qopt-inspect", tmp_path / "m.qopt").stdout
    assert "cache.0.key before rotary: largest " in shown and "cache.4.value: largest " in shown


def test_a_large_channel_is_found_and_told(tool, stories, tokens, tmp_path):
    """Where a position has one scale it is worth a line; not where each channel has its own."""
    shutil.copytree(stories, tmp_path / "model")
    model = onnx.load(tmp_path / "model/model.onnx")
    key = next(w for w in model.graph.initializer if list(w.dims) == [64, 32])
    array = onnx.numpy_helper.to_array(key).copy()
    array[:, 11] *= 40  # head 1, channel 3
    key.CopyFrom(onnx.numpy_helper.from_array(array, key.name))
    onnx.save(model, tmp_path / "model/model.onnx")
    caches, said = compiled(tool, tmp_path / "model", tokens, tmp_path, "int4")
    first = caches["cache.0.key"]["before_rotary"]["channels"][0]
    assert (first["head"], first["channel"]) == (1, 3) and first["times"] > 6
    assert "cache.0.key is int4, with one scale a position" in said
    assert "keys in groups of positions (int4_asym_g32_zf) have a scale for each channel" in said
    caches, said = compiled(tool, tmp_path / "model", tokens, tmp_path, "int4_asym_g32_zf,f16")
    assert caches["cache.0.key"]["statistics"]["outliers"] > 0 and "with one scale a position" not in said
    assert "statistics" in caches["cache.0.value"]


def test_a_cache_of_floats_is_not_looked_at(tool, stories, tokens, tmp_path):
    caches, _ = compiled(tool, stories, tokens, tmp_path, "f16")
    assert not any("statistics" in entry for entry in caches.values())
