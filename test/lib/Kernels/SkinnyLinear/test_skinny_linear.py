"""Every kernel of skinny_linear gives the product of the canonical codes: on the emulator, with all of its checks."""

import re

import numpy as np
import pytest

# Sizes of 1, prime, one below and above strips, units, groups and tiles of tokens; every format, epilogue and split.
CASES = """
k=4096 rows=256:int4_g128
tokens=8 k=1024 rows=256:int4_g128
tokens=5 k=1024 rows=256:int4_g128
k=1 rows=1:int4_g128
k=31 rows=17:int4_g32
k=640 rows=100:int4_asym_g32
k=97 rows=31:int4_g64
k=1408 rows=64:int4_g32 slices=2 grid=8 units=2
k=2048 rows=80:int4_asym_g64_zf grid=9 whole=0
k=1024 rows=64:int4_g32,32:int8,48:int4_asym_g64
k=1024 rows=64:int4_g128,48:int8_g32 norm epilogue=bias+residual
k=512 rows=104:int4_asym_g32_zf epilogue=gated
act=bf16 out=bf16 k=512 rows=96:int4_asym_g32
tokens=2 k=31 rows=17:int4_g32
tokens=8 k=1024 rows=64:int4_asym_g32_zf
tokens=5 k=1024 rows=64:int4_g32,32:int8_g32,48:int4_asym_g64
tokens=13 k=768 rows=130:int4_asym_g32
tokens=32 k=512 rows=257:int4_asym_g32
tokens=64 k=1024 rows=256:int4_g32 slices=4 grid=8
act=bf16 out=f32 tokens=9 k=512 rows=96:int8_asym_g32
act=bf16 out=bf16 tokens=7 k=1088 rows=96:int4_asym_g32,32:int4_g32,17:int4_asym_g32_zf norm
act=bf16 out=bf16 tokens=33 k=512 rows=64:int4_asym_g32,48:int4_asym_g64
k=1024 rows=64:int4_g16
k=31 rows=17:int4_asym_g16
k=640 rows=100:int4_asym_g16_sf32
k=512 rows=96:int4_asym_g16_zf_sf32
k=1408 rows=64:int8_g16_sf32 slices=2 grid=8 units=2
tokens=5 k=640 rows=100:int4_g16_sf32
tokens=8 k=257 rows=47:int8_asym_g16
tokens=13 k=768 rows=130:int4_asym_g16_zf
tokens=32 k=512 rows=257:int4_asym_g16_sf32
tokens=64 k=1024 rows=256:int4_g16 slices=4 grid=8
tokens=63 k=512 rows=300:int6_asym_g16
tokens=2 k=129 rows=33:int3_asym_g16_s6
k=384 rows=100:int2_g16_s8
tokens=7 k=127 rows=31:lut4_g16_sf32
k=257 rows=47:lut3_g16_s6
k=640 rows=33:int5_g16
tokens=9 k=384 rows=96:fp8_e4m3_g16
act=bf16 out=bf16 k=512 rows=96:int4_asym_g16
act=bf16 out=f32 tokens=5 k=512 rows=96:int8_g16_sf32
act=bf16 out=f32 tokens=33 k=384 rows=96:fp8_e4m3_g16_sf32
k=1024 rows=64:int4_g16,32:int8,48:int4_asym_g64 norm epilogue=bias+residual
tokens=8 k=1024 rows=64:int4_g128,32:int4_asym_g16_sf32,48:int4_asym_g32 norm=layer_bias
tokens=5 k=512 rows=104:int4_asym_g16 epilogue=gated norm
k=1 rows=16:int4_g16,32:int8_asym_g16,17:lut4_g16
k=512 rows=64:int8_asym
k=257 rows=47:int4_asym
k=2048 rows=80:int2_asym_zf grid=9 whole=0
k=2048 rows=64:int5_asym slices=4 grid=8
k=640 rows=104:int6_asym_tensor epilogue=gated
tokens=5 k=640 rows=100:int8_asym
tokens=8 k=512 rows=96:int3_asym_zf_sf16
tokens=15 k=1 rows=16:int4_asym,32:int8_asym_zf,17:int4_g32
tokens=64 k=512 rows=130:int4_asym_zf
act=bf16 out=bf16 k=384 rows=96:int8_asym
act=bf16 out=bf16 tokens=13 k=384 rows=96:int4_asym_zf
k=1024 rows=64:int4_asym,32:int8,48:int4_asym_g32 norm
tokens=8 k=1024 rows=64:int4_asym_zf,32:int8_asym,48:int4_asym_g32,32:int4_g128 norm
arch=sm_80 tokens=64 k=512 rows=130:int6_asym
arch=sm_80 tokens=64 k=512 rows=300:int4_asym_g16
k=1024 rows=96:lut4_g128
k=31 rows=17:lut4
k=129 rows=33:lut4_g32_s6
tokens=5 k=384 rows=100:lut4_g64
tokens=13 k=257 rows=47:lut4_g32_s6
act=bf16 out=bf16 tokens=3 k=512 rows=96:lut4_g32
k=1024 rows=64:lut4_g128,32:lut3_g64,48:lut4_g32_s6 norm
tokens=8 k=1024 rows=64:int4_g32,32:lut4,48:lut4_g128 epilogue=bias
tokens=2 k=1408 rows=64:lut4_g128,64:lut4_g32 slices=2 grid=8 units=2
k=1024 rows=96:mxfp4
k=1024 rows=96:nvfp4
tokens=8 k=384 rows=100:nvfp4
tokens=33 k=257 rows=47:nvfp4
arch=sm_80 tokens=64 k=96 rows=192:f16,64:lut4
act=bf16 out=bf16 tokens=3 k=512 rows=96:nvfp4
tokens=5 k=512 rows=64:nvfp4,48:fp4_e2m1_g32_se4m3,32:int8_g128_se4m3
k=31 rows=17:fp4_e2m1
k=129 rows=33:nf4_g64
tokens=5 k=384 rows=100:mxfp4
tokens=13 k=257 rows=47:nf4_g32_sbf16
act=bf16 out=bf16 tokens=3 k=512 rows=96:mxfp4
act=bf16 out=f32 tokens=9 k=384 rows=96:nf4
tokens=8 k=1024 rows=64:int4_g32,32:nf4,48:mxfp4 epilogue=bias
out=f32 k=1024 rows=96:fp8_e5m2
out=f32 tokens=13 k=384 rows=47:fp8_e5m2_g64
act=bf16 out=f32 tokens=5 k=257 rows=33:fp8_e5m2
tokens=3 k=384 rows=96:fp8_e4m3_b128
tokens=7 k=257 rows=47:fp8_e4m3_g32_se8m0
k=512 rows=64:int4_restricted_g64_sbf16,32:int8_full
k=640 rows=100:lut3_g128
tokens=7 k=257 rows=47:lut3_g32_s6
act=bf16 out=bf16 k=127 rows=31:lut3
act=bf16 out=bf16 tokens=17 k=512 rows=96:lut3_g64_s6
k=512 rows=96:int4_g32_s6
k=97 rows=31:int4_asym_g32_s6
tokens=4 k=640 rows=100:int4_g32_s6
tokens=5 k=640 rows=100:int4_asym_g32_s6
tokens=9 k=512 rows=96:int4_asym_g64_s8
tokens=33 k=384 rows=64:int4_g128_s8
act=bf16 out=bf16 tokens=2 k=512 rows=96:int4_asym_g32_s8
k=512 rows=96:int6
k=129 rows=33:int6_asym_g64
tokens=3 k=640 rows=100:int6_g32_s6
act=bf16 out=bf16 tokens=8 k=512 rows=96:int6_asym_g32
k=31 rows=17:int5_g32
tokens=13 k=768 rows=130:int5_asym_g128_zf
act=bf16 out=f32 k=512 rows=96:int5_g64_s6
k=97 rows=31:int3_g32
tokens=2 k=127 rows=31:int3_asym_g32_zf
tokens=16 k=640 rows=100:int3_asym_g64_s6
act=bf16 out=bf16 tokens=4 k=512 rows=96:int3
k=640 rows=100:int2_g32_s8
tokens=5 k=512 rows=104:int2_asym_g64 epilogue=gated
act=bf16 out=bf16 tokens=8 k=255 rows=127:int2_g128
tokens=64 k=512 rows=300:int3_g128
k=1024 rows=64:int6_g32,32:int3_g32_s6,48:int2_asym_g64 norm
out=f32 k=8 rows=96:int4_g32_sf32
out=f32 tokens=8 k=8 rows=48:int4_asym_g32_zf_sf32
out=f32 k=64 rows=48:int8_g32_sf32 exponent=24
out=f32 tokens=8 k=64 rows=48:int4_asym_g32_sf32 exponent=24
k=640 rows=100:int4_asym_g32_sf32
tokens=5 k=640 rows=100:int4_asym_g32_sf32
k=2048 rows=80:int4_asym_g64_zf_sf32 grid=9 whole=0
tokens=13 k=768 rows=130:int8_g32_sf32
act=bf16 out=f32 tokens=2 k=512 rows=96:int8_asym_g128_sf32
act=bf16 out=bf16 tokens=33 k=384 rows=96:int4_g128_sf32
act=bf16 out=f32 k=257 rows=47:fp8_e4m3_g64_sf32
tokens=3 k=512 rows=96:lut4_g32_sf32
k=97 rows=31:lut3_g64_sf32
tokens=9 k=512 rows=96:int6_g32_sf32
k=129 rows=33:int5_asym_g128_zf_sf32
tokens=16 k=640 rows=100:int3_asym_g32_sf32
k=640 rows=100:int2_g64_sf32
tokens=9 k=256 rows=16:int4_g256_sf32
k=1024 rows=64:int4_g32_sf32,32:int8,48:int4_asym_g64 norm epilogue=bias+residual
tokens=8 k=1024 rows=64:int4_g128,32:int4_asym_g32_zf_sf32,48:int4_asym_g32,32:int4_asym_g32_sf32
tokens=2 k=1408 rows=64:int4_g128_sf32 slices=2 grid=8 units=2
tokens=5 k=512 rows=104:int4_g32_sf32 epilogue=gated norm
arch=sm_80 tokens=64 k=512 rows=300:int4_g32_sf32
k=127 rows=15:int8
k=129 rows=33:int4_asym_g64
tokens=7 k=257 rows=47:f16
tokens=2 k=127 rows=31:int4_g64
tokens=3 k=640 rows=100:int4_asym_g32
tokens=9 k=256 rows=16:int4_g256
tokens=16 k=640 rows=100:int4_asym_g128_zf
tokens=13 k=768 rows=130:int8_g64
tokens=17 k=129 rows=65:int8
tokens=32 k=512 rows=257:int4_g128
tokens=29 k=384 rows=64:f16
tokens=33 k=255 rows=127:int4_asym_g128
tokens=64 k=512 rows=300:int4_g128
tokens=37 k=512 rows=300:int8
act=bf16 out=bf16 k=512 rows=96:int4_g128
act=bf16 out=bf16 tokens=8 k=512 rows=96:int8
act=bf16 out=f32 tokens=4 k=512 rows=96:bf16
act=bf16 out=f32 tokens=4 k=512 rows=96:int4_asym_g32
out=f32 k=512 rows=96:int8_asym_g64
k=512 rows=96:int4
k=512 rows=96:int8_tensor
k=1024 rows=64:int4_g128,32:int8,48:f16
tokens=8 k=1024 rows=64:int4_g128 norm epilogue=bias+residual
k=768 rows=64:int4_g128 norm
k=300 rows=64:int4_g128 norm
k=16640 rows=16:int4_g128 norm
tokens=3 k=1408 rows=64:int4_g128 norm slices=2 grid=8 units=2
k=1408 rows=64:int4_g128 norm slices=2 grid=8 units=2
k=1024 rows=64:int4_g128,48:int8_g32 norm=layer_bias epilogue=bias+residual
k=768 rows=64:int4_asym_g32 norm=layer
k=300 rows=64:int4_g128 norm=layer_bias
k=8 rows=17:f16 norm=layer_bias
k=16640 rows=16:int4_g128 norm=layer_bias
tokens=5 k=301 rows=33:f16 norm=layer_bias
k=126 rows=16:int4_g32 norm
tokens=3 k=127 rows=16:int4_g32 norm=layer_bias
tokens=9 k=255 rows=16:f16 norm=layer
act=bf16 out=bf16 tokens=8 k=1024 rows=64:int4_g128 norm=layer
k=1408 rows=64:int4_g128 norm=layer_bias slices=2 grid=8 units=2
tokens=3 k=1408 rows=64:int4_g128 norm=layer_bias slices=2 grid=8 units=2
act=int8 source=f16 norm=layer_bias out=f32 k=1000 rows=33:int8
k=8 rows=17:int4_g128 sum
k=1024 rows=64:int4_g128,48:int8_g32 sum norm epilogue=bias+residual
k=2304 rows=104:int4_asym_g32 sum norm epilogue=gated
k=4608 rows=48:int4_g32 sum norm
act=bf16 out=bf16 k=520 rows=33:bf16 sum norm
k=1408 rows=64:int4_g128 sum norm slices=2 grid=8 units=2
k=1408 rows=64:int4_g128 sum slices=2 grid=8 units=2
k=768 rows=64:int8 sum=layer_bias norm
k=768 rows=64:int8 sum norm=layer_bias
k=1000 rows=33:int4_asym_g64 sum=layer norm=layer
act=int8 source=f16 sum norm out=f32 k=1000 rows=33:int8
act=int8 source=bf16 sum out=f32 k=768 rows=33:int8
arch=sm_80 k=1024 rows=64:int4_g32 sum norm
tokens=8 k=512 rows=128:int4_g128 epilogue=gated
tokens=5 k=512 rows=104:int8 epilogue=gated+residual norm
tokens=5 k=512 rows=104:int8 epilogue=pairs+bias
k=512 rows=128:int4_g128 epilogue=silu
k=2048 rows=64:int4_g128 slices=4 grid=8
k=1024 rows=272:int4_g128 slices=2 grid=2
tokens=8 k=2048 rows=64:int4_g128 slices=4 grid=12
tokens=8 k=1408 rows=64:int4_g128 slices=2 grid=8 units=2
k=2048 rows=80:int4_g128 grid=9 whole=0
k=4096 rows=32:int4_g128 grid=4 units=16 whole=0
tokens=64 k=1024 rows=256:int4_g128 slices=4 grid=8
k=1024 rows=96:fp8_e4m3
k=127 rows=15:fp8_e4m3
k=257 rows=33:fp8_e4m3_tensor
tokens=8 k=512 rows=96:fp8_e4m3_g32 norm epilogue=bias+residual
tokens=13 k=768 rows=130:fp8_e4m3_g64
tokens=17 k=129 rows=65:fp8_e4m3
tokens=64 k=512 rows=300:fp8_e4m3_g128
act=bf16 out=bf16 tokens=5 k=512 rows=96:fp8_e4m3
act=bf16 out=f32 tokens=33 k=384 rows=96:fp8_e4m3_g32
tokens=3 k=1024 rows=64:int4_g128,32:fp8_e4m3,48:f16
tokens=5 k=512 rows=104:fp8_e4m3 epilogue=gated+residual
arch=sm_80 k=1024 rows=64:fp8_e4m3
arch=sm_80 act=bf16 out=bf16 tokens=8 k=512 rows=64:fp8_e4m3_g32
arch=sm_80 tokens=64 k=512 rows=80:fp8_e4m3
tokens=11 k=1024 rows=640:int4_g128,48:int8 slices=4 grid=8 units=1 epilogue=bias
tokens=32 k=1024 rows=512:int8 slices=2 grid=4 norm epilogue=gated
arch=sm_80 k=1024 rows=64:int4_g128
arch=sm_80 tokens=8 k=1024 rows=64:int8 norm epilogue=residual
arch=sm_80 tokens=64 k=14336 rows=32:f16
arch=sm_80 tokens=64 k=512 rows=300:int4_g32
act=int8 k=1 rows=1:int8
act=int8 out=f32 k=4096 rows=256:int8
act=int8 out=f32 k=127 rows=15:int8
act=int8 out=f32 tokens=3 k=129 rows=33:int8_tensor
act=int8 out=f32 tokens=8 k=1024 rows=64:int8
act=int8 tokens=13 k=271 rows=65:int8 epilogue=bias+residual
act=int8 out=bf16 tokens=17 k=384 rows=48:int8,32:int8
act=int8 out=f32 tokens=33 k=640 rows=127:int8
act=int8 tokens=64 k=512 rows=104:int8 epilogue=gated
act=int8 out=f32 tokens=1 k=2048 rows=80:int8 grid=9 whole=0
act=int8 out=f32 tokens=5 k=1408 rows=64:int8 slices=2 grid=8 units=2
act=int8 out=f32 tokens=64 k=1024 rows=256:int8 slices=4 grid=8
arch=sm_80 act=int8 out=f32 tokens=16 k=320 rows=100:int8
act=int8 source=f16 out=f32 k=8 rows=1:int8
act=int8 source=f16 out=f32 k=4096 rows=64:int8
act=int8 source=f16 out=f32 k=14336 rows=16:int8 epilogue=residual
act=int8 source=bf16 out=f32 k=1352 rows=47:int8_tensor
act=int8 source=f16 k=768 rows=104:int8 epilogue=gated
act=int8 source=f16 out=f32 k=1408 rows=64:int8 slices=2 grid=8 units=2
act=int8 source=f16 norm out=f32 k=4096 rows=64:int8
act=int8 source=f16 norm out=f32 k=1000 rows=33:int8
act=int8 source=f16 norm out=f32 k=1408 rows=64:int8 slices=2 grid=8 units=2
arch=sm_80 act=int8 source=bf16 norm out=f32 k=520 rows=65:int8 epilogue=bias
k=1 rows=16:int4_g128,32:int4_g32,16:int8,33:f16
tokens=8 k=1 rows=16:int4_asym_g32,32:int4_asym_g64_zf,16:int8_asym_g64,17:int8_g32
tokens=5 k=1 rows=16:lut4,32:lut4_g32_s6,16:lut3_g64,33:int4_g32_s6
tokens=15 k=1 rows=16:int6,32:int5_g32,16:int3_asym_g32_zf,33:int2_g128
tokens=63 k=1 rows=16:fp8_e4m3,17:fp8_e4m3_g32
k=1 rows=17:int4_g128 norm
act=bf16 out=bf16 tokens=31 k=1 rows=17:bf16
act=int8 out=f32 tokens=9 k=1 rows=17:int8
tokens=15 k=640 rows=100:int4_g128
tokens=15 k=257 rows=47:int8_g32 epilogue=bias
tokens=15 k=512 rows=104:int4_g32 epilogue=gated
act=bf16 out=bf16 tokens=15 k=512 rows=96:lut4_g64
tokens=31 k=512 rows=257:int4_asym_g32
tokens=31 k=384 rows=64:f16 epilogue=residual
tokens=31 k=640 rows=100:int3_g32_s6
act=int8 out=f32 tokens=31 k=320 rows=100:int8
tokens=63 k=512 rows=300:int4_g128
tokens=63 k=640 rows=100:int6_asym_g64
tokens=63 k=1024 rows=256:int4_g64 slices=4 grid=8
tokens=63 k=512 rows=104:fp8_e4m3 epilogue=gated
act=int8 tokens=63 k=512 rows=104:int8 epilogue=gated
arch=sm_80 tokens=63 k=512 rows=300:int8
""".strip().splitlines()


