"""The installed runtime serves programs that only include <qopt/…>, in C and C++, shared and static."""

import os
import pathlib
import subprocess

import pytest

BUILD = pathlib.Path(os.environ.get("QOPT_BUILD", "build")).resolve()

PROJECT = """
cmake_minimum_required(VERSION 3.25)
project(consumer C CXX)
find_package(qopt REQUIRED)
add_executable(in_c main.c)
target_link_libraries(in_c qopt::runtime)
add_executable(in_cpp main.cpp)
target_link_libraries(in_cpp qopt::runtime)
add_executable(in_static main.cpp)
target_link_libraries(in_static qopt::runtime_static)
"""

IN_C = """
#include <qopt/qopt.h>
#include <stdio.h>

int main(void) {
  qopt_artifact *artifact = NULL;
  qopt_status status = qopt_artifact_open("missing.qopt", QOPT_OPEN_CHECKED, &artifact);
  printf("%s %d %s\\n", qopt_version(), (int)status, qopt_last_error());
  return status == QOPT_NOT_FOUND ? 0 : 1;
}
"""

IN_CPP = """
#include <qopt/Engine.h>
#include <qopt/Session.h>
#include <qopt/Tokenizer.h>
#include <iostream>

int main() {
  auto artifact = qopt::Artifact::open("missing.qopt");
  std::cout << int(artifact.status().code()) << ' ' << artifact.status().message() << '\\n';
  auto tokenizer = qopt::Tokenizer::create("{}");
  std::cout << tokenizer.ok() << '\\n';
  return artifact.ok() || tokenizer.ok();
}
"""


def run(*command, **options):
    done = subprocess.run([str(part) for part in command], capture_output=True, text=True, **options)
    assert done.returncode == 0, done.stdout + done.stderr
    return done.stdout


@pytest.fixture(scope="module")
def consumer(tmp_path_factory):
    if not (BUILD / "lib/libqopt_runtime.so").exists():
        pytest.skip("the runtime's shared library is not built")
    folder = tmp_path_factory.mktemp("consumer")
    prefix = folder / "prefix"
    run("cmake", "--install", BUILD, "--component", "runtime", "--prefix", prefix)
    (folder / "CMakeLists.txt").write_text(PROJECT)
    (folder / "main.c").write_text(IN_C)
    (folder / "main.cpp").write_text(IN_CPP)
    run(
        "cmake", "-G", "Ninja", "-S", folder, "-B", folder / "build", f"-DCMAKE_PREFIX_PATH={prefix}",
        "-DCMAKE_C_COMPILER=clang-22", "-DCMAKE_CXX_COMPILER=clang++-22", "-DCMAKE_BUILD_TYPE=Release",
    )  # fmt: skip
    run("cmake", "--build", folder / "build")
    return folder


@pytest.mark.parametrize("program", ["in_c", "in_cpp", "in_static"])
def test_a_program_outside_builds_and_runs(consumer, program):
    assert "cannot open 'missing.qopt'" in run(consumer / "build" / program, cwd=consumer)


def test_only_the_public_interface_is_exported(consumer):
    library = next(consumer.glob("prefix/lib*/**/libqopt_runtime.so"))
    lines = run("nm", "-D", "--defined-only", "-C", library).splitlines()
    foreign = [line for line in lines if " qopt_" not in line and " qopt::" not in line]
    inner = [line for line in lines if "::runtime::" in line.split("(")[0] or "::host::" in line.split("(")[0]]
    assert lines and not foreign and not inner


def test_the_library_is_small(consumer, tmp_path):
    library = next(consumer.glob("prefix/lib*/**/libqopt_runtime.so.*.*"))
    run("strip", "-o", tmp_path / "stripped.so", library)
    assert (tmp_path / "stripped.so").stat().st_size <= 4_000_000
