#!/usr/bin/env python3
"""Lane instructions per second and core of the PTX emulator, without checks and with all of them.

    bench/emulator.py build kernel.ptx --grid X --block X --args args.npz [--kernel NAME] [--shared BYTES] [--runs N]

Runs the kernel on one thread and prints the best of N runs, by processor time of the launch alone.
"""

import argparse
import json
import pathlib
import subprocess


def measure(options, checks):
    """(lane instructions, seconds) of the fastest run."""
    command = [options.build / "bin/qopt-emulate", options.ptx, "--grid", options.grid, "--block", options.block]
    command += ["--args", options.args, "--shared", options.shared, "--threads", "1", "--checks", checks, "--time"]
    command += ["--kernel", options.kernel] if options.kernel else []
    best = None
    for _ in range(options.runs):
        done = subprocess.run([str(word) for word in command], capture_output=True, text=True)
        if done.returncode != 0:
            raise SystemExit(done.stderr)
        run = json.loads(done.stdout)
        if best is None or run["processor_seconds"] < best[1]:
            best = run["lane_instructions"], run["processor_seconds"]
    return best


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("build", type=pathlib.Path)
    parser.add_argument("ptx", type=pathlib.Path)
    parser.add_argument("--kernel")
    parser.add_argument("--grid", default="1")
    parser.add_argument("--block", default="32")
    parser.add_argument("--shared", default="0")
    parser.add_argument("--args", required=True)
    parser.add_argument("--runs", type=int, default=3)
    options = parser.parse_args()
    for checks in ("none", "all"):
        count, seconds = measure(options, checks)
        rate = count / seconds / 1e6
        print(f"checks {checks:5}: {count / 1e6:9.1f} M lane instructions in {seconds:6.3f} s: {rate:6.1f} M/s")


if __name__ == "__main__":
    main()