def launch_of(folder):
    return dict(line.split(" ", 1) for line in (folder / "launch.txt").read_text().splitlines())


def emulate(tool, folder, *options):
    launch = launch_of(folder)
    return tool(
        "qopt-emulate",
        folder / "kernel.ptx",
        "--kernel",
        launch["kernel"],
        "--grid",
        launch["grid"],
        "--block",
        launch["block"],
        "--shared",
        launch["shared"],
        "--args",
        folder / "args.npz",
        "--out",
        folder / "out.npz",
        *options,
    )


def jobs(cases, folders, name=""):
    """Each case with the folder of it, or a file there: what skinny-linear does several of in one process."""
    return [word for case, folder in zip(cases, folders, strict=True) for word in (case, folder / name)]


def make(tool, folder, cases):
    """Kernels and arguments of the cases; the folder of each."""
    folders = [folder / str(i) for i in range(len(cases))]
    for each in folders:
        each.mkdir()
    tool("skinny-linear", "make", *jobs(cases, folders))
    return folders


TOGETHER = 8  # a process begins for as long as it takes to make a kernel
PARTS = [CASES[i : i + TOGETHER] for i in range(0, len(CASES), TOGETHER)]


@pytest.mark.parametrize("cases", PARTS, ids=[part[0] for part in PARTS])
def test_results_are_the_products(tool, tmp_path, cases):
    """Of so many cases from the named one on."""
    made = dict(zip(cases, make(tool, tmp_path, cases), strict=True))
    for folder in made.values():
        emulate(tool, folder)
    # The host sums in the same order. Functions are approximations on a GPU, sums of codes have no order.
    ordered = [case for case in cases if not re.search("gated|silu|act=int8", case)]
    others = [case for case in cases if case not in ordered]
    for verb, some in (("order", ordered), ("check", others)):
        if not some:
            continue
        said = tool("skinny-linear", verb, *jobs(some, map(made.get, some), "out.npz")).stdout.splitlines()
        assert sum("of the bound" in line for line in said) == len(some)
        differ = [line for line in said if "differ" in line]
        assert len(differ) == len(ordered if verb == "order" else ())
        assert all(line.startswith("0 of ") for line in differ), list(zip(some, differ, strict=True))


