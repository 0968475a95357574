"""Caches of integers in groups on GPUs, keys for channels and groups of positions, values for positions and groups of
channels, of 8, 4, 3 and 2 bits: the emulator with every check beside the host, and what plans count of them."""

import json

import numpy as np
import pytest
from conftest import NO_ASSEMBLER, PTX_ONLY
from distributions import divergences
from e2e.test_cuda import launches
from e2e.test_cuda_heads import SIZES, TOKENS, compiled, logits_of, synthetic
from e2e.test_key_groups import logits_of as window_logits

TWO_HEADS = (4, 2)


def expect_same_bits(tool, folder, cache, chunks, *options, activations="f16"):
    """The host in the order of a GPU's sums, which reads its own pages, beside the emulator, which reads a GPU's."""
    options = ("--activations", activations, "--kv", cache, *options)
    host = compiled(tool, folder, "host.qopt", "--sum-order", "sm_90a", *options)
    gpu = compiled(tool, folder, "gpu.qopt", "--target", "cuda", *options)
    for chunk in chunks:
        expected = logits_of(tool, host, "--chunk", chunk)
        found = logits_of(tool, gpu, "--chunk", chunk, "--device", "emulator")
        np.testing.assert_array_equal(found, expected)


@pytest.mark.parametrize(
    ("size", "cache"),
    [
        (64, "int4_asym_g32_zf,int4_asym_g32_zf"),
        (64, "int3_asym_g32_zf,int3_asym_g32_zf"),
        (64, "int2_asym_g32_zf,int2_asym_g32_zf"),
        (96, "int2_g32,int4_g48"),
        (48, "int8,int3_g16"),
        (128, "int3_g64,int2_asym_g128_zf"),
        (640, "int2_asym_g32_zf,int3_asym_g64_zf"),
    ],
)
def test_the_emulator_has_the_hosts_bits(tool, tmp_path, size, cache):
    """Token by token, in chunks that end within pages, tiles and groups, and all in one step."""
    synthetic(tmp_path, size, SIZES.get(size, TWO_HEADS))
    expect_same_bits(tool, tmp_path, cache, (1, 7, 90) if size == 64 else (1, 90))


@PTX_ONLY
def test_windows_and_bfloat16(tool, tmp_path):
    """A window of 24 of 90 positions, and activations that keep keys of their own type until their group is full."""
    synthetic(tmp_path, 64, TWO_HEADS, local_window_size=24)
    expect_same_bits(tool, tmp_path, "int4_asym_g32_zf,int4_asym_g32_zf", (7, 90))
    expect_same_bits(tool, tmp_path, "int8,int2_asym_g32_zf", (7, 90), "--weights", "int8", activations="bf16")


# What rounding to the codes costs a real model is more than that.
LEAST = {"int4_asym_g32_zf": 1e-4, "int2_asym_g32_zf": 1e-2}


@PTX_ONLY
@pytest.mark.parametrize("form", LEAST)
def test_a_real_model_loses_what_it_loses_on_the_host(tool, shared, tmp_path, form):
    """Beside the host with activations in f16 and an order of its own: of what the codes cost, little is between
    both."""
    source, options = shared / "models/books-llama-28m", ("--activations", "f16", "--weights", "int8")
    done = tool("qopt-run", source, "--prompt", "The old house", "--max-tokens", 70, "--json")
    tokens = np.array(json.loads(done.stdout)["tokens"], np.int32)
    logits = {}
    for name, words in {
        "exact": ("--kv", "f16"),
        "host": ("--kv", f"{form},{form}"),
        "emulator": ("--target", "cuda", "--kv", f"{form},{form}"),
    }.items():
        artifact = tmp_path / f"{name}.qopt"
        tool("qopt-compile", source, *options, *words, "-o", artifact, environment=NO_ASSEMBLER)
        device = ("--device", "emulator") if name == "emulator" else ()
        logits[name] = window_logits(tool, artifact, tokens, 33, *device)
    lost = divergences(logits["exact"], logits["host"]).mean()
    assert lost > LEAST[form]
    assert divergences(logits["host"], logits["emulator"]).mean() <= lost / 5


@pytest.mark.parametrize(
    ("size", "cache", "key", "value"),
    [
        (64, "int4_asym_g32_zf,int4_asym_g32_zf", 32 + 8, 32 + 8),
        (64, "int2_asym_g32_zf,int2_asym_g32_zf", 16 + 8, 16 + 8),
        (48, "int3_g32,int3_g16", 24 + 4, 24 + 6),  # rows of 64
        (24, "int2_g32,int8", 8 + 2, 24 + 2),  # of 32 and 24
    ],
)
def test_plans_count_what_pages_have(tool, tmp_path, size, cache, key, value):
    """Bytes of a position of two heads, with their part of a group's scales and what rows are padded by."""
    folder = synthetic(tmp_path, size, TWO_HEADS)
    options = ("--target", "cuda", "--kv", cache, "--save-plan", folder / "plan.json")
    gpu = compiled(tool, folder, "gpu.qopt", *options)
    planned = [c["bytes"] for c in json.loads((folder / "plan.json").read_text())["caches"]]
    assert planned == [2 * key, 2 * value]
    assert f"KV cache: {sum(planned)} bytes per token" in tool("qopt-inspect", gpu).stdout


