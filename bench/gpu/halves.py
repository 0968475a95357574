"""f16, bf16, f32 and fp8 e4m3 as bits and as numbers."""

import numpy as np

#: Half the distance of two numbers beside 1, which is what rounding to the type may change.
HALF_UNIT = {"f16": 2.0**-11, "bf16": 2.0**-8, "f32": 2.0**-24}

EPSILON = 1e-5  #: of norms in records

#: The numbers of e4m3 codes without a sign; 127 would be NaN.
E4M3 = np.array([2.0**-9 * (c if c < 8 else (8 + c % 8) * 2 ** (c // 8 - 1)) for c in range(127)])


def _encode_e4m3(values):
    """To nearest, ties to even, saturated."""
    magnitude = np.minimum(np.abs(values), E4M3[-1]).astype(np.float64)
    middles = (E4M3[1:] + E4M3[:-1]) / 2
    code = np.searchsorted(middles, magnitude)
    code += (code % 2 == 1) & (magnitude == middles[np.minimum(code, len(middles) - 1)])
    return (code | np.signbit(values) << 7).astype(np.uint8)


def encode(kind, values):
    """The bits of the nearest numbers of the type."""
    values = np.asarray(values, np.float32)
    if kind == "f16":
        return values.astype(np.float16).view(np.uint16)
    if kind == "bf16":
        bits = values.view(np.uint32)
        return ((bits + 0x7FFF + (bits >> 16 & 1)) >> 16).astype(np.uint16)
    if kind == "fp8_e4m3":
        return _encode_e4m3(values)
    if kind != "f32":
        raise ValueError(f"{kind} is none of f16, bf16, f32 and fp8_e4m3")
    return values


def decode(kind, bits):
    """The numbers as f64."""
    if kind == "f16":
        return np.asarray(bits, np.uint16).view(np.float16).astype(np.float64)
    if kind == "bf16":
        return (np.asarray(bits, np.uint16).astype(np.uint32) << 16).view(np.float32).astype(np.float64)
    if kind == "fp8_e4m3":
        bits = np.asarray(bits, np.uint8)
        return np.where(bits & 128, -1.0, 1.0) * E4M3[bits & 127]
    return np.asarray(bits, np.float32).astype(np.float64)


def rounded(kind, values):
    """The nearest numbers of the type."""
    return decode(kind, encode(kind, values))


class MismatchError(Exception):
    """A kernel's result is not what the formula gives."""


def compare(what, got, expected, bound):
    """The largest error as a part of its bound; MismatchError where one is beyond it."""
    part = np.abs(got - expected) / bound
    worst = np.unravel_index(np.argmax(np.where(np.isnan(part), np.inf, part)), part.shape)
    if not part[worst] <= 1:
        at = ", ".join(str(int(i)) for i in worst)
        raise MismatchError(f"{what} [{at}]: expected {expected[worst]:.6g} ± {bound[worst]:.2g}, got {got[worst]:.6g}")
    return float(part[worst])


def equal(what, got, expected):
    """MismatchError where bits or integers differ."""
    got, expected = np.asarray(got), np.asarray(expected)
    differs = np.argwhere(got != expected)
    if len(differs):
        at = tuple(int(i) for i in differs[0])
        raise MismatchError(f"{what} {list(at)}: expected {expected[at]}, got {got[at]}")


def compare_codes(what, codes, scales, values, error, most=127):
    """Codes of rows [..., n] with a scale each [..., 1] as they were stored, max|x| / most: both are compared with the
    values, which have an error themselves.
    """
    largest = np.abs(values).max(-1, keepdims=True)
    error = np.broadcast_to(error, values.shape)
    margin = error.max(-1, keepdims=True) / most + largest * 2.0**-21 + 2.0**-149
    worst = compare(f"scales of {what}", scales, largest / most, margin)
    inverse = np.divide(1, scales, out=np.zeros_like(scales), where=scales > 0)
    quotients = values * inverse
    return max(worst, compare(what, codes, quotients, 0.5 + np.abs(quotients) * 2.0**-20 + error * inverse))


def divisor(count, most):
    """The largest divisor of `count` that is not above `most`."""
    return next(size for size in range(min(count, most), 0, -1) if count % size == 0)
