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
    "int8_asym",
    "int4_asym_zf",
    "int2_g32_s8",
    "lut4",
    "lut4_g32_s6",
    "lut3_g64",
    "int4_g32_sf32",
    "int5_asym_g64_zf_sf32",
    "mxfp4",
    "nvfp4",
    "nf4_g64",
    "fp8_e5m2",
    "fp8_e4m3_b32",
    "int4_restricted_g32_sbf16",
)


@pytest.mark.parametrize("weights", FORMATS)
def test_stories(tool, stories, tmp_path, weights):
    """Few tokens by skinny_linear, whose sums are the host's but for their order; many by gemm, which rounds
    weights."""
    formats = (
        "--weights",
        weights,
        "--embedding",
        weights,
        "--lm-head",
        weights,
        *(DOWN if any(part in weights for part in ("_g", "_b", "mx", "nv")) else ()),
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


def test_formats_of_the_standards_are_candidates(tool, stories, tmp_path):
    """Calibrated, under a budget: every weight gets one of those that were asked for, and the artifact runs."""
    text = tmp_path / "text.txt"
    text.write_text("Once upon a time, there was a little girl named Lily. She loved to play outside. " * 30)
    asked = {"mxfp4", "nf4_g64", "nf4", "fp8_e5m2", "fp8_e4m3_b32", "int4_restricted_g32_sbf16"}
    options = ("--bits", 4.6, "--candidates", ",".join(asked), "--calibrate", text)
    tool("qopt-compile", stories, *options, "--store", tmp_path, "-o", tmp_path / "m.qopt")
    weights = tool("qopt-inspect", tmp_path / "m.qopt", "--weights").stdout
    lines = [line for line in weights.splitlines() if "HostTiled" in line]
    assert lines and all(set(line.split()) & asked for line in lines), weights
    run = ("--prompt", "Once upon a time", "--max-tokens", 4, "--json")
    assert len(json.loads(tool("qopt-run", tmp_path / "m.qopt", *run).stdout)["tokens"]) == 4


@pytest.mark.parametrize(
    ("options", "message"),
    [
        (("--weights", "mxfp4"), 'the group size 32 of "mxfp4" does not divide the 172 columns of "node_linear_6"'),
        (("--weights", "fp4_e2m1_g8_se4m3", *DOWN, "--target", "cuda"), "has groups of 8; expected 16, 32, 64"),
        (("--weights", "nvfp4_g32"), 'nvfp4 has no parts; expected "nvfp4" alone'),
        (("--weights", "int4_b32"), "blocks of rows and columns are for floating point elements"),
    ],
)
def test_refused(tool, stories, tmp_path, options, message):
    done = tool("qopt-compile", stories, *options, "-o", tmp_path / "m.qopt", check=False)
    assert done.returncode and message in done.stderr


@pytest.mark.parametrize("checks", [True, False])
def test_a_gpu_refuses_a_format_before_its_groups(tool, stories, tmp_path, checks):
    """What the device does not read need not divide columns: choosing other groups would not help."""
    options = (
        "--weights",
        "int4_g40",
        "--lm-head",
        "int8",
        "--target",
        "cuda",
        *(["--check"] if checks else ["-o", tmp_path / "m.qopt"]),
    )
    message = tool("qopt-compile", stories, *options, check=False).stderr
    assert message.startswith("error: ") and message.count("\n") == 1, message
    assert '"node_linear", "node_linear_1", ' in message, message
    assert (
        ' more: weight format "int4_g40" has groups of 40; expected 16, 32, 64' in message and "divide" not in message
    )


def test_candidates_of_a_gpu(tool, stories, tmp_path):
    (tmp_path / "text.txt").write_text("Once upon a time, there was a little girl named Lily. " * 30)
    options = (
        "--bits",
        4.6,
        "--candidates",
        "int4_g64,int4_g8",
        "--calibrate",
        tmp_path / "text.txt",
        "--target",
        "cuda",
    )
    message = tool("qopt-compile", stories, *options, "-o", tmp_path / "m.qopt", check=False).stderr
    assert message.startswith('error: --candidates: weight format "int4_g8" has groups of 8; expected 16, 32'), message