# Latest and first positions with 16 bits, on small heads with random weights and a real model.
LATEST = {
    "int4_asym_g32_zf,int4_asym_g32_zf,recent=32": 3e-5,
    "int2_asym_g32_zf,int2_asym_g32_zf,recent=32,first=16": 5e-4,
}


@PTX_ONLY
@pytest.mark.parametrize("cache", LATEST)
@pytest.mark.parametrize("step", [None, 33])
def test_latest_positions_of_a_real_model(tool, shared, tmp_path, cache, step):
    """A text of 90 tokens in one step and in several: what the codes cost is what they cost on the host."""
    source, options = shared / "models/books-llama-28m", ("--activations", "f16", "--weights", "int8")
    done = tool("qopt-run", source, "--prompt", "The old house", "--max-tokens", 90, "--json")
    tokens = np.array(json.loads(done.stdout)["tokens"], np.int32)
    logits = {}
    for name, words in {
        "exact": ("--kv", "f16"),
        "host": ("--kv", cache),
        "emulator": ("--target", "cuda", "--kv", cache),
    }.items():
        artifact = tmp_path / f"{name}.qopt"
        tool("qopt-compile", source, *options, *words, "-o", artifact, environment=NO_ASSEMBLER)
        device = ("--device", "emulator") if name == "emulator" else ()
        logits[name] = window_logits(tool, artifact, tokens, step, *device)
    lost = divergences(logits["exact"], logits["host"]).mean()
    assert lost > LATEST[cache]
    assert divergences(logits["host"], logits["emulator"]).mean() <= lost / 5


@PTX_ONLY
@pytest.mark.parametrize(
    ("cache", "attributes"),
    [
        ("int2_asym_g32_zf,int2_asym_g32_zf,recent=32,first=16", {}),
        ("int3_g32,int4,recent=32,first=32", {"local_window_size": 48}),
        ("int8,int2_g16,recent=64", {"local_window_size": 24}),
        ("f16,int2_asym_g32_zf,recent=32,first=16", {"softcap": 2.0}),
    ],
)
def test_latest_positions_whatever_the_steps(tool, tmp_path, cache, attributes):
    """Token by token, in chunks and in one step beside the host, which reads each row as its position says. A window
    may be shorter than the latest positions; that they matter is seen beside a cache without them.
    """
    synthetic(tmp_path, 64, TWO_HEADS, **attributes)
    options = ("--activations", "f16", "--kv")
    host = logits_of(tool, compiled(tool, tmp_path, "host.qopt", *options, cache))
    plain = logits_of(tool, compiled(tool, tmp_path, "plain.qopt", *options, cache.split(",recent")[0]))
    gpu = compiled(tool, tmp_path, "gpu.qopt", "--target", "cuda", *options, cache)
    lost = np.abs(plain - host).mean()
    for chunk in (1, 7, TOKENS.size):
        found = logits_of(tool, gpu, "--chunk", chunk, "--device", "emulator")
        assert np.abs(found - host).mean() <= lost / 5, chunk


def test_latest_positions_take_no_launch(tool, tmp_path):
    """Of steps in which the append is part of a linear's launch, and of those in which it is not."""
    synthetic(tmp_path, 64, TWO_HEADS)
    caches = ("int8", "int8,int8,recent=32,first=16")
    counts = []
    for cache in caches:
        gpu = compiled(tool, tmp_path, "gpu.qopt", "--target", "cuda", "--kv", cache)
        counts.append([launches(tool, gpu, tokens) for tokens in (1, 8, 64)])
    assert counts[0] == counts[1]


def test_slots_hold_the_latest_and_first_positions(tool, tmp_path):
    """Of two heads, keys and values of 64 channels with 16 bits, whatever the codes; they are part of the memory."""
    synthetic(tmp_path, 64, TWO_HEADS)
    gpu = compiled(tool, tmp_path, "gpu.qopt", "--target", "cuda", "--kv", "int8,int2_g32,recent=64,first=16")
    model = json.loads(tool("qopt-inspect", gpu, "--json").stdout)["model"]
    assert model["cache_bytes_per_sequence"] == 2 * (64 + 16) * 2 * 64 * 2
    assert model["cache_bytes_per_token"] == 2 * (64 + 2 + 16 + 4)


def test_what_no_gpu_keeps_is_refused(tool, tmp_path):
    synthetic(tmp_path, 320, SIZES[320])
    options = ("--target", "cuda", "--kv", "int8,recent=32")
    refused = tool("qopt-compile", tmp_path, *options, "-o", tmp_path / "m.qopt", check=False)
    assert refused.returncode and refused.stderr.count("error:") == 1
    assert "heads of 320 channels; a GPU keeps latest positions in f16 of up to 256" in refused.stderr
