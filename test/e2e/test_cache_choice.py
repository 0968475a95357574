"""Formats of the cache under a budget on memory, by layer, and exchanges that are measured behind the choice."""

import json

import numpy as np
import pytest

EXACT = ("--weights", "f32", "--embedding", "f32", "--activations", "f32", "--kv", "f32")
WEIGHTS = ("--candidates", "int4_asym,int8", "--algorithm", "rtn")


@pytest.fixture(scope="module")
def work(tool, stories, stories_artifact, tmp_path_factory):
    """calib.txt, text that the model writes; plan.json, chosen under a budget on memory that it fills; m.qopt."""
    folder = tmp_path_factory.mktemp("caches")
    texts = []
    for seed in range(16):
        sampling = ("--temperature", 1, "--seed", seed, "--max-tokens", 300, "--json")
        texts.append(json.loads(tool("qopt-run", stories_artifact, "--prompt", "Once", *sampling).stdout)["text"])
    (folder / "calib.txt").write_text("\n".join(texts))
    options = ("--calibrate", folder / "calib.txt", "--store", folder / "store", *WEIGHTS, "--moves", 3)
    memory = ("--max-memory", "1600kB", "--batch", 4, "--context", 128, "--save-plan", folder / "plan.json")
    tool("qopt-compile", stories, *options, *memory, "-o", folder / "m.qopt")
    return folder


def caches_of(folder):
    return {cache["name"]: cache for cache in json.loads((folder / "plan.json").read_text())["caches"]}


def test_the_artifact_has_what_was_chosen(tool, work):
    caches = caches_of(work)
    layers = json.loads(tool("qopt-inspect", work / "m.qopt", "--json").stdout)["model"]["cache_layers"]
    found = {f"cache.{i}.{part}": layer[part] for i, layer in enumerate(layers) for part in ("key", "value")}
    assert found == {name: cache["format"] for name, cache in caches.items()}
    assert len(set(found.values())) >= 2
    for cache in caches.values():
        sizes, costs = ([entry[key] for entry in cache["alternatives"]] for key in ("bytes", "predicted_kl"))
        assert sizes == sorted(sizes) and min(costs) == costs[-1]


def test_predictions_are_what_one_cache_alone_does(tool, stories, work):
    """KL of the unquantized model with one cache in a format, over three orders of magnitude."""
    tool("qopt-compile", stories, *EXACT, "-o", work / "f.qopt")
    windows = ("--text", work / "calib.txt", "--window", 512)
    tool("qopt-eval", work / "f.qopt", *windows, "--save-logits", work / "l.npy")
    caches = caches_of(work)
    for name, form in (
        ("cache.0.key", "int8"),
        ("cache.1.key", "int4"),
        ("cache.1.key", "int4_asym_g32_zf"),
        ("cache.3.value", "int4"),
    ):
        tool("qopt-compile", stories, *EXACT, "--kv-format", f"{name}={form}", "-o", work / "c.qopt")
        found = json.loads(tool("qopt-eval", work / "c.qopt", *windows, "--reference", work / "l.npy", "--json").stdout)
        predicted = next(a["predicted_kl"] for a in caches[name]["alternatives"] if a["format"] == form)
        assert abs(np.log(predicted / found["kl"]["mean"])) < np.log(1.6), (name, form, predicted, found["kl"]["mean"])


def test_exchanges_are_measured_and_kept_where_they_help(work):
    moves = json.loads((work / "plan.json").read_text())["moves"]
    assert len(moves["tried"]) == 3 and moves["tokens"] > 0
    best = moves["kl_before"]
    for move in moves["tried"]:
        assert move["smaller"] != move["larger"]
        assert not move["kept"] or move["kl"] < best
        best = move["kl"] if move["kept"] else best
    assert moves["kl_after"] == pytest.approx(best)


@pytest.mark.parametrize(
    ("options", "message"),
    [
        (("--bits", 6, "--kv-candidates", "int8"), "--kv-candidates"),
        (("--max-memory", "2MB", "--kv", "int8", "--kv-candidates", "int8"), "where no --kv is given; leave it out"),
        (("--max-memory", "2MB", "--kv-candidates", "int7"), '--kv-candidates: format "int7": unknown element type'),
        (("--max-memory", "2MB", "--kv-candidates", "lut4"), '--kv-candidates is "lut4'),
        (("--moves", 3), "--moves exchanges formats within a budget; give --bits or another one, or leave it out"),
    ],
)
def test_what_makes_no_sense_is_refused(tool, stories, work, options, message):
    words = ("--calibrate", work / "calib.txt", *options, "-o", work / "none.qopt")
    done = tool("qopt-compile", stories, *words, check=False)
    assert done.returncode and message in done.stderr and not (work / "none.qopt").exists()
