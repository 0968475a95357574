"""Every weight format on both targets: what the emulator writes with the GPU's kernels, the host would have written."""

import json

import numpy as np
import pytest
from distributions import divergences
from test_cache_formats import DOWN, gaps_of

# Of each element, number of scales' levels and kind of zero point one; embedding and head are in the format, too.
FORMATS = (
    "int6_g32",
    "int5_asym_g64",
    "int5_g32_s6",
    "int4_asym_g32_s6",
    "int3_asym_g32_zf",
    "int3",
    "int2_g32_s8",
    "lut4",
    "lut4_g32_s6",
    "lut3_g64",
    "int4_g32_sf32",
    "int5_asym_g64_zf_sf32",
    "mxfp4",
    "nf4_g64",
    "fp8_e5m2",
    "fp8_e4m3_b32",
    "int4_restricted_g32_sbf16",
)


@pytest.mark.parametrize("weights", FORMATS)
def test_stories(tool, stories, tmp_path, weights):
    """Few tokens by skinny_linear, whose sums are the host's but for their order; many by gemm, which rounds weights."""
    formats = (
        "--weights",
        weights,
        "--embedding",
        weights,
        "--lm-head",
        weights,
        *(DOWN if any(part in weights for part in ("_g", "_b", "mx")) else ()),
    )
    gaps = gaps_of(tool, stories, tmp_path, formats, 40)
    assert gaps.max() <= 0.01, gaps
    logits = {}
    for device in ("host", "emulator"):
        window = ("--tokens", tmp_path / "t.npy", "--device", device, "--save-logits", tmp_path / "l.npy")
        tool("qopt-eval", tmp_path / f"{device}.qopt", *window)
        logits[device] = np.load(tmp_path / "l.npy")
    assert divergences(logits["host"], logits["emulator"]).mean() <= 2e-5


def test_a_budget_chooses_among_them(tool, stories, tmp_path):
    """`--bits` has the host's candidates for a GPU, and the artifact runs."""
    text = tmp_path / "text.txt"
    text.write_text(
        "Once upon a time, there was a little girl named Lily. She loved to play outside in the park. " * 30
    )
    options = ("--target", "cuda", "--bits", 5, "--calibrate", text)
    tool("qopt-compile", stories, *options, "-o", tmp_path / "m.qopt")
    weights = tool("qopt-inspect", tmp_path / "m.qopt", "--weights").stdout
    assert "int2_g32_s6" in weights or "lut3_g32_s6" in weights
    asked = ("--prompt", "Once upon a time", "--max-tokens", 4, "--json", "--device", "emulator")
    assert len(json.loads(tool("qopt-run", tmp_path / "m.qopt", *asked).stdout)["tokens"]) == 4
