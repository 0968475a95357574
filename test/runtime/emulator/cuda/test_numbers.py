"""Arithmetic of CUDA programs: every rounding, narrow formats, wide integers, and the math library's functions."""

from math import erf

import ml_dtypes
import numpy as np
import pytest

pytest_plugins = ["cuda_kernels"]

FLOATS = np.array([0x00000000, 0x80000000, 0x3F800000, 0xBF800000, 1, 0x80000001, 0x00800000, 0x7F7FFFFF, 0x7F800000,
                   0xFF800000, 0x7FC00000, 0x3F7FFFFF, 0x4B000001, 0xCB7FFFFF, 0x4F000000], np.uint32)  # fmt: skip


@pytest.fixture
def ptx(program):
    return program("numbers")


@pytest.fixture
def random():
    return np.random.default_rng(2)


def floats(random, n):
    """Bits of all exponents, of close ones, and special values."""
    x = random.integers(0, 2**32, n, np.uint32)
    near = random.random(n) < 0.6
    x[near] = x[near] & 0x807FFFFF | random.integers(118, 136, near.sum(), np.uint32) << 23
    special = random.random(n) < 0.1
    x[special] = random.choice(FLOATS, special.sum())
    return x.view(np.float32)


def same(got, expected):
    """Equal bits, or NaN on both sides."""
    kind = {2: np.uint16, 4: np.uint32, 8: np.uint64}[got.itemsize]
    return (got.view(kind) == expected.astype(got.dtype).view(kind)) | (np.isnan(got) & np.isnan(expected))


def directed(exact, mode):
    """f32 of a longdouble or f64 that holds the exact value, rounded toward zero, down or up."""
    near = exact.astype(np.float32)
    wide = near.astype(exact.dtype)
    low = np.where(wide > exact, np.nextafter(near, np.float32(-np.inf)), near)
    high = np.where(wide < exact, np.nextafter(near, np.float32(np.inf)), near)
    return {"z": np.where(exact < 0, high, low), "d": low, "u": high}[mode]


@pytest.mark.filterwarnings("ignore::RuntimeWarning")
def test_roundings(ptx, emulate, random):
    n = 2000
    a, b, c = (floats(random, n) for _ in range(3))
    y = emulate(ptx, "roundings", 16, 128, a, b, c, np.zeros((24, n), np.float32), np.int32(n))[3]
    assert same(y[0], a + b).all()
    product = a.astype(np.float64) * b
    assert same(y[10], a / b).all()
    assert same(y[20], (product + c.astype(np.longdouble)).astype(np.float32))[np.abs(product + c) < 1e30].mean() > 0.99
    finite = np.isfinite(a) & np.isfinite(b)
    exact = finite & (np.abs(product) < 1e38) & (product != 0)
    for row, mode in ((4, "z"), (5, "d"), (6, "u")):
        assert same(y[row], directed(product, mode))[exact].all(), mode
    # Sums of numbers of similar size are exact in f64.
    close = finite & (np.abs(np.log2(np.abs(a / b.astype(np.float64)))) < 28) & (a + b != 0)
    total = a.astype(np.float64) + b
    for row, mode in ((1, "z"), (2, "d"), (3, "u")):
        assert same(y[row], directed(total, mode))[close & (np.abs(total) < 3e38)].all(), mode
    assert same(y[14], np.fmin(a, b))[a != 0].all() and same(y[15], np.fmax(a, b))[a != 0].all()
    for row, function in ((16, np.rint), (17, np.floor), (18, np.ceil), (19, np.trunc)):
        assert same(y[row], function(a)).all()
    assert same(y[21], np.where(np.isnan(a), 0, np.clip(a, 0, 1)) + np.float32(0)).all()
    assert same(y[22], np.copysign(a, b))[~np.isnan(a)].all()


def odd(exact):
    """f32 of an f64, cut, with the last bit set where anything was lost: rounding it again is rounding once."""
    cut = directed(exact, "z")
    return (cut.view(np.uint32) | (cut != exact) * np.isfinite(cut)).astype(np.uint32).view(np.float32)