# What else a schedule may be, and the problem: warps, steps of blocks, slices, tokens of the launch.
ORDERS = [
    ("out=f32 k=2048 rows=64:int4_g128", "columnwarps=4"),
    ("out=f32 k=4096 rows=32:int4_g128 grid=4 units=16 whole=0", "whole=1"),
    ("out=f32 k=2048 rows=64:int8 slices=4 grid=8", "slices=2"),
    ("out=f32 tokens=8 k=1024 rows=64:int4_g128", "strips=2"),
    ("out=f32 k=1024 rows=64:int4_asym_g32 norm", "m=8"),
]


@pytest.mark.parametrize("case, other", ORDERS)
def test_another_order_differs(tool, tmp_path, case, other):
    """The comparison of orders sees what schedules change."""
    tool("skinny-linear", "make", case, tmp_path)
    emulate(tool, tmp_path)
    assert tool("skinny-linear", "order", case, tmp_path / "out.npz").stdout.startswith("0 of ")
    different, _, elements = tool("skinny-linear", "order", f"{case} {other}", tmp_path / "out.npz").stdout.split()[:3]
    assert int(different) > int(elements) / 8


@pytest.mark.parametrize(
    "case", ["k=2048 rows=80:int4_g128 grid=9 whole=0", "tokens=8 k=2048 rows=64:int4_g128 slices=4 grid=8"]
)
def test_sums_of_blocks_have_one_order(tool, tmp_path, case):
    """Whatever order warps and blocks run in, the bits are the same."""
    tool("skinny-linear", "make", case, tmp_path)
    emulate(tool, tmp_path, "--schedules", "6")


