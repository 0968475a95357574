"""Every harness holds for its seeds and for a minute of changes of them, in the same order in every run (README.md)."""

import re
import subprocess

import conftest
import pytest
from fuzz import seeds

SECONDS = 60


@pytest.mark.parametrize("target", seeds.TARGETS)
def test_holds(target, tmp_path):
    count = seeds.write(target, tmp_path / "seeds")
    program = conftest.BUILD / "test/bin" / f"fuzz-{target}"
    command = [program, tmp_path / "seeds", str(SECONDS)]
    done = subprocess.run(command, cwd=tmp_path, capture_output=True, text=True, errors="replace")
    assert done.returncode == 0, f"{done.stderr[-2000:]}\nthe input is {tmp_path}/finding"
    given, inputs = map(int, re.fullmatch(r"(\d+) seeds, (\d+) inputs\n", done.stdout).groups())
    assert given == count and inputs > count
