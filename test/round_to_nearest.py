"""Round to nearest in NumPy: the formulas of lib/Quant/Algorithm.h, written a second time for comparison."""

import ml_dtypes
import numpy as np

BITS = {"int8": 8, "int6": 6, "int5": 5, "int4": 4, "int3": 3, "int2": 2, "lut4": 4, "lut3": 3}
BITS |= {"fp8_e4m3": 8, "fp8_e5m2": 8, "fp4_e2m1": 4, "nf4": 4}
NF4 = np.float32(
    [-1, -0.6961928009986877, -0.5250730514526367, -0.39491748809814453, -0.28444138169288635, -0.18477343022823334]
    + [-0.09105003625154495, 0, 0.07958029955625534, 0.16093020141124725, 0.24611230194568634, 0.33791524171829224]
    + [0.44070982933044434, 0.5626170039176941, 0.7229568362236023, 1]
)
FLOATS = {"fp8_e4m3": ml_dtypes.float8_e4m3fn, "fp8_e5m2": ml_dtypes.float8_e5m2, "fp4_e2m1": ml_dtypes.float4_e2m1fn}
BOOKS = {
    "lut4": np.array([-127, -96, -75, -59, -45, -33, -21, -10, 0, 11, 22, 34, 46, 60, 78, 102], np.float32),
    "lut3": np.array([-127, -80, -48, -22, 2, 26, 54, 92], np.float32),
}


