"""The pages of a KV cache as runtime/cuda/KvPageLayout.h lays them out: views of their runs, codes, slots, tables."""

import numpy as np

from .halves import decode, encode, rounded
from .record import Part

#: The largest code, by which the largest number of a position and head, or of a channel and group, is divided.
MOST = {"int8": 127, "int4": 7, "int3": 3, "int2": 1, "fp8_e4m3": 448}


def _fields(stored, bits):
    """Fields of bytes, from the lowest bits on."""
    fields = [stored >> at & (1 << bits) - 1 for at in range(0, 8, bits)]
    return np.stack(fields, -1).reshape(*stored.shape[:-1], -1)


def _bytes(fields, bits):
    """The inverse; bits above a field's are left out."""
    fields = (fields & (1 << bits) - 1).reshape(*fields.shape[:-1], -1, 8 // bits)
    return np.bitwise_or.reduce(fields << np.arange(0, 8, bits, dtype=np.uint8), -1).astype(np.uint8)


def unpack(element, stored):
    """Codes or numbers, in f64, of bytes [..., bytes of a head]; those of int3 are a whole row's."""
    if element == "int8":
        return stored.view(np.int8).astype(np.float64)
    if element == "int3":
        lower, thirds = np.split(stored, [stored.shape[-1] * 2 // 3], -1)
        fields, bits = _fields(lower, 2) | _fields(thirds, 1) << 2, 3
    elif element in ("int4", "int2"):
        bits = int(element[3:])
        fields = _fields(stored, bits)
    else:
        return decode(element, stored if element == "fp8_e4m3" else stored.view(np.uint16))
    sign = 1 << bits - 1
    return (fields ^ sign).astype(np.float64) - sign


def pack(element, codes):
    """The inverse."""
    if not element.startswith("int"):
        return encode(element, codes).view(np.uint8)
    fields = codes.astype(np.int8).view(np.uint8)
    if element == "int3":
        return np.concatenate([_bytes(fields, 2), _bytes(fields >> 2, 1)], -1)
    return _bytes(fields, int(element[3:]))


class PagedCache:
    """Sequences of equal lengths, whose pages lie in a random order; slots of keys that wait are the first pages."""

    def __init__(self, record, random):
        self.layout, self.problem, self.random = record.layout, record.problem, random
        for key in ("heads", "key_heads", "head_size", "sequences", "tokens", "context", "page", "activation"):
            setattr(self, key, self.problem[key])
        self.group, self.slot_pages = self.layout["key_group"], self.layout["slot_pages"]
        self.value_group = self.layout["value_group"]
        self.start = self.context - self.tokens  # positions before the step
        #: the first position of the group that is not full after the step
        self.open = self.context - self.context % self.group if self.group else self.context
        self.pages = record.argument("pages")["shape"][0] - self.slot_pages
        table = random.permutation(self.pages).astype(np.int32).reshape(self.sequences, -1)
        #: of the pages behind the slots
        self.table, self.slots = table, random.permutation(self.sequences).astype(np.int32)

    def element(self, what):
        return self.layout[f"{what}_element"]

    def inputs(self):
        """The arguments that say which tokens are where."""
        table = self.table + self.slot_pages
        if self.group:
            table = np.concatenate([table, self.slots[:, None]], 1)
        starts = np.arange(self.sequences + 1, dtype=np.int32) * self.tokens
        context = np.full(self.sequences, self.start, np.int32)
        parts = {"page_table": table.astype(np.int32), "token_starts": starts, "context_starts": context}
        return {name: [Part(np.ascontiguousarray(array))] for name, array in parts.items()}

    def _runs(self, what, memory, begin, size):
        """Bytes of each head's run in pages [pages, page_bytes], as [page, head, size]."""
        heads = memory[:, : self.key_heads * self.layout["head_bytes"]].reshape(len(memory), self.key_heads, -1)
        begin += 0 if what == "key" else self.layout["value_at"]
        return heads[..., begin : begin + size]

    def _split(self, what, rows):
        """What rows have of a head, and the zeros behind it."""
        row = self.layout[f"{what}_row"]
        if self.element(what) == "int3" and row != self.head_size:
            raise ValueError("the parts of a row of int3 are taken as a whole: heads of a multiple of 32 channels")
        end = rows.shape[-1] * self.head_size // row
        return rows[..., :end], rows[..., end:]

    def _code_rows(self, what, memory):
        runs = self._runs(what, memory, 0, self.layout[f"{what}_code_bytes"])
        return runs.reshape(*runs.shape[:2], self.page, -1)

    def codes(self, what, memory):
        """A view of pages: bytes [page, head, position, bytes of a head]."""
        return self._split(what, self._code_rows(what, memory))[0]

    def scales(self, what, memory):
        """A view of pages: f16 [page, head, position]; of keys in groups [page, head, group, 1 or 2, channel], of
        values in groups [page, head, position, 1 or 2, group].
        """
        size = self.layout[f"{what}_scale_bytes"]
        runs = self._runs(what, memory, self.layout[f"{what}_code_bytes"], size).view(np.float16)
        if what == "key" and self.group:
            rows = runs.reshape(*runs.shape[:2], self.page // self.group, -1, self.layout["key_row"])
            return self._split(what, rows)[0]
        if what == "value" and self.value_group:
            groups = self.head_size // self.value_group
            return np.moveaxis(runs.reshape(*runs.shape[:2], -1, groups, self.page), -1, 2)
        return runs

    def _waiting_rows(self, memory):
        row, slot = self.layout["key_row"], self.layout["slot_bytes"]
        size = self.key_heads * self.group * row * 2
        slots = memory.reshape(-1)[: self.sequences * slot].reshape(self.sequences, slot)[:, :size]
        return slots.view(np.uint16).reshape(self.sequences, self.key_heads, self.group, row)

    def waiting(self, memory):
        """A view of the slots' pages: halves [slot, head, position of a group, channel]."""
        return self._split("key", self._waiting_rows(memory))[0]

    def clear_padding(self, memory):
        """Zeros behind the heads of all pages, in which slots have no part, as an append leaves them."""
        for what in ("key", "value"):
            self._split(what, self._code_rows(what, memory))[1][:] = 0
        if self.group:
            size = self.layout["key_scale_bytes"]
            runs = self._runs("key", memory, self.layout["key_code_bytes"], size).view(np.float16)
            self._split("key", runs.reshape(*runs.shape[:2], -1, self.layout["key_row"]))[1][:] = 0

    def fill(self, what, memory, numbers):
        """Fills pages with numbers [page, head, position, channel]; the result is what is read of them: of values in
        groups numbers of the activation's type, else what their codes stand for.
        """
        element, shape = self.element(what), numbers.shape
        if element not in MOST:
            self.codes(what, memory)[:] = pack(element, numbers)
            return unpack(element, self.codes(what, memory))
        group, runs, axis = self.layout[f"{what}_group"], numbers, -1
        if group and what == "key":
            runs, axis = numbers.reshape(*shape[:2], -1, group, shape[-1]), -2
        elif group:
            runs = numbers.reshape(*shape[:3], -1, group)
        low, most, offsets = -MOST[element], MOST[element], 0
        places = self.scales(what, memory)
        if self.layout[f"{what}_offsets"]:
            low = -most - 1
            scales = ((runs.max(axis) - runs.min(axis)) / (most - low)).astype(np.float16)
            offsets = (runs.min(axis) - low * scales.astype(np.float32)).astype(np.float16)
            places[..., 1, :] = offsets
            offsets = np.expand_dims(offsets.astype(np.float64), axis)
        else:
            scales = (np.abs(runs).max(axis) / most).astype(np.float16)
        (places[..., 0, :] if group else places)[:] = scales
        scales = np.expand_dims(scales.astype(np.float64), axis)
        quotients = (runs - offsets) / scales
        if element != "fp8_e4m3":
            quotients = np.clip(np.rint(quotients), low, most)
        self.codes(what, memory)[:] = pack(element, quotients.reshape(shape))
        codes = unpack(element, self.codes(what, memory)).reshape(runs.shape)
        if group and what == "value":
            kind = self.activation
            return rounded(kind, codes * rounded(kind, scales) + rounded(kind, offsets)).reshape(shape)
        return (codes * scales + offsets).reshape(shape)
