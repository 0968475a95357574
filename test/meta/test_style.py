"""What the house style counts: lengths of files, licence lines, words that no name may have."""

import pathlib
import re
import subprocess

import pytest

SOURCE = pathlib.Path(__file__).resolve().parents[2]
LIMITS = {".cpp": 600, ".h": 300, ".td": 400, ".mlir": 200, ".py": 600}
FORBIDDEN_WORDS = ["utils", "common", "helpers", "misc", "manager"]


def tracked_files():
    listed = subprocess.run(["git", "ls-files", "-z"], cwd=SOURCE, capture_output=True, text=True, check=True)
    return [SOURCE / name for name in listed.stdout.split("\0") if name and (SOURCE / name).exists()]


@pytest.mark.parametrize("suffix", LIMITS)
def test_files_are_short(suffix):
    long = {}
    for path in tracked_files():
        if path.suffix == suffix:
            lines = len(path.read_text().splitlines())
            if lines > LIMITS[suffix]:
                long[str(path.relative_to(SOURCE))] = lines
    assert not long, f"longer than {LIMITS[suffix]} lines: {long}"


def test_sources_name_their_licence():
    missing = [
        str(path.relative_to(SOURCE))
        for path in tracked_files()
        if path.suffix in (".cpp", ".h", ".td")
        and "SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception" not in path.read_text()
    ]
    assert not missing


def words_of(name):
    """The words of a CamelCase or snake_case name, in lower case."""
    return [word.lower() for word in re.findall(r"[A-Z]?[a-z]+|[A-Z]+(?![a-z])", name)]


def test_words_of_a_name():
    assert words_of("ShapeUtils") == ["shape", "utils"]
    assert words_of("test_misc-invalid") == ["test", "misc", "invalid"]


def test_no_drawer_names():
    bad = [
        str(path.relative_to(SOURCE))
        for path in tracked_files()
        if any(word in words_of(path.stem) for word in FORBIDDEN_WORDS)
    ]
    assert not bad
