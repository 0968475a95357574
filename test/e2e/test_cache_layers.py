"""Caches whose layers have formats of their own, keys and values apart: by `--kv-format` and by plan."""

import json

import numpy as np
import pytest
from distributions import divergences
from e2e.llama_reference import Llama
from e2e.test_cache_formats import gaps_of
from e2e.test_key_groups import in_groups, logits_of

# Of five layers; what stands first wins.
MIXED = ("cache.0.key=int4_asym_g32_zf", "cache.3.key=int4_g32", "re:^cache\\.[01]\\.value=int8")


def options(entries):
    return [word for entry in entries for word in ("--kv-format", entry)]


def layers_of(tool, artifact):
    layers = json.loads(tool("qopt-inspect", artifact, "--json").stdout)["model"]["cache_layers"]
    return [(layer["key"], layer["value"]) for layer in layers]


@pytest.fixture(scope="module")
def tokens(stories):
    text = json.loads((stories / "generate.json").read_text())
    return np.array([*text["prompt_ids"], *text["new_ids"]], np.int32)


def test_each_layer_has_its_own(tool, stories, tmp_path, tokens):
    """Against a model in NumPy that stores the keys of two layers in groups, and those of no other."""
    stored = {0: in_groups("int4_asym_g32_zf"), 3: in_groups("int4_g32")}
    artifact = tmp_path / "m.qopt"
    exact = ("--weights", "f32", "--activations", "f32", "--kv", "f32")
    tool("qopt-compile", stories, *exact, *options(MIXED[:2]), "-o", artifact)
    keys = [key for key, _ in layers_of(tool, artifact)]
    assert keys == ["int4_asym_g32_zf", "f32", "f32", "int4_g32", "f32"]
    found = logits_of(tool, artifact, tokens, None)
    plain, expected, other = (Llama(stories, stored=s).logits(tokens, None) for s in ({}, stored, {0: stored[0]}))
    assert divergences(expected, found).mean() <= divergences(plain, expected).mean() / 20
    assert divergences(expected, found).mean() <= divergences(other, expected).mean() / 20


def test_all_layers_alike_are_the_cache_of_one_format(tool, stories, tmp_path, tokens):
    logits = []
    for words in (["--kv", "int8,int4"], options(["re:key=int8", "re:value=int4"])):
        tool("qopt-compile", stories, *words, "-o", tmp_path / "m.qopt")
        assert layers_of(tool, tmp_path / "m.qopt") == [("int8", "int4")] * 5
        logits.append(logits_of(tool, tmp_path / "m.qopt", tokens, 16))
    assert np.array_equal(*logits)


def test_the_plan_has_them(tool, stories, tmp_path):
    """Listed, edited and compiled again; what the plan says stands above --kv."""
    plan, artifact = tmp_path / "plan.json", tmp_path / "m.qopt"
    words = ["--kv", "f16", *options(["cache.2.value=int8"])]
    tool("qopt-compile", stories, *words, "--save-plan", plan, "-o", artifact)
    written = json.loads(plan.read_text())
    caches = {cache["name"]: cache for cache in written["caches"]}
    assert list(caches)[:3] == ["cache.0.key", "cache.0.value", "cache.1.key"] and len(caches) == 10
    assert caches["cache.2.value"]["format"] == "int8"
    heads, channels = (caches["cache.2.value"][name] for name in ("heads", "channels"))
    assert caches["cache.2.value"]["bytes"] == heads * (channels + 2)
    assert caches["cache.2.key"]["bytes"] == heads * channels * 2
    tool("qopt-compile", stories, "--plan", plan, "-o", tmp_path / "again.qopt")
    assert layers_of(tool, tmp_path / "again.qopt") == layers_of(tool, artifact)
    caches["cache.4.key"]["format"] = "int4"
    plan.write_text(json.dumps(written))
    tool("qopt-compile", stories, "--plan", plan, "-o", tmp_path / "again.qopt")
    assert layers_of(tool, tmp_path / "again.qopt")[4] == ("int4", "f16")
    caches["cache.4.key"]["format"] = "int4_g16"
    plan.write_text(json.dumps(written))
    done = tool("qopt-compile", stories, "--plan", plan, "-o", tmp_path / "again.qopt", check=False)
    assert 'is "cache.4.key=int4_g16"; a group of keys is of 16 positions' in done.stderr


def test_gpu(tool, stories, tmp_path):
    """One page table serves layers with groups of keys and without; the host prefers the emulator's tokens."""
    gaps = gaps_of(tool, stories, tmp_path, ("--weights", "f16", "--kv", "f16", *options(MIXED)), 60)
    assert gaps.max() <= 0.05, gaps


def test_gpus_refuse_what_no_kernel_of_theirs_reads(tool, stories, tmp_path):
    words = ("--target", "cuda", *options(["cache.1.value=bf16"]), "-o", tmp_path / "m.qopt")
    done = tool("qopt-compile", stories, *words, check=False)
    assert done.returncode and not (tmp_path / "m.qopt").exists()
    assert 'error: --kv-format is "cache.1.value=bf16"; with activations in f16 a GPU keeps keys and' in done.stderr
