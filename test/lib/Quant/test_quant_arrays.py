"""lib/Quant and NumPy agree: every half, roundings at every tie, and round-to-nearest codes, scales and zero points."""

import statistics

import ml_dtypes
import numpy as np
import pytest
from round_to_nearest import (
    BITS,
    BOOKS,
    NF4,
    fields,
    packed,
    round_floats,
    round_to_e4m3,
    round_to_nearest,
    to_e4m3,
    to_e8m0,
    two_level_scales,
)

TYPES = {"f16": np.float16, "bf16": ml_dtypes.bfloat16}
E4M3 = ml_dtypes.float8_e4m3fn
SHORT = {"fp8_e4m3": E4M3, "fp8_e5m2": ml_dtypes.float8_e5m2, "fp4_e2m1": ml_dtypes.float4_e2m1fn}


@pytest.fixture
def arrays(tool):
    """arrays(input, arguments…) gives the bytes that the program quant-arrays makes of an array."""
    return lambda data, *arguments: tool("quant-arrays", *arguments, stdin=np.ascontiguousarray(data).tobytes()).stdout


@pytest.mark.parametrize("name", TYPES)
def test_all_values_widen(arrays, name):
    bits = np.arange(1 << 16, dtype=np.uint16)
    wide = np.frombuffer(arrays(bits, "widen", name), np.float32)
    with np.errstate(invalid="ignore"):
        expected = bits.view(TYPES[name]).astype(np.float32)
    assert np.array_equal(np.isnan(wide), np.isnan(expected))
    number = ~np.isnan(expected)
    assert np.array_equal(wide.view(np.uint32)[number], expected.view(np.uint32)[number])


@pytest.mark.parametrize("name", TYPES)
def test_roundings(arrays, name):
    """Values, the ties between them, what lies beside both, and bit patterns at random."""
    values = np.arange(1 << 16, dtype=np.uint16).view(TYPES[name]).astype(np.float32)
    values = np.sort(values[np.isfinite(values)])
    ties = ((values[1:].astype(np.float64) + values[:-1]) / 2).astype(np.float32)
    random = np.random.default_rng(7).integers(0, 1 << 32, 200_000, dtype=np.uint32).view(np.float32)
    points = np.concatenate([values, ties, np.float32([65519.99, 65520, 1e30, np.inf, -np.inf])])
    points = np.concatenate([points, np.nextafter(points, np.float32(np.inf)), np.nextafter(points, np.float32(0))])
    points = np.concatenate([points, random])
    points = points[~np.isnan(points)]
    with np.errstate(over="ignore"):
        expected = points.astype(TYPES[name])
    narrow = np.frombuffer(arrays(points, "narrow", name), np.uint16)
    assert np.array_equal(narrow, expected.view(np.uint16))


def bytes_of(values, name):
    """Codes in bytes: two in one where they have four bits, the first in the low half."""
    codes = values.view(np.uint8)
    return codes[0::2] | codes[1::2] << 4 if BITS[name] == 4 else codes


def codes_of(stored, name):
    if BITS[name] == 8:
        return stored
    return np.stack([stored & 15, stored >> 4], -1).reshape(-1)


@pytest.mark.parametrize("name", SHORT)
def test_short_values_widen(arrays, name):
    codes = np.arange(1 << BITS[name], dtype=np.uint8)
    wide = np.frombuffer(arrays(bytes_of(codes, name), "widen", name), np.float32)
    expected = codes.view(SHORT[name]).astype(np.float32)
    assert np.array_equal(wide, expected, equal_nan=True)
    assert np.array_equal(np.signbit(wide), np.signbit(expected))


