"""gather_rows and check_indices: indices, some of which lie outside, and what is read at them."""

import numpy as np

from .halves import decode, encode, equal, rounded
from .record import Part

SLAB_ROWS = 4096


def fields(values, bits):
    """Rows of codes in two's complement or without sign, `bits` each, from the lowest bit of a row's first byte on."""
    rows = (values[..., None] >> np.arange(bits) & 1).reshape(len(values), -1)
    return np.packbits(rows.astype(np.uint8), axis=-1, bitorder="little")


class GatherRows:
    """A table of random codes; of a large one, 4096 rows are repeated. Its first ids lie outside."""

    streamed = "table"

    def __init__(self, record, seed=0):
        self.record, self.problem, self.layout = record, record.problem, record.layout
        self.random = np.random.default_rng(seed)
        rows, self.columns = self.problem["rows"], self.problem["columns"]
        self.slab = rows if rows % SLAB_ROWS else SLAB_ROWS
        self.times = rows // self.slab
        self.ids = self.random.integers(0, rows, self.problem["ids"], np.int32)
        self.ids[:2] = np.array([-1, rows])[: len(self.ids) - 1]
        self.parts = {"ids": [Part(self.ids)]}
        self.scales = self.zeros = None
        shape = self.slab, self.columns
        if self.layout["scale_type"]:
            self._make_codes(shape)
            self._make_scales((1 if self.layout["one_scale"] else self.slab, self.layout["groups"]))
        else:
            stored = encode(self.layout["element"], self.random.standard_normal(shape))
            self.parts["table"] = [Part(stored, self.times)]
            self.numbers = decode(self.layout["element"], stored)

    def _make_codes(self, shape):
        """Codes, and what they stand for: integers, with or without a sign, or numbers of a type or a code book."""
        bits = self.layout["element_bits"]
        codes = self.random.integers(0, 1 << bits, shape)
        if "numbers" in self.layout:  # null, as NaN, is no number
            numbers = np.array(self.layout["numbers"], np.float32)
            codes = self.random.choice(np.flatnonzero(np.isfinite(numbers)), shape)
            self.numbers = numbers[codes]
        elif "book_numbers" in self.layout:
            book = self.random.integers(-128, 128, self.layout["book_numbers"], np.int8)
            self.parts["zeros"] = [Part(book)]
            self.numbers = book[codes]
        else:
            self.numbers = codes - (codes >> (bits - 1) << bits) if self.layout["signed"] else codes
        self.parts["table"] = [Part(fields(codes, bits), self.times)]

    def _make_scales(self, shape):
        layout, times = self.layout, 1 if self.layout["one_scale"] else self.times
        if "scale_codes" in layout:
            stored = self._make_two_levels(shape)
        elif layout["scale_type"] == "e8m0":
            stored = self.random.integers(118, 122, shape, np.uint8)
            self.scales = 2.0 ** (stored - 127.0)
        else:
            stored = encode(layout["scale_type"], self.random.uniform(0.001, 0.01, shape))
            self.scales = decode(layout["scale_type"], stored)
        self.parts["scales"] = [Part(stored, times)]
        if layout["zero_bits"]:
            self.zeros = self.random.integers(0, 1 << layout["element_bits"], shape)
            self.parts["zeros"] = [Part(fields(self.zeros, layout["zero_bits"]), times)]
        elif layout["zero_type"]:
            stored = encode(layout["zero_type"], self.random.uniform(5, 9, shape))
            self.zeros = decode(layout["zero_type"], stored)
            self.parts["zeros"] = [Part(stored, times)]

    def _make_two_levels(self, shape):
        """Rows of units, then of codes; a scale is their product in f32."""
        layout, (rows, groups) = self.layout, shape
        bits, kind = layout["scale_code_bits"], layout["scale_codes"]
        units = encode(layout["scale_type"], self.random.uniform(0.001, 0.002, (rows, layout["scale_units"])))
        if kind == "fp8_e4m3":
            codes = encode(kind, self.random.uniform(0.5, 8, shape))
            numbers = decode(kind, codes)
        else:
            codes = self.random.integers(0, 1 << bits, shape)
            numbers = codes - (codes >> (bits - 1) << bits) if kind == "signed" else codes
        each = decode(layout["scale_type"], units).repeat(layout["groups_of_unit"], 1)[:, :groups]
        self.scales = each.astype(np.float32) * numbers.astype(np.float32)
        return np.concatenate([units.view(np.uint8), fields(codes, bits)], -1)

    def inputs(self):
        return self.parts

    def _of_columns(self, values, rows):
        """A value of each group for all columns of some rows, as f32."""
        values = np.broadcast_to(values, (self.slab, self.layout["groups"]))[rows]
        return values.repeat(self.layout["group_columns"], 1)[:, : self.columns].astype(np.float32)

    def check(self, outputs):
        """The same numbers: a subtraction and a product in f32, and one rounding. Rows of ids outside are no
        numbers."""
        inside = (self.ids >= 0) & (self.ids < self.problem["rows"])
        rows, result = self.ids[inside] % self.slab, outputs["result"]
        expected = self.numbers[rows].astype(np.float32)
        if self.zeros is not None:
            expected = expected - self._of_columns(self.zeros, rows)
        if self.scales is not None:
            expected = expected * self._of_columns(self.scales, rows)
        output = self.problem["output"]
        equal("result", decode(output, result[inside]), rounded(output, expected))
        equal("rows outside", np.isfinite(decode(output, result[~inside])), False)
        return 0.0


class CheckIndices:
    """As many indices outside as the problem says, anywhere."""

    streamed = "indices"

    def __init__(self, record, seed=0):
        self.record, self.problem = record, record.problem
        random, count = np.random.default_rng(seed), self.problem["count"]
        limits = self.problem["limit"] + np.arange(count) % self.problem["limits"]
        both = self.problem["interval"] == "from_either_end"
        kind = np.int64 if self.problem["integer"] == "i64" else np.int32
        self.indices = random.integers(-limits if both else 0, limits).astype(kind)
        self.outside = np.sort(random.choice(count, self.problem["outside"], replace=False))
        beyond = np.array([limits, -limits - 1 if both else np.full(count, -1)])
        chosen = random.integers(0, 2, len(self.outside))
        self.indices[self.outside] = beyond[chosen, self.outside]

    def inputs(self):
        return {"indices": [Part(self.indices)]}

    def check(self, outputs):
        """The report is the first index outside and its place, or -1 as the place."""
        index, place = (self.indices[self.outside[0]], self.outside[0]) if len(self.outside) else (0, -1)
        report = np.concatenate(
            [np.array([index], np.int64).view(np.uint8), np.array([place, 0], np.int32).view(np.uint8)]
        )
        equal("report", outputs["report"], report)
        return 0.0
