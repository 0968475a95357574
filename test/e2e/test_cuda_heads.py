"""Decoders whose heads are no whole tiles of a GPU's products, or larger than its registers, on the emulator: beside the
host in f32, and bit by bit beside the host in the order of a GPU's sums."""

import subprocess
import sys

import conftest
import numpy as np
import onnx
import pytest

#: Heads of queries and of keys; products of rows that no strip of 16 divides are among them.
SIZES = {4: (4, 2), 6: (3, 1), 12: (3, 1), 20: (4, 2), 100: (2, 1), 320: (2, 1)}
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
                node.attribute.extend(onnx.helper.make_attribute(*pair) for pair in attributes.items())
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


@pytest.mark.parametrize("size", [4, 6, 12, 100, 320])
def test_the_emulator_is_beside_the_host(tool, tmp_path, size):
    expect_host(tool, synthetic(tmp_path, size, SIZES[size]))


def test_norms_windows_and_caps(tool, tmp_path):
    """Norms of heads, as Qwen 3 has them, are means over the head alone."""
    norms = ("--model", "qwen3-8b")
    expect_host(tool, synthetic(tmp_path, 12, SIZES[12], *norms, local_window_size=24, softcap=2.0))


@pytest.mark.parametrize(
    ("size", "cache"),
    [
        *((20, cache) for cache in ("f16", "int8", "int4", "fp8_e4m3", "int4_asym_g32_zf,int4")),
        *((320, cache) for cache in ("f16", "int4_asym_g32_zf,int8")),
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


def test_rows_of_the_cache_are_reported(tool, tmp_path):
    """20 channels of two heads take 24 each, of keys and of values, and a scale."""
    gpu = compiled(tool, synthetic(tmp_path, 20, SIZES[20]), "gpu.qopt", "--target", "cuda", "--kv", "int8")
    assert f"KV cache: {2 * 2 * (24 + 2)} bytes per token" in tool("qopt-inspect", gpu).stdout


def test_larger_heads_are_refused(tool, tmp_path):
    synthetic(tmp_path, 514, (1, 1))
    refused = tool("qopt-compile", tmp_path, "--target", "cuda", "-o", tmp_path / "m.qopt", check=False)
    assert refused.returncode == UNSUPPORTED
    assert refused.stderr.count("error:") == 1
    assert "heads of 514 channels; a GPU takes even numbers up to 512; compile with --target host" in refused.stderr
