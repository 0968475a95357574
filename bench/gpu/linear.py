"""skinny_linear and gemm: random weights packed by the record's tables, and the product that a launch must give.

A matrix is a slab of at most 2048 rows, repeated; 64 of its rows, the last among them, are compared for every token.
"""

import numpy as np

from .halves import HALF_UNIT, compare, decode, divisor, encode
from .record import Part

SLAB_STRIPS = 128
COMPARED_ROWS = 64


class SkinnyLinear:
    def __init__(self, record, seed=0):
        self.record, self.random = record, np.random.default_rng(seed)
        self.problem, self.layout = record.problem, record.layout
        self.rows, self.columns, self.tokens = (self.problem[key] for key in ("rows", "columns", "tokens"))
        self.strip, self.unit = self.layout["strip_rows"], self.layout["unit_columns"]
        self.strips, self.units = -(-self.rows // self.strip), -(-self.columns // self.unit)
        self.times = 1 if self.rows % self.strip else self.strips // divisor(self.strips, SLAB_STRIPS)
        self.slab_rows = self.rows if self.times == 1 else self.strips // self.times * self.strip
        self._make_activations()
        if "asym" in self.problem["weights"]:
            raise ValueError(f"{record.name}: zero points are not made here")
        self.fp8 = self.problem["weights"].startswith("fp8_e4m3")
        self._make_weights()

    def _make_activations(self):
        shape = self.tokens, self.columns
        if self.problem["int8"]:  # codes, with a scale a token
            self.x = self.random.integers(-127, 128, shape, np.int8)
            self.token_scales = self.random.uniform(0.004, 0.01, self.tokens).astype(np.float32)
        else:
            self.x = encode(self.problem["activation"], self.random.uniform(-1, 1, shape))

    def activations(self):
        """x as numbers."""
        if self.problem["int8"]:
            return self.x * self.token_scales.astype(np.float64)[:, None]
        return decode(self.problem["activation"], self.x)

    def _make_weights(self):
        bits, group = self.layout["element_bits"], self.layout["group_columns"]
        shape = self.slab_rows, self.columns
        if bits == 16:
            self.codes = encode(self.problem["weights"], self.random.uniform(-1, 1, shape))
            self.scales = None
            return
        offset = self.layout["code_offset"]
        low, high = (1 - offset, offset) if offset else (0, 1 << bits)
        self.codes = self.random.integers(low, high, shape, np.int16)
        if self.fp8:
            self.codes = encode("fp8_e4m3", self.random.uniform(-448, 448, shape))
        scales = self.random.uniform(0.01, 0.02, (self.slab_rows, -(-self.columns // group)))
        self.scales = scales.astype(np.float32 if self.layout["row_scales_at"] >= 0 else np.float16)

    def weights(self, rows):
        """Rows of the slab as numbers, and the scale of each of their elements."""
        if self.scales is None:
            return decode(self.problem["weights"], self.codes[rows]), np.ones((len(rows), self.columns))
        group = self.layout["group_columns"]
        scales = self.scales[rows].astype(np.float64).repeat(group, 1)[:, : self.columns]
        numbers = decode("fp8_e4m3", self.codes[rows]) if self.fp8 else self.codes[rows]
        return numbers * scales, scales

    def inputs(self):
        scales = {"token_scales": [Part(self.token_scales)]} if self.problem["int8"] else {}
        return {"x": [Part(self.x)], "weights": self._packed()} | scales

    def _packed(self):
        strips, rows = self.strips // self.times, self.strips // self.times * self.strip
        stored = np.zeros((rows, self.units * self.unit), np.uint16)
        offset = self.layout["code_offset"]
        stored[: self.slab_rows, : self.columns] = self.codes if self.scales is None else self.codes + offset
        blocks = stored.reshape(strips, self.strip, self.units, self.unit).transpose(0, 2, 1, 3)
        packed = np.zeros((strips, self.units, self.layout["unit_bytes"]), np.uint8)
        codes = self._placed(blocks.reshape(strips, self.units, -1))
        packed[..., : codes.shape[-1]] = codes
        if self.scales is not None and self.layout["row_scales_at"] < 0:
            self._place_scales(packed)
        parts = [Part(packed, self.times)]
        if self.layout["row_scales_at"] >= 0:
            scales = np.zeros(rows, np.float32)
            scales[: self.slab_rows] = self.scales[:, 0]
            parts.append(Part(scales, self.times))
        return parts

    def _placed(self, stored):
        """Bytes of the codes of units, whose elements lie where the table says."""
        bits = self.layout["element_bits"]
        order = np.empty(stored.shape[-1], np.int64)
        order[np.asarray(self.layout["code_places"]) // bits] = np.arange(stored.shape[-1])
        placed = stored[..., order]
        if bits == 16:
            return np.ascontiguousarray(placed).view(np.uint8)
        placed = placed.astype(np.uint8)
        return placed if bits == 8 else placed[..., 0::2] | placed[..., 1::2] << 4

    def _place_scales(self, packed):
        places = np.asarray(self.layout["scale_places"]).reshape(self.strip, -1)
        groups, group = places.shape[1], self.layout["group_columns"]
        rows = np.zeros((packed.shape[0] * self.strip, self.scales.shape[1]), np.float16)
        rows[: self.slab_rows] = self.scales
        rows = rows.view(np.uint8).reshape(packed.shape[0], self.strip, -1, 2)
        for unit in range(self.units):
            for i in range(groups):
                column = unit * self.unit + i * self.unit // groups
                if column < self.columns:
                    for byte in range(2):
                        packed[:, unit, places[:, i] + byte] = rows[:, :, column // group, byte]

    def check(self, outputs):
        """The largest error as a part of the bound: what f32 sums and the rounding of the result may change."""
        count = min(self.rows, COMPARED_ROWS)
        rows = np.sort(self.random.choice(self.rows, count, replace=False))
        rows[-1] = self.rows - 1
        weights, scales = self.weights(rows % self.slab_rows)
        x = self.activations()
        expected = x @ weights.T
        kind = self.problem["output"]
        bound = self._bound(np.abs(x), weights, scales) + HALF_UNIT[kind] * np.abs(expected) + 2.0**-24
        got = decode(kind, outputs["y"].reshape(self.tokens, self.rows)[:, rows])
        return compare("y", got, expected, bound)

    def _bound(self, x, weights, scales):
        if self.problem["int8"]:  # sums are exact
            return 2.0**-22 * (x @ np.abs(weights).T)
        return self._half_bound(x, weights, scales)

    def _half_bound(self, x, weights, scales):
        # Codes are unpacked to numbers of this size, products of which the sums are rounded at.
        number = 1 if self.scales is None else 1279 if self.problem["activation"] == "f16" else 256
        number = 448 if self.fp8 else number
        return 2.0**-22 * number * (x @ scales.T)


class Gemm(SkinnyLinear):
    """Weights are rounded to the activation's type."""

    def _half_bound(self, x, weights, scales):
        size = x @ np.abs(weights).T
        grouped = self.scales is not None and self.layout["row_scales_at"] < 0
        rounding = 2 * HALF_UNIT[self.problem["activation"]] if grouped else 0
        return (rounding + 2.0**-23 * (self.columns / 16 + 8)) * size
