"""skinny_linear and gemm: random weights packed by the record's tables, and the product that a launch must give.

A matrix is a slab of at most 2048 rows, repeated. All of its rows are compared for every token or, of a large one, some
with the last among them.
"""

import numpy as np

from .halves import HALF_UNIT, compare, decode, divisor, encode, rounded
from .record import Part
from .rotary import Append
from .rows import FUNCTIONS, function_error

SLAB_STRIPS = 128
#: As many rows are compared as have so many weights.
COMPARED_WEIGHTS = 1 << 20
EPSILON = 1e-5  #: of the norm ahead of a product


class SkinnyLinear:
    streamed = "weights"

    def __init__(self, record, seed=0):
        self.record, self.random = record, np.random.default_rng(seed)
        self.problem, self.layout = record.problem, record.layout
        self.tokens, self.columns = record.argument("x")["shape"]
        self.gate = self.problem.get("gate", "none")
        self.rows = record.argument("y")["shape"][1] * (1 if self.gate == "none" else 2)
        self.output = record.argument("y")["type"]
        self.strip, self.unit = self.layout["strip_rows"], self.layout["unit_columns"]
        half = self.strip // 2
        self.strips = -(-self.rows // self.strip) if self.gate == "none" else -(-self.rows // 2 // half)
        self.units = -(-self.columns // self.unit)
        whole = self.rows == self.strips * self.strip
        self.times = self.strips // divisor(self.strips, SLAB_STRIPS) if whole else 1
        self.slab_rows = self.strips // self.times * self.strip
        self._make_activations()
        if "asym" in self.problem["weights"]:
            raise ValueError(f"{record.name}: zero points are not made here")
        self.fp8 = self.problem["weights"].startswith("fp8_e4m3")
        self._make_weights()

    def _make_activations(self):
        x = self.record.argument("x")
        self.source = x["type"]
        if self.source == "int8":  # codes, with a scale a token
            self.x = self.random.integers(-127, 128, x["shape"], np.int8)
            self.token_scales = self.random.uniform(0.004, 0.01, self.tokens).astype(np.float32)
        else:
            self.x = encode(self.source, self.random.uniform(-1, 1, x["shape"]))
        #: what is read beside x and the weights
        self.beside = {
            argument["name"]: encode(argument["type"], self.random.uniform(-1, 1, argument["shape"]))
            for argument in self.record.arguments
            if argument["name"] in ("norm_scale", "bias", "residual")
        }

    def _number(self, name):
        return decode(self.record.argument(name)["type"], self.beside[name])

    def activations(self):
        """x as numbers, behind the norm and as codes where there are some; and what f32 may change of them."""
        if self.source == "int8":
            x = self.x * self.token_scales.astype(np.float64)[:, None]
            return x, np.zeros_like(x)
        x, error = decode(self.source, self.x), np.zeros(self.x.shape)
        if self.problem.get("norm"):
            x = x / np.sqrt((x**2).mean(-1, keepdims=True) + EPSILON) * self._number("norm_scale")
            near = 2.0**-20 * np.abs(x)
            if not self.problem["makes_codes"]:
                error = rounded(self.source, x + near) - rounded(self.source, x - near)
                x = rounded(self.source, x)
        if self.problem.get("makes_codes"):
            scales = np.abs(x).max(-1, keepdims=True) / 127
            # Which code is the nearest of a number in the middle of two is not known.
            apart = np.abs(np.abs(x / scales) % 1 - 0.5) < 2.0**-10
            x, error = np.rint(x / scales) * scales, error + apart * scales
        return x, error

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
        given = {"x": self.x, **self.beside}
        if self.source == "int8":
            given["token_scales"] = self.token_scales
        return {name: [Part(array)] for name, array in given.items()} | {"weights": self._packed()}

    def _packed(self):
        strips = self.strips // self.times
        stored = np.zeros((self.slab_rows, self.units * self.unit), np.uint16)
        offset = self.layout["code_offset"]
        stored[:, : self.columns] = self.codes if self.scales is None else self.codes + offset
        blocks = stored.reshape(strips, self.strip, self.units, self.unit).transpose(0, 2, 1, 3)
        packed = np.zeros((strips, self.units, self.layout["unit_bytes"]), np.uint8)
        codes = self._placed(blocks.reshape(strips, self.units, -1))
        packed[..., : codes.shape[-1]] = codes
        if self.scales is not None and self.layout["row_scales_at"] < 0:
            self._place_scales(packed)
        parts = [Part(packed, self.times)]
        if self.layout["row_scales_at"] >= 0:
            parts.append(Part(np.ascontiguousarray(self.scales[:, 0]), self.times))
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
        rows = self.scales.view(np.uint8).reshape(packed.shape[0], self.strip, -1, 2)
        for unit in range(self.units):
            for i in range(groups):
                column = unit * self.unit + i * self.unit // groups
                if column < self.columns:
                    for byte in range(2):
                        packed[:, unit, places[:, i] + byte] = rows[:, :, column // group, byte]

    def check(self, outputs):
        """The largest error as a part of the bound: what f32 sums and the rounding of the result may change."""
        columns = self.rows if self.gate == "none" else self.rows // 2
        compared = min(columns, max(COMPARED_WEIGHTS // self.columns, 1))
        rows = np.sort(self.random.choice(columns, compared, replace=False))
        rows[-1] = columns - 1
        expected, bound = self._product(rows) if self.gate == "none" else self._gated(rows, columns)
        if "bias" in self.beside:
            expected = expected + self._number("bias")[rows]
        if "residual" in self.beside:
            expected = expected + self._number("residual")[:, rows]
        bound = bound + (HALF_UNIT[self.output] + 2.0**-22) * np.abs(expected) + 2.0**-24
        return compare("y", decode(self.output, outputs["y"][:, rows]), expected, bound)

    def _product(self, rows):
        """x · W for rows of W, and what may be changed of it before it is rounded."""
        weights, scales = self.weights(self._packed_rows(rows) % self.slab_rows)
        x, error = self.activations()
        return x @ weights.T, self._bound(np.abs(x), weights, scales) + error @ np.abs(weights).T

    def _packed_rows(self, rows):
        """Where rows lie: of pairs, the two halves of a strip have the same rows of the two halves of the matrix."""
        if self.gate == "none":
            return rows
        half = self.strip // 2
        pair, second = rows % (self.rows // 2), rows >= self.rows // 2
        return pair // half * self.strip + pair % half + second * half

    def _gated(self, rows, columns):
        """The gate is applied to values that are rounded first. No function is steeper than 1.2."""
        (gate, gate_error), (up, up_error) = self._product(rows), self._product(rows + columns)
        gate_error, up_error = (
            error + HALF_UNIT[self.output] * np.abs(value) + 2.0**-24
            for value, error in ((gate, gate_error), (up, up_error))
        )
        value = FUNCTIONS[self.gate](gate)
        error = function_error(value) + 1.2 * gate_error
        return value * up, error * (np.abs(up) + up_error) + np.abs(value) * up_error

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


class SkinnyLinearAppend(SkinnyLinear):
    """The product, and what becomes of its heads as they were stored."""

    def __init__(self, record, seed=0):
        super().__init__(record, seed)
        self.append = Append(record, self.random)

    def inputs(self):
        return super().inputs() | self.append.inputs()

    def check(self, outputs):
        part = super().check(outputs)
        return max(part, self.append.check(outputs["y"], outputs["queries"], outputs["pages"]))
