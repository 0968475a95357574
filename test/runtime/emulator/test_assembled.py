"""The kernels of the instructions' tests are PTX: ptxas takes every one of them."""

import concurrent.futures
import shutil
import subprocess

import pytest

SUITES = [
    "Mma",
    "SparseMma",
    "MoveMatrix",
    "Logic3",
    "Video",
    "ScalarVideo",
    "PackedWmma",
    "QuadPairMma",
    "Atomics",
    "Heap",
    "Alloca",
    "AsyncStores",
    "BulkReductions",
]


START = ".address_size 64\n\n.visible .entry k("  # of a module with nothing ahead of its kernel
TOGETHER = 50


def joined(kernels):
    """The texts as fewer modules, for ptxas begins for longer than a kernel takes: those of kernels alone are put
    together, each kernel under a name of its own."""
    texts = [kernel.read_text() for kernel in kernels]
    alone = [text for text in texts if START in text]
    modules = [text for text in texts if START not in text]
    for first in range(0, len(alone), TOGETHER):
        part = [text.partition(START) for text in alone[first : first + TOGETHER]]
        assert len({header for header, _, _ in part}) == 1
        entries = [f".visible .entry k{i}({body}" for i, (_, _, body) in enumerate(part)]
        modules.append("\n".join([part[0][0], ".address_size 64", *entries]))
    return modules


def test_kernels_assemble(tool, tmp_path):
    ptxas = shutil.which("ptxas") or shutil.which("ptxas", path="/usr/local/cuda/bin")
    if not ptxas:
        pytest.skip("there is no ptxas here")
    # What the emulator is to refuse is no PTX either.
    chosen = (
        ":".join(f"{suite}.*" for suite in SUITES) + "-Video.SelectorsBelongToVideo:ScalarVideo.WhatDoesNotFitIsNamed"
    )
    tool("EmulatorTests", f"--gtest_filter={chosen}", environment={"QOPT_TEST_KERNELS": str(tmp_path)})
    kernels = sorted(tmp_path.glob("*.ptx"))
    assert len(kernels) > 100

    def assemble(text):
        command = [ptxas, "-arch=sm_90a", "-O0", "-o", "/dev/null", "-"]
        return subprocess.run(command, input=text, capture_output=True, text=True).stderr

    with concurrent.futures.ThreadPoolExecutor(2) as pool:
        errors = [message for message in pool.map(assemble, joined(kernels)) if "error" in message]
    assert errors == []
