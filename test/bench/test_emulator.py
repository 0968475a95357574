"""bench/emulator.py prints a row a case, and says in a line why there is none."""

import subprocess
import sys

import conftest
import pytest


def bench(*arguments):
    command = [sys.executable, conftest.SOURCE / "bench/emulator.py", *arguments]
    return subprocess.run([str(word) for word in command], capture_output=True, text=True)


@pytest.mark.parametrize(
    "case", ["tokens=1 k=256 rows=64:int4_g128", "attention heads=2 kv=1 d=64 key=f16 value=f16 sequences=1:70"]
)
def test_row(case):
    done = bench(conftest.BUILD, case, "--runs", 1)
    cells = done.stdout.splitlines()[-1].strip("| ").split(" | ")
    assert done.returncode == 0 and cells[0] == case, done.stderr
    assert all(float(cell.split(" (")[0]) > 0 for cell in cells[1:]) and len(cells) == 3


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ((conftest.BUILD, "nonsense"), 'error: the case "nonsense": a linear layer needs rows and columns'),
        (("/nonexistent",), "error: there is no /nonexistent/test/bin/skinny-linear; "),
        ((conftest.BUILD, "--runs", 0), "--runs is 0; expected 1 or more"),
    ],
)
def test_errors(arguments, message):
    done = bench(*arguments)
    assert done.returncode != 0 and message in done.stderr and "Traceback" not in done.stderr
