"""What a signal leaves of a compilation: nothing but whole artifacts, and, but for SIGKILL, no temporary files."""

import os
import signal
import subprocess
import time

import pytest
from conftest import BUILD


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM, signal.SIGKILL])
def test_a_stopped_compile_leaves_nothing(stories, tmp_path, number):
    """Stopped at any moment, early or late, the output is absent or whole."""
    for delay in (0.02, 0.08, 0.15):
        output = tmp_path / "m.qopt"
        process = subprocess.Popen([BUILD / "bin/qopt-compile", stories, "-o", output], stdout=subprocess.DEVNULL)
        time.sleep(delay)
        process.send_signal(number)
        process.wait(60)
        assert [path for path in tmp_path.iterdir() if path != output] == []
        if output.exists():
            subprocess.run([BUILD / "bin/qopt-inspect", output], check=True, capture_output=True)
            output.unlink()


def stop_once_there(arguments, folder, pattern, number):
    """Ends the compiler as soon as its folder of temporary files has such a file; None if it was gone too soon."""
    environment = {**os.environ, "TMPDIR": str(folder), "XDG_CACHE_HOME": str(folder.parent / "cache")}
    command = [BUILD / "bin/qopt-compile", *arguments]
    process = subprocess.Popen(command, env=environment, stdout=subprocess.DEVNULL)
    while not any(folder.glob(pattern)):
        if process.poll() is not None:
            return None
    process.send_signal(number)
    return process.wait(60)


ENDINGS = [signal.SIGINT, signal.SIGTERM, signal.SIGHUP]


@pytest.mark.parametrize("number", ENDINGS)
def test_stopped_while_linking(stories, tmp_path, number):
    folder = tmp_path / "temporary"
    folder.mkdir()
    arguments = [stories, "-o", tmp_path / "m.qopt"]
    for _ in range(20):  # a link takes milliseconds
        ended = stop_once_there(arguments, folder, "qopt-link-*", number)
        assert list(folder.iterdir()) == []
        if ended == -number:
            return
    pytest.fail("no link was seen")


@pytest.mark.parametrize("number", ENDINGS)
def test_stopped_while_ptxas_works(stories, tmp_path, monkeypatch, number):
    """Also where that goes on: it can write no file any more, in a folder that is no longer there."""
    folder = tmp_path / "temporary"
    folder.mkdir()
    ptxas = tmp_path / "ptxas"
    ptxas.write_text(
        "#!/bin/sh\n[ $1 = --version ] && { echo 'Cuda compilation tools, release 12.9, V12.9.41'; exit; }\n"
        f"echo part > $6; sleep 1\necho all > $6; touch {tmp_path}/done\n"
    )
    ptxas.chmod(0o755)
    monkeypatch.setenv("QOPT_PTXAS", str(ptxas))
    arguments = [stories, "--target", "cuda", "--arch", "sm_90a", "-o", tmp_path / "m.qopt"]
    assert stop_once_there(arguments, folder, "qopt-ptxas-*/kernels.cubin", number) == -number
    assert list(folder.iterdir()) == []
    while not (tmp_path / "done").exists():
        time.sleep(0.01)
    assert list(folder.iterdir()) == []
