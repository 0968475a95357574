"""Every file of the corpus is refused: one message, within a second and a bound of memory, nothing left behind."""

import os
import re
import signal
import subprocess
import threading

import conftest
import pytest
from hostile.corpus import entries

ENTRIES = {f"{entry.kind}/{entry.name}": entry for entry in entries()}
#: Kinds of TRUST: what SECURITY.md says is met.
KINDS = {
    *("no model", "path escape", "link or device", "range", "tensor", "name", "opset", "nesting", "function", "bomb"),
    *("lying attribute", "tokenizer", "plan", "artifact"),
}
SECONDS, KILOBYTES = 1.0, 64 << 10


def run(command, folder):
    """(exit status, what it said, seconds of the processor, peak KB) of a command that is ended after 20 s."""
    with open(folder / "said", "w+b") as said:
        process = subprocess.Popen(command, stdout=said, stderr=subprocess.STDOUT)
        timer = threading.Timer(20, process.send_signal, [signal.SIGKILL])
        timer.start()
        _, status, usage = os.wait4(process.pid, 0)
        timer.cancel()
        process.returncode = os.waitstatus_to_exitcode(status)
        said.seek(0)
        text = said.read().decode(errors="replace")
    (folder / "said").unlink()
    return process.returncode, text, usage.ru_utime + usage.ru_stime, usage.ru_maxrss


@pytest.fixture(scope="module")
def resting(tmp_path_factory):
    """Peak KB of the compiler, which other programs call, when it only prints its help: its own code."""
    return run([conftest.BUILD / "bin/qopt-compile", "--help"], tmp_path_factory.mktemp("resting"))[3]


def size_of(folder):
    return sum(path.stat().st_size for path in folder.rglob("*") if path.is_file() and not path.is_symlink())


def test_every_kind_is_here():
    assert {entry.kind for entry in ENTRIES.values()} == KINDS
    assert len(ENTRIES) >= 80


@pytest.mark.parametrize("name", ENTRIES)
def test_is_refused(resting, stories, stories_artifact, tmp_path, name):
    entry = ENTRIES[name]
    folder = tmp_path / "entry"
    folder.mkdir()
    entry.write(folder)
    places = {"MODEL": str(stories_artifact), "STORIES": str(stories)}
    program, *words = (places.get(word, word) for word in entry.arguments(folder))
    program = conftest.BUILD / "bin" / program
    status, said, seconds, peak = run([program, *words], tmp_path)
    assert status in entry.codes, (status, said[:2000])
    assert said.startswith("error: ") and len(said) < 3000 and re.search(entry.says, said), said[:2000]
    assert "\x1b" not in said and "Sanitizer" not in said
    assert not list(folder.rglob("*.qopt*"))
    if "QOPT_SANITIZE:BOOL=ON" in conftest.CACHE.read_text():
        return
    assert seconds <= SECONDS
    # Sparse files count with what they would hold, in the bound as in the memory.
    assert peak - resting <= 2 * (size_of(folder) >> 10) + KILOBYTES
