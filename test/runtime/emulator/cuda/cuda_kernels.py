"""Compiles the CUDA programs of this folder to PTX, once for each content, and runs their kernels on the emulator."""

import fcntl
import hashlib
import pathlib
import re
import shutil
import subprocess

import numpy as np
import pytest
from conftest import BUILD

PROGRAMS = pathlib.Path(__file__).parent / "programs"


def find_nvcc():
    return shutil.which("nvcc") or shutil.which("nvcc", path="/usr/local/cuda/bin")


def compile_program(source):
    """The PTX of a program, from the build folder if its content, options and compiler were seen before."""
    nvcc = find_nvcc()
    if not nvcc:
        pytest.skip("nvcc is not on PATH: the CUDA programs are not compiled")
    options = ["-ptx", "-arch=sm_90a", "-std=c++17"]
    version = subprocess.run([nvcc, "--version"], capture_output=True, text=True, check=True).stdout
    key = hashlib.sha256("\0".join([source.read_text(), version, *options]).encode()).hexdigest()[:16]
    folder = BUILD / "test/cuda"
    folder.mkdir(parents=True, exist_ok=True)
    ptx = folder / f"{source.stem}-{key}.ptx"
    with open(folder / f"{source.stem}.lock", "w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)  # several test processes want the same file
        if not ptx.exists():
            done = subprocess.run([nvcc, *options, source, "-o", f"{ptx}.part"], capture_output=True, text=True)
            assert done.returncode == 0, done.stderr
            pathlib.Path(f"{ptx}.part").rename(ptx)
    return ptx


@pytest.fixture(scope="session")
def program():
    """program("reduce") is the path of the PTX of programs/reduce.cu."""
    return lambda name: compile_program(PROGRAMS / f"{name}.cu")


class Emulated:
    """What a run of the emulator left: its status, its messages, and the arrays after the kernel."""

    def __init__(self, done, path):
        self.status, self.stdout, self.stderr = done.returncode, done.stdout, done.stderr
        self.arrays = dict(np.load(path)) if path.exists() else {}

    def __getitem__(self, index):
        return self.arrays[f"arg{index}"]


@pytest.fixture
def emulate(tool, tmp_path):
    """emulate(ptx, "kernel", grid, block, arguments…) runs a kernel with all checks under several schedules."""

    def run(ptx, kernel, grid, block, *arguments, shared=0, schedules=3, check=True, options=()):
        np.savez(tmp_path / "args.npz", **{f"arg{i}": np.asarray(a) for i, a in enumerate(arguments)})
        out = tmp_path / "out.npz"
        out.unlink(missing_ok=True)
        shape = [",".join(str(n) for n in ((v,) if isinstance(v, int) else v)) for v in (grid, block)]
        shape = [s + ",1" * (2 - s.count(",")) for s in shape]
        command = ["qopt-emulate", ptx, "--kernel", kernel, "--grid", shape[0], "--block", shape[1]]
        command += ["--shared", shared] if shared else []
        command += ["--args", tmp_path / "args.npz", "--out", out, "--schedules", schedules, *options]
        done = Emulated(tool(*command, check=False, timeout=120), out)
        if check:
            assert done.status == 0, done.stderr
        return done

    return run


class Source:
    """The lines of a PTX file, found and changed within one kernel."""

    def __init__(self, path, kernel):
        self.lines = path.read_text().splitlines()
        start = next(i for i, line in enumerate(self.lines) if re.search(rf"\.entry\s+{kernel}\b", line))
        after = (i for i in range(start + 1, len(self.lines)) if re.match(r"\s*// \.globl", self.lines[i]))
        self.range = range(start, next(after, len(self.lines)))

    def find(self, pattern, nth=0):
        """The index of the nth line of the kernel that matches; negative counts from the end."""
        found = [i for i in self.range if re.search(pattern, self.lines[i])]
        assert found, f"no line matches {pattern!r}"
        return found[nth]

    def write(self, path):
        path.write_text("\n".join(self.lines) + "\n")
        return path
