"""gather_rows and check_indices: indices, some of which lie outside, and what is read at them."""

import numpy as np

from .halves import decode, encode, equal
from .record import Part

SLAB_ROWS = 4096


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
        self._make_table()

    def _make_table(self):
        element, layout = self.layout["element"], self.layout
        shape = self.slab, self.columns
        scales = (1 if layout["one_scale"] else self.slab), layout["groups"]
        self.scales = self.zeros = None
        if not layout["scale_type"]:
            self.stored = encode(element, self.random.standard_normal(shape)).view(np.uint8)
            self.codes = decode(element, self.stored.view(encode(element, 0).dtype))
            return
        self.stored = self.random.integers(0, 256, (self.slab, layout["row_bytes"]), np.uint8)
        if element == "fp8_e4m3":
            self.stored[self.stored & 127 == 127] = 0  # a weight has no NaN
        self.codes = self._codes()[:, : self.columns]
        self.scales = encode(layout["scale_type"], self.random.uniform(0.001, 0.01, scales))
        if layout["zero_type"] == "u8":
            self.zeros = self.random.integers(0, 1 << layout["element_bits"], scales, np.uint8)
        elif layout["zero_type"]:
            self.zeros = encode(layout["zero_type"], self.random.uniform(5, 9, scales))

    def _codes(self):
        if self.layout["element"] == "fp8_e4m3":
            return decode("fp8_e4m3", self.stored)
        bits, codes = self.layout["element_bits"], self.stored
        if bits == 4:
            codes = np.stack([codes & 15, codes >> 4], -1).reshape(self.slab, -1)
        codes = codes.astype(np.int16)
        return np.where(codes >> (bits - 1), codes - (1 << bits), codes) if self.layout["signed"] else codes

    def inputs(self):
        given = {"ids": [Part(self.ids)], "table": [Part(self.stored, self.times)]}
        for name, array in (("scales", self.scales), ("zeros", self.zeros)):
            if array is not None:
                given[name] = [Part(array, 1 if self.layout["one_scale"] else self.times)]
        return given

    def _of_columns(self, kind, values, rows):
        """A value of each group for all columns of some rows, as f32."""
        values = decode(kind, values) if kind != "u8" else values
        values = np.broadcast_to(values, (self.slab, self.layout["groups"]))[rows]
        return values.repeat(self.layout["group_columns"], 1)[:, : self.columns].astype(np.float32)

    def check(self, outputs):
        """Bit by bit: a subtraction and a product in f32, and one rounding. Rows of ids outside are no numbers."""
        inside = (self.ids >= 0) & (self.ids < self.problem["rows"])
        rows, result = self.ids[inside] % self.slab, outputs["result"]
        expected = self.codes[rows].astype(np.float32)
        if self.zeros is not None:
            expected = expected - self._of_columns(self.layout["zero_type"], self.zeros, rows)
        if self.scales is not None:
            expected = expected * self._of_columns(self.layout["scale_type"], self.scales, rows)
        equal("result", result[inside], encode(self.problem["output"], expected))
        equal("rows outside", np.isfinite(decode(self.problem["output"], result[~inside])), False)
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
