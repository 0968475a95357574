"""How many threads qopt-compile has."""

import contextlib
import os
import subprocess
import time

from conftest import BUILD, UNSANITIZED


def most_threads(folder, *options):
    """How many threads qopt-compile has at once; one waits for signals."""
    command = [str(word) for word in (BUILD / "bin/qopt-compile", *options)]
    most = 0
    with open(folder / "output", "w") as output, subprocess.Popen(command, stdout=output, stderr=output) as process:
        while process.poll() is None:
            with contextlib.suppress(FileNotFoundError, ProcessLookupError):
                most = max(most, len(os.listdir(f"/proc/{process.pid}/task")))
            time.sleep(0.001)
    assert process.returncode == 0, (folder / "output").read_text()
    return most - 1


@UNSANITIZED
def test_threads_of_all_stages(stories, tmp_path):
    """--threads bounds passes and the code of kernels, too, which many threads make."""
    kernels = (stories, "--target", "cuda", "--emit", "ptx")
    assert most_threads(tmp_path, *kernels, "--threads", 1) == 1
    assert 1 < most_threads(tmp_path, *kernels, "--threads", 3) <= 1 + 3
    weights = (stories, "--weights", "int8", "-o", tmp_path / "m.qopt")
    assert most_threads(tmp_path, *weights, "--threads", 1) == 1