def test_check_sees_a_wrong_weight(tool, tmp_path):
    """The bound of the comparison is tight enough to notice that one kernel's weights are another's."""
    tool("skinny-linear", "make", "k=256 rows=32:int4_g128 seed=1", tmp_path)
    emulate(tool, tmp_path)
    done = tool("skinny-linear", "check", "k=256 rows=32:int4_g128 seed=2", tmp_path / "out.npz", check=False)
    assert done.returncode == 1 and "expected" in done.stderr


def conflicts_of(report):
    """Bank conflicts by line of the PTX, from the emulator's table."""
    table = report.partition("shared memory, ptx line")[2].splitlines()[1:]
    return {int(line.split()[0]): int(line.split()[2]) for line in table if len(line.split()) == 3}


def conflicts_of_loop(tool, folder, lines):
    """Those of each read of shared memory in the loop that unpacks codes."""
    conflicts = conflicts_of(emulate(tool, folder, "--stats").stdout)
    unpacked = [i for i, line in enumerate(lines, 1) if "lop3" in line]
    begin = max(i for i in range(unpacked[0]) if lines[i].startswith("$L"))
    loads = [line for line in conflicts if begin < line <= unpacked[-1] + 30 and "ld.shared" in lines[line - 1]]
    return [conflicts[line] for line in loads]


