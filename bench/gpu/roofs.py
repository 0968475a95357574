"""The ceilings of the GPU that every figure is a part of, measured in the same process."""

import pathlib
from ctypes import c_int, c_ulonglong

import torch

from . import driver, timing

PTX = pathlib.Path(__file__).parent / "stream.ptx"
READ_BYTES = 2 << 30
THREADS, BLOCKS_PER_SM = 512, 4


def stream_bandwidth(gpu, replays):
    """Bytes a second of reading memory once."""
    blocks = BLOCKS_PER_SM * gpu.attribute(driver.MULTIPROCESSORS)
    turn = blocks * THREADS * 8 * 16
    data = torch.randint(0, 1 << 30, (READ_BYTES // turn * turn // 4,), device="cuda", dtype=torch.int32)
    sink = torch.zeros(1, device="cuda", dtype=torch.int32)
    kernel = driver.Kernel(gpu, PTX.read_bytes(), "stream_read")
    arguments = c_ulonglong(data.data_ptr()), c_ulonglong(data.nbytes // 16), c_ulonglong(sink.data_ptr()), c_int(0)
    launch = kernel.bind((blocks, 1, 1), (THREADS, 1, 1), arguments)
    call = lambda: launch(torch.cuda.current_stream().cuda_stream)  # noqa: E731
    return data.nbytes / timing.seconds_of([call], replays)


def copy_bandwidth(replays):
    """Bytes a second, read and written."""
    data = torch.randn(READ_BYTES // 8, device="cuda")
    other = torch.empty_like(data)
    return 2 * data.nbytes / timing.seconds_of([lambda: other.copy_(data)], replays)


def matrix_rate(replays, size=8192):
    """Operations a second of cuBLAS on bf16."""
    a, b = (torch.randn(size, size, device="cuda", dtype=torch.bfloat16) for _ in range(2))
    return 2 * size**3 / timing.seconds_of([lambda: a @ b], replays)
