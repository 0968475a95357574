"""The weights of a linear layer, packed by the tables of a record: each range of rows in its own format.

A range is a slab of at most 2048 rows, repeated.
"""

import numpy as np

from .halves import decode, divisor, encode, rounded
from .record import Part

SLAB_STRIPS = 128


class Segment:
    """Rows of one format: random codes and scales, as numbers of `activation` and as bytes.

    `paired`: rows lie in pairs, a gate's.
    """

    def __init__(self, layout, own, columns, paired, activation, random):
        self.own, self.columns, self.paired, self.random = own, columns, paired, random
        self.rows, self.format = own["rows"], own["weights"]
        self.outputs = self.rows // 2 if paired else self.rows
        self.strip, self.unit = layout["strip_rows"], layout["unit_columns"]
        self.strips = -(-self.rows // 2 // (self.strip // 2)) if paired else -(-self.rows // self.strip)
        self.units = -(-columns // self.unit)
        whole = self.rows == self.strips * self.strip
        self.times = self.strips // divisor(self.strips, SLAB_STRIPS) if whole else 1
        self.slab_rows = self.strips // self.times * self.strip
        self.book = self.numbers = None
        self.has_row_scales = own["row_scales_at"] >= 0
        self._make(activation)

    @property
    def has_scales(self):
        return self.scales is not None

    @property
    def largest(self):
        """The largest number of a code where the type has them itself."""
        return float(np.nanmax(np.abs(self.numbers))) if "numbers" in self.own else None

    def _make(self, activation):
        shape = self.slab_rows, self.columns
        if self.own["element_bits"] == 16:
            self.codes = encode(self.format, self.random.uniform(-1, 1, shape))
            self.scales = self.zeros = None
            return
        offset = self.own["code_offset"]
        low, high = (1 - offset, offset) if offset else (0, 1 << self.own["element_bits"])
        self.codes = self.random.integers(low, high, shape, np.int16)
        if "book_numbers" in self.own:
            self.book = self.numbers = self.random.integers(-128, 128, self.own["book_numbers"], np.int8)
        if "numbers" in self.own:  # null, as NaN, is no number
            self.numbers = np.array(self.own["numbers"], np.float32)
            self.codes = self.random.choice(np.flatnonzero(np.isfinite(self.numbers)), shape).astype(np.int16)
            if "book_bytes" in self.own:
                self.book, self.numbers = self.numbers, rounded(activation, self.numbers)
        groups = self.slab_rows, -(-self.columns // self.own["group_columns"])
        self.scales = self.random.uniform(0.01, 0.02, groups).astype(self._type_of("scale_bytes"))
        if "scale_code_bits" in self.own:
            self._make_two_levels()
        self.zeros = None
        if "zero_places" in self.own:
            self.zeros = self.random.integers(low, high, groups).astype(self._type_of("zero_bytes"))

    def _make_two_levels(self):
        """Scales are codes, with a sign where these have an offset, times the f16 of some of a row's groups."""
        offset, each = self.own["scale_code_offset"], self.own["scale_unit_columns"] // self.own["group_columns"]
        codes = self.random.integers(-offset, (1 << self.own["scale_code_bits"]) - offset, self.scales.shape)
        count = -(-codes.shape[1] // each)
        self.scale_units = self.random.uniform(0.001, 0.002, (self.slab_rows, count)).astype(np.float16)
        self.scale_codes = (codes + offset).astype(np.uint8)
        self.scales = codes * self.scale_units.astype(np.float64).repeat(each, 1)[:, : codes.shape[1]]

    def _type_of(self, name):
        """The type of scales or zero points: f32 of rows, codes of a byte beside scales of two levels."""
        return {1: np.uint8, 2: np.float16, 4: np.float32}[self.own.get(name, 4)]

    def weights(self, rows):
        """Rows as numbers, and the scale of each of their elements."""
        rows = self._packed_rows(rows) % self.slab_rows
        if not self.has_scales:
            return decode(self.format, self.codes[rows]), np.ones((len(rows), self.columns))
        scales = self.scales[rows].astype(np.float64).repeat(self.own["group_columns"], 1)[:, : self.columns]
        numbers = self.codes[rows]
        if self.numbers is not None:
            numbers = self.numbers[numbers].astype(np.float64)
        if self.zeros is not None:
            zeros = self.zeros[rows].astype(np.float64).repeat(self.own["group_columns"], 1)
            numbers = numbers - zeros[:, : self.columns]
        return numbers * scales, np.abs(scales)

    def _packed_rows(self, rows):
        """Where rows lie: of pairs, the two halves of a strip have the same rows of the two halves of the matrix."""
        if not self.paired:
            return rows
        half = self.strip // 2
        pair, second = rows % (self.rows // 2), rows >= self.rows // 2
        return pair // half * self.strip + pair % half + second * half

    def parts(self):
        strips = self.strips // self.times
        stored = np.zeros((self.slab_rows, self.units * self.unit), np.uint16)
        stored[:, : self.columns] = self.codes + self.own["code_offset"] if self.has_scales else self.codes
        blocks = stored.reshape(strips, self.strip, self.units, self.unit).transpose(0, 2, 1, 3)
        packed = np.zeros((strips, self.units, self.own["unit_bytes"]), np.uint8)
        codes = self._placed(blocks.reshape(strips, self.units, -1))
        packed[..., : codes.shape[-1]] = codes
        group = self.own["group_columns"]
        if "scale_code_bits" in self.own:
            self._place("scale_places", self.scale_codes, group, packed)
            self._place("scale_unit_places", self.scale_units, self.own["scale_unit_columns"], packed)
        elif self.has_scales and not self.has_row_scales:
            self._place("scale_places", self.scales, group, packed)
        if self.zeros is not None:
            self._place("zero_places", self.zeros, group, packed)
        parts = [Part(packed, self.times)]
        if self.has_row_scales:
            parts.append(Part(np.ascontiguousarray(self.scales[:, 0]), self.times))
        if self.book is not None:
            stored = self.book.view(np.uint8)
            parts.append(Part(np.pad(stored, (0, self.own["book_bytes"] - len(stored)))))
        return parts

    def _placed(self, stored):
        """Bytes of the codes of units, whose elements lie where the table says."""
        bits = self.own["element_bits"]
        places = np.asarray(self.own["code_places"])
        if bits < 8:
            return self._placed_bits(stored, places.reshape(-1, bits))
        order = np.empty(stored.shape[-1], np.int64)
        order[places // bits] = np.arange(stored.shape[-1])
        placed = stored[..., order]
        return np.ascontiguousarray(placed).view(np.uint8) if bits == 16 else placed.astype(np.uint8)

    @staticmethod
    def _placed_bits(stored, places):
        """The same of elements whose bits lie apart: places [element, bit]."""
        element, bit = np.divmod(np.argsort(places.reshape(-1)), places.shape[1])
        packed = [np.packbits(strip[:, element] >> bit & 1, axis=-1, bitorder="little") for strip in stored]
        return np.stack(packed)

    def _place(self, name, values, group, packed):
        """What so many columns share, scales or zero points, in planes behind the codes of each unit."""
        places = np.asarray(self.own[name]).reshape(self.strip, -1)
        groups = places.shape[1]
        rows = values.view(np.uint8).reshape(packed.shape[0], self.strip, -1, values.itemsize)
        for unit in range(self.units):
            for i in range(groups):
                column = unit * self.unit + i * self.unit // groups
                if column < self.columns:
                    for byte in range(values.itemsize):
                        packed[:, unit, places[:, i] + byte] = rows[:, :, column // group, byte]