INT4 = ["int4", *(f"int4{zero}_g{group}" for zero in ("", "_asym") for group in (32, 64, 128)), "int4_asym_g128_zf"]
INT4 += ["int4_asym", "int4_asym_zf", "int4_g32_sf32", "int4_asym_g64_zf_sf32"]


FUSED = ["int4_g128 norm epilogue=gated", "int4_asym_g32 norm epilogue=gated"]


@pytest.mark.parametrize("rows", [*INT4, *FUSED])
def test_main_loop_is_lean(tool, tmp_path, rows):
    """Few instructions a weight, four lop3 a product and none that divides; no bank conflict where products are."""
    most = {f"tokens=1 k=4096 rows=256:{rows}": 1.6, f"tokens=8 k=4096 rows=256:{rows}": 2.0}
    most[f"tokens=1 k=4096 rows=256:{rows} act=bf16 out=bf16"] = 1.6
    if not rows.endswith("sf32"):
        most[f"tokens=8 k=4096 rows=256:{rows} act=bf16 out=bf16"] = 2.0
    folders = make(tool, tmp_path, most)
    for folder in folders:
        lines = (folder / "kernel.ptx").read_text().splitlines()
        assert not [line for line in lines if re.search(r"\s(div|rem)\.|\.local", line)]
        conflicts = conflicts_of_loop(tool, folder, lines)
        assert len(conflicts) >= 6 and not any(conflicts)
    counted = tool("skinny-linear", "loop", *jobs(most, folders, "kernel.ptx"), check=False)
    if counted.returncode == 77:
        pytest.skip(counted.stderr)
    said = [line.rsplit(" ", 1) for line in counted.stdout.splitlines()]
    assert len(said) == 3 * len(most), counted.stderr
    for i, (case, bound) in enumerate(most.items()):
        figures = dict(said[3 * i : 3 * i + 3])
        assert float(figures["instructions per weight"]) <= bound, case
        # Four unpack; the rest, once a unit, are the ring's parity, an address and what splits Σx.
        assert 4 <= float(figures["lop3 per product"]) <= 4.7, case
        assert int(figures["registers"]) <= 96, case