def round_to_nearest(w, element, group, zero, scale_type):
    """The formulas of lib/Quant/Algorithm.h in float32: codes, scales, zeros and the values they stand for.

    The element may have _full or _restricted behind it; scale_type may be a function of the exact scales [rows,
    groups]."""
    rows, columns = w.shape
    element, _, codes_range = element.partition("_")
    full = codes_range == "full" or (codes_range != "restricted" and element != "int8")
    f = np.float32
    g = w.reshape(rows, columns // group, group)
    if zero is None:
        if full:
            first = np.abs(g).argmax(axis=2)[..., None]
            low, high = -(1 << BITS[element] - 1), (1 << BITS[element] - 1) - 1
            if element in BOOKS:
                low = BOOKS[element][0]
            scale = np.take_along_axis(g, first, 2) / f(low)
        else:
            high = (1 << BITS[element] - 1) - 1
            scale, low = np.abs(g).max(axis=2, keepdims=True) / f(high), -high
    else:
        low, high = 0, (1 << BITS[element]) - 1
        least, most = np.minimum(g.min(axis=2, keepdims=True), 0), np.maximum(g.max(axis=2, keepdims=True), 0)
        scale = (most - least) / f(high)
    scale = scale_type(scale[..., 0])[..., None] if not isinstance(scale_type, type) else scale.astype(scale_type)
    s = scale.astype(f)
    divisor = np.where(s == 0, f(1), s)
    z = np.zeros_like(s)
    if zero == "integer":
        z = np.where(s == 0, 0, np.clip(np.rint(-least / divisor), 0, high)).astype(f)
        q = np.clip(np.rint(g / divisor) + z, low, high)
    elif zero == "float":
        z = np.where(s == 0, 0, -least / divisor).astype(scale_type).astype(f)
        q = np.clip(np.rint(g / divisor + z), low, high)
    elif element in BOOKS:
        book = BOOKS[element]
        codes = ((g / divisor)[..., None] > (book[1:] + book[:-1]) / f(2)).sum(-1)
        codes = np.where(s == 0, (f(0) > (book[1:] + book[:-1]) / f(2)).sum(), codes)
        values = s * np.where(s == 0, 0, book[codes])
        return codes.reshape(w.shape).astype(np.int16), scale.reshape(rows, -1), None, values.reshape(w.shape)
    else:
        q = np.clip(np.rint(g / divisor), low, high)
    q = np.where(s == 0, 0, q).astype(f)
    return (
        q.reshape(w.shape).astype(np.int16),
        scale.reshape(rows, -1),
        z.reshape(rows, -1),
        (s * (q - z)).reshape(w.shape),
    )


def two_level_scales(exact, bits, signed, per_unit):
    """Units and codes [rows, …] of exact scales [rows, groups]; every unit is that of per_unit groups."""
    f = np.float32
    low, high = (-(1 << bits - 1), (1 << bits - 1) - 1) if signed else (0, (1 << bits) - 1)
    rows, groups = exact.shape
    blocks = np.zeros((rows, -(-groups // per_unit) * per_unit), f)
    blocks[:, :groups] = exact
    blocks = blocks.reshape(rows, -1, per_unit)
    first = np.abs(blocks).argmax(axis=2)[..., None]
    largest = np.take_along_axis(blocks, first, 2)[..., 0]
    units = (largest / f(low or high)).astype(np.float16) + np.float16(0)  # no zero has a sign
    wide = np.repeat(units.astype(f), per_unit, axis=1)[:, :groups]
    divisor = np.where(wide == 0, f(1), wide)
    codes = np.clip(np.rint(exact / divisor), low, high)
    least = np.sign(exact / divisor)
    codes = np.where((codes == 0) & (wide != 0), least, codes)
    codes = np.where(wide == 0, 0, codes)
    return units, codes.astype(np.int16), (wide * codes).astype(f)


def fields(codes, bits):
    """Rows of integers as rows of bytes: the bits one after the other, the lowest first."""
    spread = codes.astype(np.uint8)[..., None] >> np.arange(bits, dtype=np.uint8) & 1
    return np.packbits(spread.reshape(len(codes), -1), axis=1, bitorder="little")


def packed(codes, element):
    """Codes of rows as lib/Quant stores them: the bits of a row one after the other, the lowest first."""
    return fields(codes, BITS[element.partition("_")[0]] if element not in BITS else BITS[element])


def to_e4m3(values):
    """The nearest e4m3, saturated; ml_dtypes has NaN for what is too large."""
    return np.clip(values, np.float32(-448), np.float32(448)).astype(ml_dtypes.float8_e4m3fn)


def to_e8m0(values):
    """The power of two that is not less, of positive values; 2^-127 at least."""
    with np.errstate(divide="ignore"):
        return np.exp2(np.maximum(np.ceil(np.log2(values.astype(np.float64))), -127)).astype(ml_dtypes.float8_e8m0fnu)


def round_floats(w, element, group, scale_type, largest=None):
    """Codes, scales and values of a floating point element with the scales of groups, or of the given magnitudes."""
    f = np.float32
    groups = w.reshape(len(w), -1, group)
    largest = np.abs(groups).max(-1) if largest is None else largest
    top = f(1) if element == "nf4" else f(ml_dtypes.finfo(FLOATS[element]).max)
    scales = (largest / top).astype(f)
    scales = scales.astype(scale_type) if isinstance(scale_type, type) else scale_type(scales)
    wide = scales.astype(f)[..., None]
    x = np.where(wide == 0, f(0), groups / np.where(wide == 0, f(1), wide)).astype(f)
    if element == "nf4":
        codes = (x[..., None] > (NF4[1:] + NF4[:-1]) / f(2)).sum(-1).astype(np.uint8)
        numbers = NF4[codes]
    else:
        numbers = np.clip(x, -top, top).astype(FLOATS[element])
        codes, numbers = numbers.view(np.uint8), numbers.astype(f)
    return codes.reshape(w.shape), scales, (wide * numbers).reshape(w.shape)


def round_to_e4m3(w, group, scale_type):
    """The same for fp8: codes, scales and the values they stand for."""
    groups = w.reshape(len(w), -1, group)
    scales = (np.abs(groups).max(-1, keepdims=True) / np.float32(448)).astype(scale_type)
    wide = scales.astype(np.float32)
    codes = to_e4m3(np.where(wide == 0, 0, groups / np.where(wide == 0, 1, wide)).astype(np.float32))
    return codes.reshape(w.shape), scales.reshape(len(w), -1), (codes.astype(np.float32) * wide).reshape(w.shape)