def edges(values):
    """All halves; values, ties and what lies beside both; what saturates; bit patterns at random."""
    halves = np.arange(1 << 16, dtype=np.uint16).view(np.float16).astype(np.float32)
    values = np.sort(values[np.isfinite(values)])
    step = values[-1] - values[-2]
    points = np.concatenate([values, (values[1:] + values[:-1]) / 2, values[-1:] + step / 2, values[-1:] + step])
    points = np.concatenate([points, np.float32([1e30, np.inf])])
    points = np.concatenate([points, -points])
    beside = [np.nextafter(points, np.float32(side)) for side in (np.inf, -np.inf)]
    random = np.random.default_rng(7).integers(0, 1 << 32, 200_000, dtype=np.uint32).view(np.float32)
    points = np.concatenate([halves, points, *beside, random])
    return points[: len(points) // 2 * 2]


@pytest.mark.parametrize("name", SHORT)
def test_short_roundings(arrays, name):
    points = edges(np.arange(1 << BITS[name], dtype=np.uint8).view(SHORT[name]).astype(np.float32))
    largest = np.float32(ml_dtypes.finfo(SHORT[name]).max)
    with np.errstate(invalid="ignore"):
        expected = np.clip(points, -largest, largest).astype(SHORT[name]).view(np.uint8)
    narrow = codes_of(np.frombuffer(arrays(points, "narrow", name), np.uint8), name)
    number = ~np.isnan(points)
    assert np.array_equal(narrow[number], expected[number])
    if BITS[name] == 8:
        assert np.all(narrow[~number] & 127 == 127)
    else:  # there is no NaN
        assert np.all(narrow[~number] & 7 == 7)


def test_nf4_numbers(arrays):
    """The table of the paper's appendix, and the nearest of it."""
    stored = bytes_of(np.arange(16, dtype=np.uint8), "nf4")
    assert np.array_equal(np.frombuffer(arrays(stored, "widen", "nf4"), np.float32), NF4)
    points = edges(NF4)
    points = points[~np.isnan(points)]
    points = points[: len(points) // 2 * 2]
    narrow = codes_of(np.frombuffer(arrays(points, "narrow", "nf4"), np.uint8), "nf4")
    assert np.array_equal(narrow, (points[:, None] > (NF4[1:] + NF4[:-1]) / np.float32(2)).sum(1))


def test_nf4_has_the_quantiles_of_a_normal_distribution():
    """QLoRA, appendix E: 9 quantiles from 0 up and 8 down, from 0.9677 on, in units of the largest; one is zero."""
    quantile = statistics.NormalDist().inv_cdf
    offset = 0.9677083
    up = [quantile(p) for p in np.linspace(0.5, offset, 9)]
    down = [-quantile(p) for p in np.linspace(0.5, offset, 8)][1:]
    numbers = np.sort(np.float64(up + down)) / quantile(offset)
    assert np.abs(numbers - NF4).max() < 1e-6


def test_e8m0_rounds_up(arrays):
    """Every power of two is itself; what lies between is the next; zero and less are the smallest."""
    powers = np.exp2(np.arange(-127, 128, dtype=np.float64)).astype(np.float32)
    above, below = np.nextafter(powers, np.float32(np.inf)), np.nextafter(powers, np.float32(0))
    other = np.random.default_rng(3).integers(0, 1 << 31, 100_000, dtype=np.uint32).view(np.float32)
    other = other[np.isfinite(other)]
    points = np.concatenate([powers, above, below, other, np.float32([0, 1e-45, 3.4e38, np.inf])])
    out = arrays(points, "scales", "mxfp4")
    codes = np.frombuffer(out, np.uint8, len(points))
    wide = np.maximum(points.astype(np.float64), np.exp2(-127.0))
    with np.errstate(invalid="ignore"):
        expected = np.where(np.isinf(wide), 127, np.minimum(np.ceil(np.log2(wide)), 127))
    assert np.array_equal(codes, expected + 127)
    values = np.frombuffer(out, np.float32, -1, len(points))
    assert np.array_equal(values, codes.view(ml_dtypes.float8_e8m0fnu).astype(np.float32))
    assert arrays(np.float32([np.nan]), "scales", "mxfp4")[0] == 255


@pytest.mark.parametrize("name", ["fp4_e2m1_g32_sbf16", "int8_sbf16"])
def test_bf16_scales(arrays, name):
    points = np.random.default_rng(3).standard_normal(1000, dtype=np.float32)
    out = arrays(points, "scales", name)
    assert out[:2000] == points.astype(ml_dtypes.bfloat16).tobytes()


FLOATS = [
    ("fp8_e5m2", "fp8_e5m2", 256, np.float32),
    ("fp8_e5m2_g64_sf32", "fp8_e5m2", 64, np.float32),
    ("fp8_e4m3_g32_se8m0", "fp8_e4m3", 32, to_e8m0),
    ("fp4_e2m1_g64", "fp4_e2m1", 64, np.float16),
    ("fp4_e2m1_sf16", "fp4_e2m1", 256, np.float16),
    ("mxfp4", "fp4_e2m1", 32, to_e8m0),
    ("nf4_g64", "nf4", 64, np.float16),
    ("nf4", "nf4", 256, np.float32),
    ("nf4_g128_sbf16", "nf4", 128, ml_dtypes.bfloat16),
]


def random_rows(rows, columns):
    w = np.random.default_rng(11).standard_normal((rows, columns), dtype=np.float32) * np.float32(0.02)
    w[3] = 0
    w[4] = np.round(w[4] * 256) / 32  # many ties
    w[6, :64] = 1e-9  # the scale is stored as zero in f16
    return w


@pytest.mark.parametrize(("name", "element", "group", "scale_type"), FLOATS)
def test_floats_round_to_nearest(arrays, name, element, group, scale_type):
    rows, columns = 33, 256
    w = random_rows(rows, columns)
    codes, scales, expected = round_floats(w, element, group, scale_type)
    out = arrays(w, "rtn", name, rows, columns, 8)
    stored = bytes_of(codes.reshape(-1), element)
    assert out[: stored.size] == stored.tobytes()
    assert out[stored.size : stored.size + scales.nbytes] == scales.tobytes()
    values = np.frombuffer(out, np.float32, -1, stored.size + scales.nbytes)
    assert np.array_equal(values, expected.reshape(-1))


def test_nvfp4(arrays):
    """Groups of 16 with e4m3 scales that are never zero where weights are not, times the f32 of a row."""
    rows, columns = 33, 256
    w = random_rows(rows, columns)
    w[7, 0] = 1000  # all other scales of the row are the smallest
    exact = np.abs(w.reshape(rows, -1, 16)).max(-1) / np.float32(6)
    units = exact.max(-1, keepdims=True) / np.float32(448)
    ratio = exact / np.where(units == 0, 1, units)
    scales = np.where(units == 0, 0, np.maximum(ratio, np.float32(2**-9)))
    scales = np.where(exact == 0, 0, scales).astype(np.float32).astype(E4M3)
    wide = (units * scales.astype(np.float32)).astype(np.float32)
    codes, _, expected = round_floats(w, "fp4_e2m1", 16, lambda _: wide)
    out = arrays(w, "rtn", "nvfp4", rows, columns, 8)
    stored = bytes_of(codes.reshape(-1), "fp4_e2m1")
    assert out[: stored.size] == stored.tobytes()
    lines = np.frombuffer(out, np.uint8, rows * 20, stored.size).reshape(rows, 20)
    assert lines[:, :4].tobytes() == units.tobytes()
    assert lines[:, 4:].tobytes() == scales.tobytes()
    assert np.array_equal(np.frombuffer(out, np.float32, -1, stored.size + lines.size), expected.reshape(-1))


@pytest.mark.parametrize(("name", "element", "size"), [("fp8_e4m3_b128", "fp8_e4m3", 128), ("nf4_b32", "nf4", 32)])
def test_blocks_of_rows_and_columns(arrays, name, element, size):
    """One scale for size x size weights, fewer at the ends; every row stores it."""
    rows, columns = 300, 300
    w = random_rows(rows, columns)
    count = -(-rows // size)
    padded = np.zeros((count * size, count * size), np.float32)
    padded[:rows, :columns] = w
    largest = np.abs(padded.reshape(count, size, count, size)).max((1, 3))
    per_row = largest.repeat(size, 0)[:rows]
    blocks = np.zeros((rows, count * size), np.float32)
    blocks[:, :columns] = w
    codes, scales, expected = round_floats(blocks, element, size, np.float16, per_row)
    codes, expected = codes[:, :columns], expected[:, :columns]
    out = arrays(w, "rtn", name, rows, columns, 2 * size)
    stored = bytes_of(np.ascontiguousarray(codes).reshape(-1), element)
    assert out[: stored.size] == stored.tobytes()
    assert out[stored.size : stored.size + scales.nbytes] == scales.tobytes()
    values = np.frombuffer(out, np.float32, -1, stored.size + scales.nbytes)
    assert np.array_equal(values, np.ascontiguousarray(expected).reshape(-1))


@pytest.mark.parametrize(("name", "group", "scale_type"), [("", 0, np.float32), ("_g32", 32, np.float16)])
def test_e4m3_round_to_nearest(arrays, name, group, scale_type):
    rows, columns = 33, 256
    w = np.random.default_rng(11).standard_normal((rows, columns), dtype=np.float32) * np.float32(0.02)
    w[3] = 0
    w[4] = np.round(w[4] * 256) / 32
    w[6, :64] = 1e-9  # the scale is stored as zero in f16
    codes, scales, expected = round_to_e4m3(w, group or columns, scale_type)
    out = arrays(w, "rtn", "fp8_e4m3" + name, rows, columns, 8)
    assert out[: w.size] == codes.tobytes()
    assert out[w.size : w.size + scales.nbytes] == scales.tobytes()
    values = np.frombuffer(out, np.float32, -1, w.size + scales.nbytes)
    assert np.array_equal(values, expected.reshape(-1))


def test_e4m3_one_scale_of_a_matrix(arrays):
    w = np.random.default_rng(5).standard_normal((9, 40), dtype=np.float32)
    scale = np.abs(w).max() / np.float32(448)
    out = arrays(w, "rtn", "fp8_e4m3_tensor", 9, 40, 4)
    assert out[: w.size] == to_e4m3(w / scale).tobytes()
    assert np.frombuffer(out, np.float32, 1, w.size)[0] == scale


FORMATS = {
    "int8": ("int8", 0, None, np.float32),
    "int8_g128": ("int8", 128, None, np.float16),
    "int4_g32": ("int4", 32, None, np.float16),
    "int4_g64_sf32": ("int4", 64, None, np.float32),
    "int4_asym_g32": ("int4", 32, "integer", np.float16),
    "int4_asym_g128": ("int4", 128, "integer", np.float16),
    "int8_asym": ("int8", 0, "integer", np.float32),
    "int4_asym_g64_zf": ("int4", 64, "float", np.float16),
    "int6": ("int6", 0, None, np.float32),
    "int6_asym_g64": ("int6", 64, "integer", np.float16),
    "int5_g128": ("int5", 128, None, np.float16),
    "int5_asym_g64_zf": ("int5", 64, "float", np.float16),
    "int3": ("int3", 0, None, np.float32),
    "int3_g128": ("int3", 128, None, np.float16),
    "int3_asym_g64": ("int3", 64, "integer", np.float16),
    "int3_asym_g64_zf": ("int3", 64, "float", np.float16),
    "int2_g64": ("int2", 64, None, np.float16),
    "int2_asym_g32_sf32": ("int2", 32, "integer", np.float32),
    "int2_asym_g32_zf": ("int2", 32, "float", np.float16),
    "lut4_g128": ("lut4", 128, None, np.float16),
    "lut3": ("lut3", 0, None, np.float32),
    "int4_restricted_g32": ("int4_restricted", 32, None, np.float16),
    "int2_restricted_g64_sbf16": ("int2_restricted", 64, None, ml_dtypes.bfloat16),
    "int8_full": ("int8_full", 0, None, np.float32),
    "int4_restricted_g32_se8m0": ("int4_restricted", 32, None, to_e8m0),
    "int4_asym_g32_sbf16": ("int4_asym", 32, "integer", ml_dtypes.bfloat16),
}


@pytest.mark.parametrize("name", FORMATS)
def test_round_to_nearest(arrays, name):
    element, group, zero, scale_type = FORMATS[name]
    rows, columns = 33, 256
    random = np.random.default_rng(11)
    w = random.standard_normal((rows, columns), dtype=np.float32) * np.float32(0.02)
    w[3] = 0
    w[4] = np.round(w[4] * 256) / 32  # many ties
    w[5] = np.abs(w[5])
    w[6, :64] = 1e-9  # the scale is stored as zero in f16
    codes, scales, zeros, values = round_to_nearest(w, element, group or columns, zero, scale_type)

    out = arrays(w, "rtn", name, rows, columns, 8)
    stored = packed(codes, element)
    offset = stored.size
    assert out[:offset] == stored.tobytes()
    got = np.frombuffer(out, scales.dtype, scales.size, offset)
    assert got.tobytes() == scales.tobytes()
    offset += got.nbytes
    if zero:
        got = np.frombuffer(out, np.uint8 if zero == "integer" else scale_type, zeros.size, offset)
        assert np.array_equal(got.astype(np.float32), zeros.reshape(-1))
        offset += got.nbytes
    if element in BOOKS:
        assert np.array_equal(np.frombuffer(out, np.int8, BOOKS[element].size, offset), BOOKS[element])
        offset += BOOKS[element].size
    assert np.array_equal(np.frombuffer(out, np.float32, -1, offset), values.reshape(-1))


TWO_LEVELS = [
    ("int4_g32_s6", "int4", 32, 6),
    ("int4_asym_g32_s6", "int4", 32, 6),
    ("int6_g32_s6", "int6", 32, 6),
    ("int5_asym_g32_s6", "int5", 32, 6),
    ("int3_g16_s8", "int3", 16, 8),
    ("int3_asym_g64_s6", "int3", 64, 6),
    ("int2_asym_g32_s8", "int2", 32, 8),
    ("int8_g64_s6", "int8", 64, 6),
    ("lut4_g32_s6", "lut4", 32, 6),
    ("lut3_g64_s8", "lut3", 64, 8),
]


@pytest.mark.parametrize(("name", "element", "group", "bits"), TWO_LEVELS)
def test_two_levels_of_scales(arrays, name, element, group, bits):
    rows, columns = 33, 448  # the last unit of a row has 192 columns
    w = np.random.default_rng(12).standard_normal((rows, columns), dtype=np.float32) * np.float32(0.02)
    w[3] = 0
    w[4, :64] *= np.float32(1e-4)  # a scale far below its unit
    w[5, 256:] = 0
    w[6] *= np.float32(1e-7)  # a unit that is stored as zero
    signed = "asym" not in name and element != "int8"
    stored = []

    def scales_of(exact):
        units, codes, scales = two_level_scales(exact, bits, signed, 256 // group)
        stored.append(np.concatenate([units.view(np.uint8), fields(codes, bits)], axis=1))
        return scales

    zero = "integer" if "asym" in name else None
    codes, _, zeros, values = round_to_nearest(w, element, group, zero, scales_of)
    expected = [packed(codes, element), stored[0]]
    if zero:
        expected.append(packed(zeros.astype(np.int16), element))
    if element in BOOKS:
        expected.append(BOOKS[element].astype(np.int8))
    for block in (8, 1):
        out = arrays(w, "rtn", name, rows, columns, block)
        offset = 0
        for part in expected:
            assert out[offset : offset + part.nbytes] == part.tobytes()
            offset += part.nbytes
        assert np.array_equal(np.frombuffer(out, np.float32, -1, offset), values.reshape(-1))


@pytest.mark.parametrize("columns", [1, 2, 3, 5, 8, 11, 13])
@pytest.mark.parametrize("element", ["int6", "int5", "int4", "int3", "int2"])
def test_rows_end_with_whole_bytes(arrays, element, columns):
    w = np.random.default_rng(columns).standard_normal((5, columns), dtype=np.float32)
    codes, _, _, values = round_to_nearest(w, element, columns, None, np.float32)
    stored = packed(codes, element)
    out = arrays(w, "rtn", element, 5, columns, 2)
    assert out[: stored.size] == stored.tobytes()
    assert np.array_equal(np.frombuffer(out, np.float32, w.size, len(out) - 4 * w.size), values.reshape(-1))


def test_blocks_of_rows_do_not_matter(arrays):
    w = np.random.default_rng(3).standard_normal((20, 64), dtype=np.float32)
    results = {arrays(w, "rtn", "int4_asym_g32", 20, 64, block) for block in (1, 7, 20)}
    assert len(results) == 1


def test_values_that_are_not_finite_are_named(tool):
    w = np.ones((4, 32), np.float32)
    w[2, 7] = np.nan
    done = tool("quant-arrays", "rtn", "int4_g32", 4, 32, 1, stdin=w.tobytes(), check=False)
    assert done.returncode == 1
    assert done.stderr == b"error: NaN at row 2, column 7; expected finite values\n"