@pytest.mark.parametrize("rows", ["int4_asym_g32_sf32", "int4_asym_g32_zf_sf32", "int3_asym_g32_zf_sf32"])
def test_f32_scales_and_zero_points_have_no_conflicts(tool, tmp_path, rows):
    """Where zero points of four groups are one product, each lane has scale and zero point of another group."""
    tool("skinny-linear", "make", f"tokens=8 k=1024 rows=256:{rows}", tmp_path)
    conflicts = conflicts_of_loop(tool, tmp_path, (tmp_path / "kernel.ptx").read_text().splitlines())
    assert len(conflicts) >= 6 and not any(conflicts)


def assemble(tool, folder, cases):
    """The kernels of the cases as one module, of which none spills."""
    assembled = tool("skinny-linear", "assemble", *jobs(cases, make(tool, folder, cases), "kernel.ptx"), check=False)
    if assembled.returncode == 77:
        pytest.skip(assembled.stderr)
    assert assembled.returncode == 0, assembled.stderr


@pytest.mark.parametrize("tokens", [1, 8, 64])
def test_codes_have_no_conflicts(tool, tmp_path, tokens):
    """Reads of codes, of weights and of several tokens, find every bank free where products are."""
    tool("skinny-linear", "make", f"act=int8 tokens={tokens} k=1024 rows=256:int8", tmp_path)
    lines = (tmp_path / "kernel.ptx").read_text().splitlines()
    conflicts = conflicts_of(emulate(tool, tmp_path, "--stats").stdout)
    products = [i for i, line in enumerate(lines, 1) if "mma.sync" in line]
    assert all("m16n8k32" in lines[i - 1] and "s32.s8.s8.s32" in lines[i - 1] for i in products)
    loads = [i for i in conflicts if products[0] - 40 < i <= products[-1] and "ld.shared" in lines[i - 1]]
    assert len(loads) >= 4 and not any(conflicts[i] for i in loads)