def odd_sum(a, b):
    """The same for the sum of two f64: what it leaves out sets the last bit."""
    total = a + b
    part = total - a
    rest = (a - (total - part)) + (b - part)
    bits = total.view(np.int64)
    step = np.where((rest > 0) == (total > 0), 1, -1)
    return (bits + step * ((rest != 0) & ~np.isnan(rest) & (bits & 1 == 0))).view(np.float64)


@pytest.mark.filterwarnings("ignore::RuntimeWarning")
def test_half_functions(ptx, emulate, random):
    """Functions of the half header, whose inline PTX has no blanks behind directives, and comparisons of pairs."""
    n = 1000
    a = random.uniform(-6, 6, (n, 2)).astype(np.float16)
    b = np.where(random.random((n, 2)) < 0.3, a, random.uniform(-6, 6, (n, 2))).astype(np.float16)
    a[:9, 0], b[5:12, 1] = np.nan, np.nan
    a[40] = 0
    y = emulate(ptx, "half_functions", 8, 128, a, b, np.zeros((6, n, 2), np.float16), np.int32(n))[2]
    x = a.astype(np.float64)
    exact = {
        (0, 0): np.sin(x[:, 0]),
        (0, 1): np.cos(x[:, 1]),
        (1, 0): np.exp(x[:, 0]),
        (1, 1): np.exp(x[:, 1]),
        (2, 0): 1 / np.sqrt(np.abs(x[:, 0])),
        (2, 1): np.log2(np.abs(x[:, 1])),
    }
    for (row, half), expected in exact.items():
        got = y[row, :, half].astype(np.float64)
        near = np.abs(got - expected) <= 2.0**-9 * np.abs(expected) + 2.0**-10
        assert (near | (got == expected) | (np.isnan(got) & np.isnan(expected))).all(), (row, half)
    np.testing.assert_array_equal(y[3], (a == b).astype(np.float16))
    np.testing.assert_array_equal(y[4], (~(a >= b)).astype(np.float16))
    np.testing.assert_array_equal(y[5, :, 0], (a[:, 0] > a[:, 1]).astype(np.float16))
    np.testing.assert_array_equal(y[5, :, 1], np.isnan(a[:, 1]).astype(np.float16))


@pytest.mark.filterwarnings("ignore::RuntimeWarning")
@pytest.mark.parametrize("kernel, kind", [("halves", np.float16), ("bfloats", ml_dtypes.bfloat16)])
def test_halves(ptx, emulate, random, kernel, kind):
    n = 1000
    codes = random.integers(0, 2**16, (2, n, 2), np.uint16)
    a, b = codes.view(kind)
    y = emulate(ptx, kernel, 8, 128, *codes, np.zeros((6, n, 2), np.uint16), np.int32(n))[2].view(kind)
    x, z = a.astype(np.float64), b.astype(np.float64)

    def check(row, expected):
        got = y[row].astype(np.float64)
        expected = odd(expected).astype(kind).astype(np.float64)
        bad = (got != expected) & ~(np.isnan(got) & np.isnan(expected))
        assert not bad.any(), (row, got[bad][:4], expected[bad][:4])

    check(0, x + z)
    check(1, x * z)
    check(2, odd_sum(x * z, x[:, :1] if kernel == "halves" else x))
    if kernel == "halves":
        check(3, np.fmax(x, -z))
        check(4, np.stack([(x[:, 0] * z[:, 1]), np.abs(z[:, 0])], 1))
        check(5, np.where(np.isnan(x - z), 0, np.clip(x - z, 0, 1)))
    else:
        check(3, np.fmin(x, z))
        plus = a[:, 0].astype(np.float32) + np.float32(1)
        check(4, np.stack([plus, b[:, 1].astype(np.float32) / np.float32(3)], 1).astype(np.float64))


