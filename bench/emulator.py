#!/usr/bin/env python3
"""Lane instructions per second and core of the PTX emulator, without checks and with all of them.

    bench/emulator.py BUILD [CASE…] [--runs N]

A CASE is what test/lib/Kernels/SkinnyLinear/Case.h says, or `attention` and what AttentionDecode/Case.h says; without
one, those of RESULTS.md. Each kernel is made and run on one thread, N times; printed are, in millions and by processor
time of the launch alone, the fastest run and in brackets the median.
"""

import argparse
import json
import pathlib
import statistics
import subprocess
import sys
import tempfile

LARGE = "k=4096 rows=4096"
CASES = [
    *(f"arch=sm_80 tokens={tokens} {LARGE}:int4_g128" for tokens in (1, 16, 32, 64)),
    *(f"tokens={tokens} {LARGE}:{weights}" for weights in ("int4_g128", "f16", "fp8_e4m3") for tokens in (1, 8)),
    f"act=bf16 out=bf16 tokens=1 {LARGE}:bf16",
    f"tokens=64 {LARGE}:int4_g128",
    "arch=sm_80 tokens=64 k=2048 rows=2048:int8",
    "arch=sm_80 tokens=64 k=2048 rows=2048:f16",
    "arch=sm_80 tokens=64 k=2048 rows=2048:fp8_e4m3",
    "arch=sm_80 act=bf16 out=bf16 tokens=64 k=2048 rows=2048:int4_g128",
    f"arch=sm_80 act=int8 out=f32 tokens=64 {LARGE}:int8",
    f"act=int8 out=f32 tokens=64 {LARGE}:int8",
    "attention arch=sm_80 heads=32 kv=8 d=128 key=f16 value=f16 sequences=1:4000",
    "attention heads=32 kv=8 d=128 key=f16 value=f16 sequences=1:4000",
    "attention arch=sm_80 heads=32 kv=8 d=128 key=int8 value=f16 sequences=1:300,1:90,1:1000",
]


def make(build, case, folder):
    """The kernel of a case in `folder`; what qopt-emulate needs to launch it."""
    attention = case.startswith("attention ")
    program = build / "test/bin" / ("attention-decode" if attention else "skinny-linear")
    if not program.exists():
        sys.exit(f"error: there is no {program}; ninja -C {build} {program.name} qopt-emulate builds what is run")
    done = subprocess.run([program, "make", case.removeprefix("attention "), folder], capture_output=True, text=True)
    if done.returncode:
        sys.exit(f'error: the case "{case}": {done.stderr.strip().removeprefix("error: ")}')
    launch = dict(line.split(" ", 1) for line in (folder / "launch.txt").read_text().splitlines())
    shape = [word for name in ("kernel", "grid", "block", "shared") for word in (f"--{name}", launch[name])]
    return [folder / "kernel.ptx", *shape, "--args", folder / "args.npz"]


def rates(build, launch, checks, runs):
    """Millions of lane instructions a second, of each run."""
    command = [build / "bin/qopt-emulate", *launch, "--threads", "1", "--checks", checks, "--time"]
    done = [json.loads(subprocess.run(command, capture_output=True, text=True, check=True).stdout) for _ in range(runs)]
    return [run["lane_instructions"] / run["processor_seconds"] / 1e6 for run in done]


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("build", type=pathlib.Path)
    parser.add_argument("cases", nargs="*", default=CASES)
    parser.add_argument("--runs", type=int, default=5)
    options = parser.parse_args()
    if options.runs < 1:
        parser.error(f"--runs is {options.runs}; expected 1 or more")
    print("| case | without checks | with all |\n|---|---|---|")
    for case in options.cases:
        with tempfile.TemporaryDirectory() as folder:
            launch = make(options.build, case, pathlib.Path(folder))
            cells = [rates(options.build, launch, checks, options.runs) for checks in ("none", "all")]
        shown = " | ".join(f"{max(runs):.0f} ({statistics.median(runs):.0f})" for runs in cells)
        print(f"| {case} | {shown} |", flush=True)


if __name__ == "__main__":
    main()
