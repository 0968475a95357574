"""Decoders whose heads are no whole tiles of a GPU's products, or larger than its registers, on the emulator: beside
the host in f32, and bit by bit beside the host in the order of a GPU's sums."""

import json
import subprocess
import sys

import conftest
import numpy as np
import onnx
import pytest

#: Heads of queries and of keys; products of rows that no strip of 16 divides are among them.
SIZES = {4: (4, 2), 5: (3, 1), 12: (3, 1), 20: (4, 2), 33: (4, 2), 65: (3, 3), 127: (2, 1)}
SIZES |= {255: (2, 1), 320: (2, 1), 576: (2, 1), 640: (2, 1), 1024: (1, 1)}
TOKENS = np.random.default_rng(1).integers(3, 64, (1, 90)).astype(np.int32)
UNSUPPORTED = 4


def synthetic(folder, size, heads, *options, **attributes):
    """One layer with random weights; `attributes` of its attention."""
    sizes = {"layers": 1, "hidden": 64, "heads": heads[0], "kv-heads": heads[1], "head-size": size, "ffn": 96}
    words = [
        w for name, value in (sizes | {"context": 256, "vocabulary": 64}).items() for w in (f"--{name}", str(value))
    ]
    make = (sys.executable, str(conftest.SOURCE / "bench/synthetic.py"), str(folder), *words, *options)
    subprocess.run(make, check=True, stdout=subprocess.DEVNULL)
    if attributes:
        model = onnx.load(folder / "model.onnx", load_external_data=False)
        for node in model.graph.node:
            if node.op_type == "GroupQueryAttention":
                others = [a for a in node.attribute if a.name not in attributes]
                del node.attribute[:]
                node.attribute.extend(others + [onnx.helper.make_attribute(*pair) for pair in attributes.items()])
        onnx.save(model, folder / "model.onnx")
    return folder


def compiled(tool, folder, name, *options):
    tool("qopt-compile", folder, *options, "-o", folder / name, environment=conftest.NO_ASSEMBLER)
    return folder / name


def logits_of(tool, artifact, *options):
    folder = artifact.parent
    np.save(folder / "t.npy", TOKENS)
    tool("qopt-eval", artifact, "--tokens", folder / "t.npy", "--save-logits", folder / "l.npy", *options)
    return np.load(folder / "l.npy")


def expect_host(tool, folder):
    """A token a step, and all in one; the largest difference of f16 that was seen is 0.002 of the largest logit."""
    host = logits_of(tool, compiled(tool, folder, "host.qopt", "--activations", "f32"))
    gpu = compiled(tool, folder, "gpu.qopt", "--target", "cuda")
    for chunk in (1, TOKENS.size):
        found = logits_of(tool, gpu, "--chunk", chunk, "--device", "emulator")
        np.testing.assert_allclose(found, host, atol=5e-3 * np.abs(host).max())


@pytest.mark.parametrize("size", [4, 5, 12, 65, 255, 640])
def test_the_emulator_is_beside_the_host(tool, tmp_path, size):
    """Of an odd number of channels the last one is not rotated. Other sizes have the bits of the host's order of
    sums."""
    expect_host(tool, synthetic(tmp_path, size, SIZES[size]))


@pytest.mark.parametrize("size", [12, 33])
def test_norms_windows_and_caps(tool, tmp_path, size):
    """Norms of heads, as Qwen 3 has them, are means over the head alone."""
    norms = ("--model", "qwen3-8b")
    expect_host(tool, synthetic(tmp_path, size, SIZES[size], *norms, local_window_size=24, softcap=2.0))


@pytest.mark.parametrize("interleaved", [0, 1])
def test_odd_heads_with_and_without_rotation(tool, tmp_path, interleaved):
    attributes = {"rotary_interleaved": 1} if interleaved else {"do_rotary": 0}
    expect_host(tool, synthetic(tmp_path, 33, SIZES[33], **attributes))


@pytest.mark.parametrize(
    ("size", "cache"),
    [
        *((20, cache) for cache in ("f16", "int4", "int4_asym_g32_zf,int4")),
        *((33, cache) for cache in ("int4", "fp8_e4m3", "int4_asym_g32_zf,int4")),
        (320, "int4_asym_g32_zf,int8"),
        *((127, "int8"), (576, "int8,int4"), (1024, "f16")),
    ],
)
def test_the_order_of_sums_is_the_hosts(tool, tmp_path, size, cache):
    """Scales are those of the head's own channels on both."""
    synthetic(tmp_path, size, SIZES[size])
    options = ("--activations", "f16", "--kv", cache)
    host = compiled(tool, tmp_path, "host.qopt", "--sum-order", "sm_90a", *options)
    gpu = compiled(tool, tmp_path, "gpu.qopt", "--target", "cuda", *options)
    for chunk in (1, TOKENS.size):
        expected = logits_of(tool, host, "--chunk", chunk)
        found = logits_of(tool, gpu, "--chunk", chunk, "--device", "emulator")
        np.testing.assert_array_equal(found, expected)


@pytest.mark.parametrize("size", [20, 33])
def test_rows_of_the_cache_are_reported(tool, tmp_path, size):
    """Of two heads, keys and values have rows of a multiple of 8 channels and a scale, which plans count, too."""
    folder = synthetic(tmp_path, size, SIZES[size])
    cache = ("--kv", "int8,int4", "--save-plan", folder / "plan.json")
    row = (size + 7) // 8 * 8
    gpu = compiled(tool, folder, "gpu.qopt", "--target", "cuda", *cache)
    planned = [c["bytes"] for c in json.loads((folder / "plan.json").read_text())["caches"]]
    assert planned == [2 * (row + 2), 2 * (row // 2 + 2)]
    assert f"KV cache: {sum(planned)} bytes per token" in tool("qopt-inspect", gpu).stdout
    compiled(tool, folder, "host.qopt", *cache)
    planned = [c["bytes"] for c in json.loads((folder / "plan.json").read_text())["caches"]]
    assert planned == [2 * (size + 2), 2 * ((size + 1) // 2 + 2)]


def test_larger_heads_are_refused(tool, tmp_path):
    synthetic(tmp_path, 1025, (1, 1))
    refused = tool("qopt-compile", tmp_path, "--target", "cuda", "-o", tmp_path / "m.qopt", check=False)
    assert refused.returncode == UNSUPPORTED
    assert refused.stderr.count("error:") == 1
    assert "heads of 1025 channels; a GPU takes up to 1024; compile with --target host" in refused.stderr
