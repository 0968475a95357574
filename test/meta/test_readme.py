"""The README's transcript is what the commands print, here and now; only line breaks of long lines are its own."""

import os
import pathlib
import re
import subprocess

import conftest
import pytest

SOURCE = pathlib.Path(__file__).resolve().parents[2]


def transcript():
    """Pairs of a command and what the README shows of its output; "…" stands for what it leaves out."""
    (section,) = re.findall(r"^## What it looks like\n(.*?)^## ", (SOURCE / "README.md").read_text(), re.M | re.S)
    lines = [line[4:] for line in section.splitlines() if line.startswith("    ")]
    commands = []
    for line in lines:
        if line.startswith("$ "):
            commands.append((line[2:].partition("    #")[0].strip(), []))
        else:
            commands[-1][1].append(line)
    return [(command, " ".join(" ".join(shown).split())) for command, shown in commands]


@pytest.fixture(scope="module")
def place(tmp_path_factory):
    """A folder that looks like the checkout to the commands, so that what they write is not left there."""
    folder = tmp_path_factory.mktemp("readme")
    (folder / "build").mkdir()
    (folder / "build/bin").symlink_to(conftest.BUILD / "bin")
    (folder / "test").symlink_to(SOURCE / "test")
    return folder


def test_transcript(place):
    pairs = transcript()
    assert len(pairs) >= 5
    for command, shown in pairs:
        environment = {**os.environ, "LC_ALL": "C.UTF-8"}
        done = subprocess.run(["bash", "-c", command], cwd=place, capture_output=True, text=True, env=environment)
        assert done.returncode == 0, f"{command}\n{done.stderr}"
        expected = ".*".join(re.escape(part.strip()) for part in shown.split("…"))
        assert shown and re.fullmatch(expected, " ".join(done.stdout.split()), re.S), f"{command}\n{done.stdout}"
