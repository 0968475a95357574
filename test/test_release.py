"""The programs of the preset release run where nothing but the C library is installed, and carry no symbols."""

import re
import subprocess

import pytest
from conftest import BUILD

C_LIBRARY = {"libc.so.6", "libm.so.6", "libdl.so.2", "librt.so.1", "libpthread.so.0", "ld-linux-x86-64.so.2"}
C_LIBRARY.add("ld-linux-aarch64.so.1")
PROGRAMS = ["compile", "run", "eval", "bench", "inspect", "opt", "translate", "kernel", "emulate"]
CACHE = BUILD / "CMakeCache.txt"

pytestmark = pytest.mark.skipif(
    not CACHE.exists() or "QOPT_STATIC:BOOL=ON" not in CACHE.read_text(), reason="not a build of the preset release"
)


def readelf(*arguments):
    return subprocess.run(["readelf", *arguments], capture_output=True, text=True, check=True).stdout


@pytest.mark.parametrize("name", PROGRAMS)
def test_needs_the_c_library_alone(name):
    needed = re.findall(r"\(NEEDED\).*\[(.*)\]", readelf("-d", BUILD / f"bin/qopt-{name}"))
    assert "libc.so.6" in needed and set(needed) <= C_LIBRARY


@pytest.mark.parametrize("name", PROGRAMS)
def test_is_stripped(name):
    assert ".symtab" not in readelf("-SW", BUILD / f"bin/qopt-{name}")


def test_size():
    """One code generator for each kind of processor that qopt makes code for, not all that LLVM has."""
    assert (BUILD / "bin/qopt-compile").stat().st_size < 100e6
