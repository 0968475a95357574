"""The entry script explains itself and refuses what it does not know before it does anything."""

import os
import pathlib
import shutil
import subprocess

import pytest

SOURCE = pathlib.Path(__file__).resolve().parents[1]


@pytest.fixture
def x(tmp_path):
    """x(arguments…) runs a copy of the script in an empty folder, which must stay empty."""
    shutil.copy(SOURCE / "x", tmp_path)

    def run(*arguments, **environment):
        command = [tmp_path / "x", *arguments]
        done = subprocess.run(command, capture_output=True, text=True, env={**os.environ, **environment})
        assert [path.name for path in tmp_path.iterdir()] == ["x"]
        return done

    return run


def test_help(x):
    everything = x("help").stdout
    assert "commands: setup build demo test lint format bench kernels gpu docs clean" in everything
    assert x("--help").stdout == x("-h").stdout == x().stdout == everything
    assert x("help", "test").stdout == x("test", "--help").stdout
    assert x("test", "-h").stdout.startswith("./x test [FILTER]")


def test_what_it_does_not_know(x):
    for arguments in (("bogus",), ("help", "bogus")):
        done = x(*arguments)
        assert done.returncode == 1 and 'unknown command "bogus"' in done.stderr
    done = x("build", QOPT_PRESET="bogus")
    assert done.returncode == 2 and 'QOPT_PRESET is "bogus"; expected dev, release or asan' in done.stderr
