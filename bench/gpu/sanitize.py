"""The tools of compute-sanitizer over small launches of every family and over models."""

import os
import re
import shutil
import subprocess
import sys
import time

TOOLS = ("memcheck", "racecheck", "initcheck", "synccheck")
#: What the tools print where they cannot watch this GPU at all.
UNAVAILABLE = re.compile(r"Device not supported|not supported on (this|current) (device|platform|system)", re.I)
SUMMARY = re.compile(r"(?:ERROR SUMMARY: (\d+) error|RACECHECK SUMMARY: (\d+) hazard)")


def find():
    """The path of compute-sanitizer, or None."""
    return shutil.which("compute-sanitizer") or shutil.which("compute-sanitizer", path="/usr/local/cuda/bin")


def targets(pack):
    """Names and command lines of what is watched."""
    records = sorted((pack / "checks").glob("*.json"))
    watched = [("kernels", [sys.executable, "-m", "gpu.check", *records])] if records else []
    prompt = ["--device", "cuda", "--prompt", "Once upon a time", "--max-tokens", "6", "--json"]
    draws = ["--temperature", "0.8", "--top-k", "40", "--top-p", "0.9", "--repetition-penalty", "1.1"]
    for name, options in (
        ("stories-f16", []),
        ("stories-kv-int8-int4", draws),
        ("stories-int4", []),
        ("stories-w8a8", []),
    ):
        model, tool = pack / f"models/{name}.qopt", pack / "bin/qopt-run"
        if model.exists() and tool.exists():
            watched.append((name, [tool, model, *prompt, *options]))
    return watched


def judge(output, status):
    """("clean" | "errors" | "unavailable" | "failed", how many) from what a tool printed."""
    if UNAVAILABLE.search(output):
        return "unavailable", 0
    found = [int(first or second) for first, second in SUMMARY.findall(output)]
    if not found:
        return "failed", 0
    if sum(found):
        return "errors", sum(found)
    return ("clean" if status == 0 else "failed"), 0


def run(pack, seconds, environment):
    """A row for each tool and target; what does not end in time says so."""
    program, end, rows = find(), time.monotonic() + seconds, []
    if not program:
        return [{"tool": "compute-sanitizer", "target": "all", "outcome": "unavailable", "detail": "not found here"}]
    for name, command in targets(pack):  # every tool sees the kernels before one sees a model
        for tool in TOOLS:
            begin = time.monotonic()
            row = {"tool": tool, "target": name}
            rows.append(row)
            if begin > end:
                row |= {"outcome": "skipped", "detail": "the time for sanitizers was over"}
                continue
            unfilled = ["--unfilled"] if tool == "initcheck" and name == "kernels" else []
            words = [program, "--tool", tool, "--print-limit", "10", *command, *unfilled]
            row |= run_one([str(word) for word in words], end - begin + 10, environment)
            row["seconds"] = round(time.monotonic() - begin, 1)
            if row["outcome"] == "unavailable":
                return rows
    return rows


def run_one(command, seconds, environment):
    try:
        done = subprocess.run(
            command,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
            errors="replace",
            timeout=seconds,
            env={**os.environ, **environment},
        )
    except subprocess.TimeoutExpired as error:
        output = (error.stdout or b"").decode(errors="replace") if isinstance(error.stdout, bytes) else error.stdout
        return {"outcome": "timeout", "detail": (output or "")[-2000:]}
    outcome, count = judge(done.stdout, done.returncode)
    return {"outcome": outcome, "errors": count, "detail": "" if outcome == "clean" else done.stdout[-4000:]}
