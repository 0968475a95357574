"""The entry script explains itself and refuses what it does not know before it does anything."""

import os
import pathlib
import re
import shutil
import subprocess
import sys

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
    assert "commands: setup build demo test lint format bench kernels gpu fuzz docs clean" in everything
    assert x("--help").stdout == x("-h").stdout == x().stdout == everything
    assert x("help", "test").stdout == x("test", "--help").stdout
    assert x("test", "-h").stdout.startswith("./x test [FILTER]")


def test_what_it_does_not_know(x):
    for arguments in (("bogus",), ("help", "bogus")):
        done = x(*arguments)
        assert done.returncode == 1 and 'unknown command "bogus"' in done.stderr
    done = x("build", QOPT_PRESET="bogus")
    assert done.returncode == 2 and 'QOPT_PRESET is "bogus"; expected dev, release or asan' in done.stderr


SHELL = ["bash", "dirname", "nproc", "grep", "sort", "rm", "tail", "sed", "cmp", "ld"]
PROGRAMS = ["clang-22", "clang++-22", "ld.lld-22", "cmake", "ninja", "git", "python3", "flatc", "protoc"]


@pytest.fixture
def elsewhere(tmp_path):
    """setup(programs, **environment) as on another system, with these programs only; the Python packages are there."""
    folder = tmp_path / "qopt"
    shutil.copytree(SOURCE / "cmake", folder / "cmake")
    shutil.copytree(SOURCE / "python", folder / "python")
    shutil.copy(SOURCE / "x", folder)
    (folder / "build/venv").mkdir(parents=True)
    for name in ("", "-cuda"):
        shutil.copy(folder / f"python/requirements{name}.txt", folder / f"build/venv/installed{name}.txt")
    (tmp_path / "os-release").write_text('NAME="Example Linux"\nID=example\nVERSION_ID="7"\n')
    (tmp_path / "bin").mkdir()

    def setup(programs, **environment):
        for name in [*SHELL, *programs]:
            # What is called python3 may be a script that looks for the interpreter.
            path = f"{sys.base_prefix}/bin/python3" if name == "python3" else shutil.which(name)
            (tmp_path / "bin" / name).symlink_to(path)
        environment |= {"PATH": str(tmp_path / "bin"), "QOPT_OS_RELEASE": str(tmp_path / "os-release")}
        done = subprocess.run([folder / "x", "setup"], capture_output=True, text=True, env=environment)
        assert "this is example 7, not Debian 12" in done.stderr
        found = dict(re.findall(r"^-- found (.*?)(?: ([\d.]+))?$", done.stdout, re.MULTILINE))
        _, _, missing = done.stderr.partition("error: missing:\n  ")
        return found, missing.strip().split("\n  ") if missing else [], done

    return setup


def test_setup_elsewhere_prints_versions(elsewhere):
    found, missing, done = elsewhere(PROGRAMS)
    assert (done.returncode, missing) == (0, []), done.stderr
    assert "not found and not needed to build: ccache clang-format-22 clang-tidy-22" in done.stderr
    for name in ["clang++-22", "ld.lld-22", "ninja", "Highway", "LLVM and MLIR", "zlib", "Python and its headers"]:
        assert re.fullmatch(r"\d+\.[\d.]+", found[name]), name


def test_setup_elsewhere_names_what_is_missing(elsewhere, tmp_path):
    """A linker and a library are not there; a program, a CMake package, a header and LLVM are too old."""
    files = {
        "lib/cmake/hwy/hwy-config.cmake": "",
        "lib/cmake/hwy/hwy-config-version.cmake": "set(PACKAGE_VERSION 0.15)\nset(PACKAGE_VERSION_COMPATIBLE 1)\n",
        "lib/cmake/nlohmann_json/nlohmann_jsonConfig.cmake": "set(nlohmann_json_FOUND FALSE)\n",
        "include/utf8proc.h": "#define UTF8PROC_VERSION_MAJOR 1\n#define UTF8PROC_VERSION_MINOR 3\n",
        "mlir/MLIRConfig.cmake": "set(LLVM_VERSION_MAJOR 21)\nset(LLVM_PACKAGE_VERSION 21.1.0)\n",
        "bin/git": "#!/bin/sh\necho git version 1.9.5\n",
    }
    for name, text in files.items():
        (tmp_path / name).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / name).write_text(text)
    (tmp_path / "bin/git").chmod(0o755)
    programs = [name for name in PROGRAMS if name not in ("ld.lld-22", "git")]
    found, missing, done = elsewhere(programs, CMAKE_PREFIX_PATH=str(tmp_path), MLIR_DIR=str(tmp_path / "mlir"))
    assert done.returncode == 1 and "cmake" in found and "zlib" in found
    assert missing == [
        "ld.lld-22 >= 22.1, the linker",
        "git >= 2.0, what lists the files to format (found 1.9.5)",
        "Highway >= 1.0.3 (found 0.15, Debian: libhwy-dev)",
        "JSON for Modern C++ >= 3.11.2 (Debian: nlohmann-json3-dev)",
        "utf8proc >= 2.6 (found 1.3, Debian: libutf8proc-dev)",
        f"LLVM and MLIR >= 22.1 (Debian: libmlir-22-dev mlir-22-tools llvm-22-dev, in {tmp_path / 'mlir'} is 21.1.0)",
    ]


def test_setup_elsewhere_without_cmake(elsewhere):
    _, missing, done = elsewhere([name for name in PROGRAMS if name != "cmake"])
    assert done.returncode == 1
    assert missing == [
        "cmake >= 3.25, what configures the build",
        "libraries: not looked for, as that takes cmake and ninja",
    ]


def test_setup_elsewhere_takes_no_other_llvm(elsewhere, tmp_path):
    _, missing, _ = elsewhere(PROGRAMS, MLIR_DIR=str(tmp_path / "nowhere"))
    (llvm,) = missing
    assert f"MLIR_DIR is {tmp_path / 'nowhere'}, which has no MLIRConfig.cmake" in llvm
