"""The installed runtime serves programs outside this repository: docs/embed builds against it and writes a story."""

import json
import os
import pathlib
import subprocess

import pytest
from conftest import UNSANITIZED

SOURCE = pathlib.Path(__file__).resolve().parents[2]
BUILD = pathlib.Path(os.environ.get("QOPT_BUILD", SOURCE / "build")).resolve()
MODEL = SOURCE / "test/data/stories260k"


def run(*command, check=True, **options):
    done = subprocess.run([str(part) for part in command], capture_output=True, text=True, **options)
    assert not check or done.returncode == 0, done.stdout + done.stderr
    return done


@pytest.fixture(scope="module")
def prefix(tmp_path_factory):
    if not (BUILD / "lib/libqopt_runtime.so").exists():
        pytest.skip("the runtime's shared library is not built")
    folder = tmp_path_factory.mktemp("prefix")
    run("cmake", "--install", BUILD, "--component", "runtime", "--prefix", folder)
    return folder


@pytest.fixture(scope="module")
def programs(prefix, tmp_path_factory):
    folder = tmp_path_factory.mktemp("embed")
    run(
        "cmake", "-G", "Ninja", "-S", SOURCE / "docs/embed", "-B", folder, f"-DCMAKE_PREFIX_PATH={prefix}",
        "-DCMAKE_C_COMPILER=clang-22", "-DCMAKE_CXX_COMPILER=clang++-22", "-DCMAKE_BUILD_TYPE=Release",
    )  # fmt: skip
    run("cmake", "--build", folder)
    return folder


@pytest.fixture(scope="module")
def artifact(tmp_path_factory):
    if not (BUILD / "bin/qopt-compile").exists():
        pytest.skip("the compiler is not built")
    path = tmp_path_factory.mktemp("artifact") / "stories.qopt"
    run(BUILD / "bin/qopt-compile", MODEL / "model.onnx", "-o", path)
    return path


@UNSANITIZED
@pytest.mark.parametrize("program", ["generate", "generate_c", "generate_static"])
def test_a_program_outside_writes_a_story(programs, artifact, program):
    expected = json.loads((MODEL / "generate.json").read_text())
    story = run(programs / program, artifact, expected["prompt"]).stdout
    whole = expected["text"].removeprefix(expected["prompt"])
    assert len(story.strip()) > 80 and whole.strip().startswith(story.strip())


@UNSANITIZED
@pytest.mark.parametrize("program", ["generate", "generate_c", "generate_static"])
def test_a_missing_artifact_is_an_error(programs, program):
    done = run(programs / program, "missing.qopt", "Once", check=False)
    assert done.returncode == 1 and "error: cannot read 'missing.qopt'" in done.stderr


def test_only_the_public_interface_is_exported(prefix):
    library = next(prefix.glob("lib*/**/libqopt_runtime.so"))
    lines = run("nm", "-D", "--defined-only", "-C", library).stdout.splitlines()
    foreign = [line for line in lines if " qopt_" not in line and " qopt::" not in line]
    inner = [line for line in lines if "::runtime::" in line.split("(")[0] or "::host::" in line.split("(")[0]]
    assert lines and not foreign and not inner


def test_the_compiler_has_no_header_there(prefix):
    names = {path.name for path in (prefix / "include/qopt").iterdir()}
    assert {"Engine.h", "Session.h", "qopt.h"} <= names and not {
        "Compiler.h",
        "CompileOptions.h",
        "KernelSummary.h",
        "ValidationSummary.h",
        "BlameSummary.h",
    } & names


@UNSANITIZED
def test_the_library_is_small(prefix, tmp_path):
    library = next(prefix.glob("lib*/**/libqopt_runtime.so.*.*"))
    run("strip", "-o", tmp_path / "stripped.so", library)
    assert (tmp_path / "stripped.so").stat().st_size <= 4_000_000
