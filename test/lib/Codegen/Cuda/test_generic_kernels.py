"""Generic kernels on the emulator give what NumPy gives, at sizes around a warp, a block and one. Every check of the
emulator is on. Skipped, saying so, where qopt-emulate is not built."""

import json
import os
import pathlib
import subprocess

import numpy as np
import pytest

SOURCE = pathlib.Path(__file__).resolve().parents[4]
BUILD = pathlib.Path(os.environ.get("QOPT_BUILD", SOURCE / "build"))
KERNELS = pathlib.Path(__file__).parent / "Inputs/generic-kernels.mlir"
SIZES = [(1, 1), (1, 31), (3, 32), (7, 33), (2, 255), (5, 257)]


@pytest.fixture(scope="session")
def emulate():
    """emulate(ptx, kernel, launch, arrays, sizes, folder): the arrays as the kernel left them."""
    program = pathlib.Path(os.environ.get("QOPT_EMULATE", BUILD / "bin/qopt-emulate"))
    if not program.exists():
        pytest.skip("qopt-emulate is not built")

    def run(ptx, kernel, launch, arrays, sizes, folder):
        assert len(arrays) == launch["buffers"] and len(sizes) == launch["sizes"]
        arguments = [*arrays, *(np.int64(size) for size in sizes)]
        np.savez(folder / "args.npz", **{f"arg{i}": value for i, value in enumerate(arguments)})
        blocks = -(-launch["extent"] // launch["perBlock"])
        command = [program, ptx, "--kernel", kernel, "--grid", str(blocks), "--block", str(launch["threads"])]
        command += ["--args", folder / "args.npz", "--out", folder / "out.npz", "--schedules", "2"]
        done = subprocess.run(command, capture_output=True, text=True)
        assert done.returncode == 0, done.stdout + done.stderr
        with np.load(folder / "out.npz") as out:
            return [out[f"arg{i}"] for i in range(len(arrays))]

    return run


def case(kernel, m, n):
    """(arrays, their expected contents) of one kernel."""
    rng = np.random.default_rng(m * 1000 + n)
    x = rng.standard_normal((m, n)).astype(np.float32)
    if kernel == "pointwise":
        bias = rng.standard_normal(n).astype(np.float32)
        return [x, bias, np.zeros_like(x)], {2: np.exp(x.astype(np.float64)) + bias}
    if kernel == "halves":
        x = x.astype(np.float16)
        return [x, np.zeros_like(x)], {1: np.tanh(x.astype(np.float64))}
    if kernel == "column_sum":
        return [x, np.full(n, 9, np.float32)], {1: x.sum(0, dtype=np.float64)}
    if kernel == "row_sum_warp":
        x = rng.standard_normal((m, 100)).astype(np.float32)
        start = rng.standard_normal(m).astype(np.float32)
        return [x, start.copy()], {1: start + x.sum(1, dtype=np.float64)}
    if kernel == "row_max_block":
        k = rng.integers(-(2**40), 2**40, (m, n))
        return [x, k, np.zeros(m, np.float32), np.full(m, 5)], {2: x.max(1), 3: k.sum(1)}
    if kernel == "row_place":
        return [x, np.zeros(m, np.float32), np.full(m, -1)], {1: x.max(1), 2: x.argmax(1)}
    assert kernel == "scatter"
    places = rng.integers(0, n, m)
    expected = np.zeros(n, np.float32)
    np.add.at(expected, places, x[:, 0])
    return [x[:, 0].copy(), places, np.zeros(n, np.float32)], {2: expected}


NAMES = ["pointwise", "halves", "column_sum", "row_sum_warp", "row_max_block", "row_place", "scatter"]


@pytest.mark.parametrize("arch", ["sm_80", "sm_90a"])
@pytest.mark.parametrize("m, n", SIZES)
def test_generic_kernels(tool, emulate, tmp_path, arch, m, n):
    ptx = tmp_path / "kernels.ptx"
    launches = json.loads(tool("write-generic-kernels", KERNELS, arch, ptx, m, n).stdout)
    assert list(launches) == NAMES
    for kernel in NAMES:
        arrays, expected = case(kernel, m, n)
        results = emulate(ptx, kernel, launches[kernel], arrays, (m, n)[: launches[kernel]["sizes"]], tmp_path)
        for index, values in expected.items():
            tolerance = 2e-3 if results[index].dtype == np.float16 else 1e-5
            if np.issubdtype(results[index].dtype, np.integer):
                np.testing.assert_array_equal(results[index], values, err_msg=kernel)
            else:
                np.testing.assert_allclose(results[index], values, rtol=tolerance, atol=tolerance, err_msg=kernel)


def test_work_is_divided_as_said(tool, tmp_path):
    launches = json.loads(tool("write-generic-kernels", KERNELS, "sm_90a", tmp_path / "k.ptx", 7, 33).stdout)
    assert launches["pointwise"] == {"buffers": 3, "sizes": 2, "extent": 7 * 33, "threads": 256, "perBlock": 256}
    assert launches["column_sum"]["extent"] == 33 and launches["column_sum"]["perBlock"] == 256
    assert launches["row_sum_warp"]["extent"] == 7 and launches["row_sum_warp"]["perBlock"] == 8
    assert launches["row_max_block"]["extent"] == 7 and launches["row_max_block"]["perBlock"] == 1
    assert launches["row_place"]["perBlock"] == 256
    assert launches["scatter"] == {"buffers": 3, "sizes": 2, "extent": 1, "threads": 32, "perBlock": 1}
