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

    def assemble(kernel):
        command = [ptxas, "-arch=sm_90a", "-O0", "-o", "/dev/null", kernel]
        return subprocess.run(command, capture_output=True, text=True).stderr

    with concurrent.futures.ThreadPoolExecutor(2) as pool:
        errors = [message for message in pool.map(assemble, kernels) if "error" in message]
    assert errors == []