# Those that need most registers.
FULL = [
    *("int4_g128", "int4_g128 norm epilogue=gated", "int4_g128 norm=layer_bias", "fp8_e4m3", "fp8_e4m3_g32"),
    *("int8 act=int8", "int4_g32_sf32 norm epilogue=gated", "int4_asym_g32_zf_sf32", "int8_asym_zf"),
]


@pytest.mark.parametrize("arch", ["sm_90a", "sm_80"])
@pytest.mark.parametrize("rows", FULL)
def test_nothing_spills(tool, tmp_path, arch, rows):
    """Every number of tokens, for one of the architectures, in which numbers and rows take turns: rows with numbers,
    rows with architectures and numbers with architectures are pairs that all occur; 64 tokens, which need most, are in
    both."""
    turn = FULL.index(rows) + (arch == "sm_80")
    tokens = [many for i, many in enumerate((1, 8, 16, 32)) if (i + turn) % 2] + [64]
    assemble(tool, tmp_path, [f"arch={arch} tokens={many} k=4096 rows=256:{rows}" for many in tokens])


# Those of one token that need most: masks and tables beside scales of groups.
ONE_TOKEN = [
    *("int2_g32", "int2_g64", "int2_g128", "int2_asym_g64", "int2_g32_s6", "int2_g64_sf32", "int2_asym_g64_zf"),
    *("lut4_g64", "nf4_g64"),
]