@pytest.mark.filterwarnings("ignore::RuntimeWarning")
def test_fp8(ptx, emulate, random):
    n = 1500
    x = floats(random, n)
    out = emulate(ptx, "fp8s", 12, 128, x, *np.zeros((2, n), np.uint8), np.zeros((2, n), np.float32), np.int32(n))
    for i, kind in enumerate((ml_dtypes.float8_e4m3fn, ml_dtypes.float8_e5m2)):
        largest = float(ml_dtypes.finfo(kind).max)
        expected = np.clip(x, -largest, largest).astype(kind)
        nan = np.isnan(x)
        assert np.array_equal(out[1 + i][~nan], expected.view(np.uint8)[~nan])
        assert (out[1 + i][nan] == 0x7F).all()
        assert same(out[3][i], out[1 + i].view(kind).astype(np.float32)).all()


def test_doubles(ptx, emulate, random):
    n = 200
    x = random.random(n) * 3
    y = emulate(ptx, "doubles", 2, 128, x, np.zeros((6, n)), np.int32(n), schedules=1)[1]
    h = 0 * x
    for j in range(10, 0, -1):
        h = h * x + 1 / j
    expected = [h, np.sqrt(x) / (x + 3), np.exp(-x) + np.log(x + 1), np.sin(x) * np.cos(x), x, np.fmod(x * 100, 7)]
    for row, value in enumerate(expected):
        assert np.allclose(y[row], value, rtol=1e-14, atol=1e-15), row
    assert np.array_equal(y[5], expected[5])


def test_functions(ptx, emulate, random):
    n = 300
    x = (random.random(n) * 3).astype(np.float32)
    y = emulate(ptx, "functions", 3, 128, x, np.zeros((16, n), np.float32), np.int32(n), schedules=1)[1]
    v = x.astype(np.float64)
    t = np.float32(20) * x
    expected = [np.exp(v), np.log(v + 1e-3), np.sin(t.astype(float)), np.cos(t.astype(float)), np.tanh(v - 2)]
    expected += [(v + 0.1) ** 2.5, np.vectorize(erf)(v), 1 / np.sqrt(v + 0.1), np.cbrt(v), np.exp(v), np.log(v + 1)]
    expected += [np.sin(v), np.log1p(v), np.arctan2(v, 2), np.exp2(v), np.sqrt(v)]
    for row, value in enumerate(expected):
        assert np.allclose(y[row], value, rtol=2e-6, atol=2e-6), row


def wrapped(values):
    return np.array([(int(v) + 2**63) % 2**64 - 2**63 for v in values], np.int64)


