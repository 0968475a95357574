"""Tensor cores in CUDA programs: products of every kind of operand against NumPy."""

import ml_dtypes
import numpy as np
import pytest

pytest_plugins = ["cuda_kernels"]


@pytest.fixture
def ptx(program):
    return program("tensor")


@pytest.fixture
def random():
    return np.random.default_rng(3)


def test_wmma(ptx, emulate, random):
    a, b = (random.integers(-4, 5, (32, 48)).astype(np.float16) for _ in range(2))
    c = np.zeros((32, 32), np.float32)
    out = emulate(ptx, "wmmaMatmul", (2, 2), 32, a, b, c, np.int32(32), np.int32(48))
    assert np.array_equal(out[2], a.astype(np.float32) @ b.T.astype(np.float32))


@pytest.mark.parametrize(
    "kernel, kind, sums, m, n",
    [
        ("wmmaS8", np.int8, np.int32, 16, 16),
        ("wmmaU8Tall", np.uint8, np.int32, 32, 8),
        ("wmmaS8Wide", np.int8, np.int32, 8, 32),
        ("wmmaTf32", np.float32, np.float32, 16, 16),
        ("wmmaF64", np.float64, np.float64, 8, 8),
    ],
)
def test_wmma_kinds(ptx, emulate, random, kernel, kind, sums, m, n):
    whole = kind in (np.int8, np.uint8)
    low, high = (np.iinfo(kind).min, np.iinfo(kind).max + 1) if whole else (-32, 33)
    a, b = (random.integers(low, high, (rows, 32)).astype(kind) for rows in (m, n))
    c = random.integers(-99, 99, (m, n)).astype(sums)
    out = emulate(ptx, kernel, 1, 32, a, b, c, np.int32(32))
    assert np.array_equal(out[2], a.astype(sums) @ b.T.astype(sums) + c)


def test_wmma_nibbles(ptx, emulate, random):
    a, b = (random.integers(-8, 8, (8, 96)) for _ in range(2))
    packed = [((v[:, 0::2] & 15) | (v[:, 1::2] & 15) << 4).astype(np.uint8).view(np.uint32) for v in (a, b)]
    c = random.integers(-99, 99, (8, 8)).astype(np.int32)
    out = emulate(ptx, "wmmaS4", 1, 32, *packed, c, np.int32(96))
    assert np.array_equal(out[2], a @ b.T + c)


@pytest.mark.parametrize("kernel, operation", [("wmmaXor", np.bitwise_xor), ("wmmaAnd", np.bitwise_and)])
def test_wmma_bits(ptx, emulate, random, kernel, operation):
    a, b = (random.integers(0, 2**32, (8, 12), dtype=np.uint32) for _ in range(2))
    c = random.integers(-99, 99, (8, 8)).astype(np.int32)
    out = emulate(ptx, kernel, 1, 32, a, b, c, np.int32(384))
    common = np.bitwise_count(operation(a[:, None], b[None])).sum(-1, dtype=np.int32)
    assert np.array_equal(out[2], (common + c.T).T)  # c and the results lie by columns


@pytest.mark.parametrize("kernel, kind, sums", [("wmmaS8", np.int8, np.int32), ("wmmaF64", np.float64, np.float64)])
def test_wmma_beyond_the_end(ptx, emulate, kernel, kind, sums):
    side = 16 if kind is np.int8 else 8
    a, b, c = np.ones((side, 32), kind), np.ones((side - 1, 32), kind), np.zeros((side, side), sums)
    done = emulate(ptx, kernel, 1, 32, a, b, c, np.int32(32), check=False)
    assert done.status == 6
    assert "out of bounds: " in done.stderr and "wmma.load.b" in done.stderr


def test_ldmatrix(ptx, emulate, random):
    a = random.integers(-4, 5, (16, 64)).astype(np.float16)
    b = random.integers(-4, 5, (64, 8)).astype(np.float16)
    out = emulate(ptx, "mmaLdmatrix", 1, 32, a, b, np.zeros((16, 8), np.float32), np.int32(64))
    assert np.array_equal(out[2], a.astype(np.float32) @ b.astype(np.float32))


@pytest.mark.parametrize(
    "kernel, a_kind, b_kind",
    [
        ("mmaBf16", ml_dtypes.bfloat16, ml_dtypes.bfloat16),
        ("mmaTf32", np.float32, np.float32),
        ("mmaE4m3", ml_dtypes.float8_e4m3fn, ml_dtypes.float8_e5m2),
    ],
)
def test_floats(ptx, emulate, random, kernel, a_kind, b_kind):
    per_word = 4 // np.dtype(a_kind).itemsize
    k = 24 * per_word
    a = random.integers(-8, 9, (16, k)).astype(np.float32).astype(a_kind)
    b = (random.integers(-8, 9, (8, k)) / 4).astype(np.float32).astype(b_kind)
    c = random.integers(-9, 9, (16, 8)).astype(np.float32)
    out = emulate(ptx, kernel, 1, 32, a.view(np.uint32), b.view(np.uint32), c, np.int32(24))
    assert np.array_equal(out[2], a.astype(np.float32) @ b.T.astype(np.float32) + c)


def test_bytes(ptx, emulate, random):
    a = random.integers(-128, 128, (16, 96), dtype=np.int8)
    b = random.integers(0, 256, (8, 96), dtype=np.uint8)
    c = random.integers(-1000, 1000, (16, 8), dtype=np.int32)
    out = emulate(ptx, "mmaS8", 1, 32, a.view(np.uint32), b.view(np.uint32), c, np.int32(24))
    assert np.array_equal(out[2], a.astype(np.int32) @ b.T.astype(np.int32) + c)


def test_nibbles(ptx, emulate, random):
    a, b = random.integers(-8, 8, (16, 128)), random.integers(-8, 8, (8, 128))
    packed = [((v[:, 0::2] & 15) | (v[:, 1::2] & 15) << 4).astype(np.uint8).view(np.uint32) for v in (a, b)]
    out = emulate(ptx, "mmaS4", 1, 32, *packed, np.zeros((16, 8), np.int32), np.int32(16))
    assert np.array_equal(out[2], a @ b.T)


def test_store_matrix(ptx, emulate):
    out = emulate(ptx, "storeMatrix", 1, 32, np.zeros(128, np.uint32))
    # Lane i holds elements 2i and 2i + 1 of the row i / 4 of each 8 × 8 matrix.
    expected = []
    for matrix in range(4):
        fragments = (np.arange(32) + 100 * matrix).astype(np.uint32).view(np.uint16).reshape(8, 8)
        expected.append(fragments.T.copy().view(np.uint32))
    assert np.array_equal(out[0], np.concatenate(expected).ravel())