@pytest.mark.parametrize("arch", ["sm_90a", "sm_80"])
def test_one_token_spills_nothing(tool, tmp_path, arch):
    """As many rows as an 8B decoder has, so that stages are as long as they become."""
    assemble(tool, tmp_path, [f"arch={arch} k=4096 rows=4096:{weights}" for weights in ONE_TOKEN])


@pytest.mark.parametrize("arch", ["sm_90a", "sm_80"])
@pytest.mark.parametrize(
    "problem", ["k=4096 rows=256:int8 norm", "k=4096 rows=256:int8 norm=layer_bias", "k=14336 rows=64:int8"]
)
def test_making_codes_spills_nothing(tool, tmp_path, arch, problem):
    assemble(tool, tmp_path, [f"arch={arch} act=int8 source=f16 {problem}"])


@pytest.mark.parametrize("arch", ["sm_90a", "sm_80"])
@pytest.mark.parametrize(
    "problem",
    [
        *("k=4608 rows=256:int4_g128 norm epilogue=gated", "k=4608 rows=256:int4_asym_g32 norm epilogue=gated"),
        *("k=3584 rows=256:int8 act=int8 source=f16 norm", "k=2048 rows=64:int8 norm=layer_bias"),
    ],
)
def test_sums_spill_nothing(tool, tmp_path, arch, problem):
    assemble(tool, tmp_path, [f"arch={arch} {problem} sum"])


def test_fp8_is_converted(tool, tmp_path):
    """One conversion for two codes where the architecture has it, none where it has not."""
    for arch, name in (("sm_90a", "cvt.rn.f16x2.e4m3x2"), ("sm_80", None)):
        tool("skinny-linear", "make", f"arch={arch} k=1024 rows=64:fp8_e4m3", tmp_path)
        text = (tmp_path / "kernel.ptx").read_text()
        assert name in text if name else "e4m3x2" not in text


@pytest.mark.parametrize(
    "case, grid, slices",
    [
        ("k=4096 rows=512:int4_g128", 32, 1),
        ("k=4096 rows=512:int4_asym_g32", 32, 1),
        ("tokens=8 k=2048 rows=256:int4_g128 slices=4 grid=8", 8, 4),
    ],
)
def test_memory_is_read_once(tool, tmp_path, case, grid, slices):
    """Bytes of every access: weights once, each block's slice of x once, partial sums once; nothing more."""
    tool("skinny-linear", "make", case, tmp_path)
    assert launch_of(tmp_path)["grid"] == f"{grid},1,1"
    report = emulate(tool, tmp_path, "--stats").stdout
    read, written = map(int, re.search(r"^global +(\d+) +(\d+)", report, re.M).groups())
    moved = int(re.search(r"sectors of each access × 32 +(\d+)", report)[1])
    arrays = np.load(tmp_path / "args.npz")
    x, weights, y, partials, counters = (arrays[f"arg{i}"].nbytes for i in range(5))
    # The partial sums of a launch without slices are one word that nobody touches.
    expected = weights + grid // slices * x + (partials if slices > 1 else 0)
    assert weights < read <= 1.05 * (expected + counters)
    assert written <= 1.05 * (y + (partials if slices > 1 else 0) + counters)
    # Sectors hold little beside what was asked for.
    assert moved <= 1.05 * (expected + y + (partials if slices > 1 else 0) + 2 * 32 * counters)