def test_wide(ptx, emulate, random):
    n = 300
    a, b = (random.integers(-(2**63), 2**63, n) >> random.integers(0, 63, n) for _ in range(2))
    y = emulate(ptx, "wide", 3, 128, a, b, np.zeros((10, n), np.int64), np.int32(n))[2]
    p, q = [int(v) for v in a], [int(v) for v in b]
    u, w = [v % 2**64 for v in p], [v % 2**64 for v in q]

    def each(function, *operands):
        return wrapped([function(*values) for values in zip(*operands, strict=True)])

    assert np.array_equal(y[0], each(lambda x, z: x * z, p, q))
    assert np.array_equal(y[1], each(lambda x, z: x * z >> 64, p, q))
    assert np.array_equal(y[2], each(lambda x, z: x * z >> 64, u, w))
    signed = each(lambda x, z: z and abs(x) // abs(z) * (1 if (x < 0) == (z < 0) else -1), p, q)
    assert np.array_equal(y[3], signed)
    assert np.array_equal(y[4], each(lambda x, z: z and x % z, u, w))
    assert np.array_equal(y[5], each(lambda x, z: x >> (z & 63), p, q))
    assert np.array_equal(y[6], each(lambda x, z: ((x * z + x) >> 64) % 2**64 ^ (x * z + x) % 2**64, u, w))
    assert np.array_equal(y[7], np.minimum(a, b))
    bits = each(lambda x: x.bit_count() | (64 - x.bit_length()) << 8 | (x & -x).bit_length() << 16, u)
    assert np.array_equal(y[8], bits)
    assert np.array_equal(y[9], each(lambda x: int(f"{x:064b}"[::-1], 2), u))


def test_carries(ptx, emulate, random):
    a, b = random.integers(0, 2**32, (2, 32, 4), np.uint32)
    a[:8, 1:3], b[:8, 1:3] = 0xFFFFFFFF, 0
    y = emulate(ptx, "carries", 1, 32, a, b, np.zeros((32, 8), np.uint32))[2]

    def number(row):
        return sum(int(v) << (32 * i) for i, v in enumerate(row))

    for i in range(32):
        assert number(y[i, :4]) == (number(a[i]) + number(b[i])) % 2**128
        assert number(y[i, 4:]) == (number(a[i]) - number(b[i])) % 2**128


def test_divide_128(ptx, emulate, random):
    x = random.integers(0, 2**64, (64, 4), np.uint64)
    x[:, 2] >>= random.integers(0, 64, 64, np.uint64)  # quotients of all sizes
    x[::4, 2] = 0
    x[::8, 3] = 7
    y = emulate(ptx, "divide128", 1, 64, x, np.zeros((64, 8), np.uint64))[1]

    def signed(value):
        return value - 2**128 if value >> 127 else value

    for given, found in zip(x, y, strict=True):
        a, b, quotient, rest, whole, difference = (
            int(h) << 64 | int(w) for h, w in [*given.reshape(2, 2), *found.reshape(4, 2)]
        )
        assert (quotient, rest, difference) == (a // b, a % b, (a - b) % 2**128)
        p, q = signed(a), signed(b)
        assert signed(whole) == (abs(p) // abs(q)) * (1 if (p < 0) == (q < 0) else -1)


def test_extremes(ptx, emulate, random):
    a, b, c = random.integers(0, 2**32, (3, 64), np.uint32)
    y = emulate(ptx, "extremes", 1, 64, a, b, c, np.zeros((6, 64), np.uint32), np.int32(64))[3]

    def view(x, kind):
        return x.view(kind).astype(np.int64)

    def wrapped(x, kind):
        return x.astype(kind).astype(np.int64)

    shorts, words, wholes = ([view(x, kind) for x in (a, b, c)] for kind in (np.int16, np.uint16, np.int32))
    sums = wrapped(shorts[0] + shorts[1], np.int16)
    expected = [
        np.maximum(np.maximum(sums, shorts[2]), 0).astype(np.int16),
        np.maximum(np.minimum.reduce(shorts), 0).astype(np.int16),
        np.maximum.reduce(shorts).astype(np.int16),
        np.minimum(wrapped(words[0] + words[1], np.uint16), words[2]).astype(np.uint16),
        np.maximum(np.maximum(wrapped(wholes[0] + wholes[1], np.int32), wholes[2]), 0).astype(np.int32),
        np.minimum.reduce([a, b, c]),
    ]
    for found, value in zip(y, expected, strict=True):
        assert np.array_equal(found, value.view(np.uint32))


def lanes_of(x, bits, signed=False):
    parts = [x >> (bits * i) & (2**bits - 1) for i in range(32 // bits)]
    return [p - (p >> (bits - 1) << bits) if signed else p for p in parts]


def test_bits(ptx, emulate, random):
    n = 300
    a, b = random.integers(0, 2**32, (2, n), np.uint32)
    y = emulate(ptx, "bits", 3, 128, a, b, np.zeros((11, n), np.uint32), np.int32(n))[2]
    for i, (p, q) in enumerate(zip(a.tolist(), b.tolist(), strict=True)):
        assert y[0, i] == p.bit_count() | (32 - p.bit_length()) << 8 | (p & -p).bit_length() << 16
        assert y[1, i] == int(f"{p:032b}"[::-1], 2)
        both = lanes_of(p, 8) + lanes_of(q, 8)
        assert y[2, i] == sum(both[q >> (4 * j) & 7] << (8 * j) for j in range(4))
        assert y[3, i] == (q << 32 | p) << (q & 31) >> 32 & 0xFFFFFFFF
        dot = sum(x * z for x, z in zip(lanes_of(p, 8, True), lanes_of(q, 8, True), strict=True))
        assert y[4, i] == (dot + 5) % 2**32
        assert y[5, i] == (p & q | ~p & 0x00FF00FF)
        assert y[6, i] == p * q >> 32
        assert y[7, i] == sum((x + z) % 256 << (8 * j) for j, (x, z) in enumerate(zip(both[:4], both[4:], strict=True)))
        (x,), (z,) = lanes_of(p, 32, True), lanes_of(q, 32, True)
        assert y[8, i] == (abs(x - z) + 1) % 2**32
        field = p >> 5 & 511
        assert y[9, i] == (q & ~(0x7FF << 7) | field << 7) % 2**32
        pairs = zip(lanes_of(p, 16), lanes_of(q, 16), strict=True)
        assert y[10, i] == sum(max(*pair) << (16 * j) for j, pair in enumerate(pairs))


def test_divisions(ptx, emulate, random):
    n = 300
    a, b = (random.integers(-(2**31), 2**31, n) >> random.integers(0, 31, n) for _ in range(2))
    b[b == 0] = 3
    a, b = a.astype(np.int32), b.astype(np.int32)
    y = emulate(ptx, "divisions", 3, 128, a, b, np.zeros((5, n), np.int32), np.int32(n))[2]
    p, q = a.astype(np.int64), b.astype(np.int64)
    quotient = np.abs(p) // np.abs(q) * np.sign(p) * np.sign(q)
    assert np.array_equal(y[0], quotient.astype(np.int32))
    assert np.array_equal(y[1], (p - quotient * q).astype(np.int32))
    assert np.array_equal(y[2], (a.view(np.uint32) // b.view(np.uint32)).view(np.int32))
    seven = np.sign(p) * (np.abs(p) // 7) + np.sign(p) * (np.abs(p) % 10)
    assert np.array_equal(y[3], seven.astype(np.int32))
    products = a.astype(np.int16).astype(np.int32) * b.astype(np.int16) + a.astype(np.uint8) // np.uint8(3)
    assert np.array_equal(y[4], products)


@pytest.mark.filterwarnings("ignore::RuntimeWarning")
def test_conversions(ptx, emulate, random):
    n = 1000
    x = floats(random, n)
    x[: n // 2] = random.normal(size=n // 2).astype(np.float32) * np.float32(2) ** random.integers(-3, 40, n // 2)
    out = emulate(ptx, "conversions", 8, 128, x, np.zeros((7, n), np.int32), np.zeros((3, n), np.int64), np.int32(n))
    v, nan = x.astype(np.float64), np.isnan(x)

    def clamped(values, low, high):
        return [0 if np.isnan(f) else int(min(max(f, low), high)) for f in values]

    low, high = -(2**31), 2**31 - 1
    assert out[1][0].tolist() == clamped(np.rint(v), low, high)
    assert out[1][1].tolist() == clamped(np.floor(v), low, high)
    assert out[1][2].view(np.uint32).tolist() == clamped(np.ceil(v), 0, 2**32 - 1)
    whole = out[1][0].astype(np.float64)
    assert np.array_equal(out[1][4].view(np.float32), directed(whole, "z"))
    assert (out[1][6][~nan] == np.array(clamped(np.trunc(v * 3), low, high))[~nan]).all()
    assert (out[1][6][nan] == low).all()
    assert out[2][0][~nan].tolist() == [2**63 - 1 if f >= 2**63 else int(max(f, -(2.0**63))) for f in np.rint(v[~nan])]
    assert (out[2][0][nan] == -(2**63)).all()
    assert same(out[2][1].view(np.float64), v).all()
    toward = [2**64 - 1 if f >= 2**64 else int(max(f, 0)) for f in np.trunc(v[~nan])]
    assert out[2][2].view(np.uint64)[~nan].tolist() == toward
