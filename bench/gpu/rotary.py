"""rotary_table and rotary_append: angles, rotated queries, and what a step leaves in the pages of a cache."""

import numpy as np

from .cache import MOST, PagedCache, unpack
from .halves import EPSILON, HALF_UNIT, compare, decode, encode, equal, rounded
from .record import Part

#: What computed cosines and sines may be off by.
ANGLE_ERROR = 1e-6


def frequencies(count):
    return (10000.0 ** (-np.arange(count) / count)).astype(np.float32)


class RotaryTable:
    streamed = "cos"

    def __init__(self, record, seed=0):
        self.record, self.problem = record, record.problem
        self.positions = np.random.default_rng(seed).integers(0, 1 << 17, self.problem["tokens"], np.int32)
        self.frequencies = frequencies(self.problem["count"])

    def inputs(self):
        return {"positions": [Part(self.positions)], "inverse_frequencies": [Part(self.frequencies)]}

    def check(self, outputs):
        angles = self.positions[:, None] * self.frequencies.astype(np.float64)
        scale = self.problem["angle_scale"]
        bound = np.full(angles.shape, ANGLE_ERROR * max(scale, 1))
        worst = compare("cos", outputs["cos"], np.cos(angles) * scale, bound)
        return max(worst, compare("sin", outputs["sin"], np.sin(angles) * scale, bound))


class Append:
    """The work of an append on heads side by side in rows [tokens, columns]; every byte of the pages has a content."""

    def __init__(self, record, random):
        self.record, self.problem, self.layout = record, record.problem, record.layout
        self.cache = cache = PagedCache(record, random)
        self.tokens = cache.sequences * cache.tokens
        self.positions = np.tile(np.arange(cache.start, cache.context), cache.sequences)
        self.pairs, self.computed = self.problem["rotated"] // 2, self.problem["angles"] == "computed"
        self.frequencies = frequencies(max(self.pairs, 1))[: self.pairs]
        angles = self.positions[:, None] * self.frequencies.astype(np.float64)
        scale = self.problem["angle_scale"]
        self.cos, self.sin = np.cos(angles) * scale, np.sin(angles) * scale
        if not self.computed:
            self.cos, self.sin = self.cos.astype(np.float32), self.sin.astype(np.float32)
        self.scales = {}
        if self.problem["head_norm"] != "none":
            self.scale_kind = self.problem["head_norm_scale"]
            for name in ("query_scale", "key_scale"):
                shape = record.argument(name)["shape"]
                self.scales[name] = encode(self.scale_kind, random.uniform(0.5, 1.5, shape))
        self.pages = random.integers(0, 256, record.argument("pages")["shape"], np.uint8)
        cache.clear_padding(self.pages[cache.slot_pages :])
        if cache.group:
            waiting = cache.waiting(self.pages[: cache.slot_pages])
            waiting[:] = encode(cache.activation, random.standard_normal(waiting.shape))

    def inputs(self):
        given = {"pages": [Part(self.pages)]} | self.cache.inputs()
        given |= {name: [Part(scales)] for name, scales in self.scales.items()}
        if self.pairs and self.computed:
            given["inverse_frequencies"] = [Part(self.frequencies)]
        if self.pairs and not self.computed:
            given |= {"cos": [Part(self.cos)], "sin": [Part(self.sin)]}
        return given

    def _split(self, rows):
        """Queries, keys and values of rows, as [token, head, channel]."""
        cache = self.cache
        heads = rows.reshape(self.tokens, -1, cache.head_size)
        return np.split(heads, [cache.heads, cache.heads + cache.key_heads], 1)

    def _norm(self, heads, moved, name):
        """Heads that may be off by `moved` behind their norm, rounded, and what these may be off by."""
        if not self.scales:
            return heads, moved
        if self.problem["head_norm"] == "layer":
            heads, moved = heads - heads.mean(-1, keepdims=True), moved + moved.mean(-1, keepdims=True)
        square = (heads**2).mean(-1, keepdims=True) + EPSILON
        factor = decode(self.scale_kind, self.scales[name]) / np.sqrt(square)
        normed, kind = heads * factor, self.cache.activation
        of_factor = (np.abs(heads) * moved).mean(-1, keepdims=True) / square
        error = np.abs(factor) * (moved + of_factor * np.abs(heads))
        error += 2.0**-20 * np.abs(factor) * np.abs(heads).max(-1, keepdims=True)
        return rounded(kind, normed), rounded(kind, normed + error) - rounded(kind, normed - error)

    def _rotate(self, heads, moved, name):
        """Heads behind their norm, rotated, and what these may be off by."""
        heads, moved = self._norm(heads, moved, name)
        rotated, error = heads.copy(), moved.copy()
        halves = self.problem["pairs"] == "halves"
        first = slice(0, self.pairs) if halves else slice(0, 2 * self.pairs, 2)
        second = slice(self.pairs, 2 * self.pairs) if halves else slice(1, 2 * self.pairs, 2)
        a, b = heads[..., first], heads[..., second]
        cos, sin = self.cos.astype(np.float64)[:, None], self.sin.astype(np.float64)[:, None]
        rotated[..., first], rotated[..., second] = a * cos - b * sin, a * sin + b * cos
        unit = 2.0**-22 + self.computed * ANGLE_ERROR
        scale = max(self.problem["angle_scale"], 1)
        error[..., first] = error[..., second] = scale * (
            unit * (np.abs(a) + np.abs(b)) + moved[..., first] + moved[..., second]
        )
        return rotated, error

    def check(self, rows, moved, queries, pages):
        """`rows`: the heads before the step, which may be off by `moved`."""
        (query, key, value), (query_moved, key_moved, value_moved) = self._split(rows), self._split(moved)
        expected, error = self._rotate(query, query_moved, "query_scale")
        kind = self.cache.activation
        got = decode(kind, queries).reshape(expected.shape)
        worst = compare("queries", got, expected, error + HALF_UNIT[kind] * np.abs(expected) + 2.0**-24)
        before, after = (array[self.cache.slot_pages :].copy() for array in (self.pages, pages))
        worst = max(worst, self._check_places("value", before, after, value, value_moved))
        key, key_moved = self._rotate(key, key_moved, "key_scale")
        if self.cache.group:
            worst = max(worst, self._check_groups(pages, before, after, key, key_moved))
        else:
            worst = max(worst, self._check_places("key", before, after, key, key_moved))
        equal("bytes that nobody writes", after, before)
        return worst

    def _places(self):
        """Page and position in it of each token."""
        cache = self.cache
        sequences = np.repeat(np.arange(cache.sequences), cache.tokens)
        return cache.table[sequences, self.positions // cache.page], self.positions % cache.page

    def _check_places(self, what, before, after, expected, error):
        """Runs of positions; what was looked at is forgotten in both arrays."""
        element, places = self.cache.element(what), self._places()
        views = [self.cache.codes(what, memory) for memory in (before, after)]
        got, scales = unpack(element, views[1][places[0], :, places[1]]), None
        if what == "value" and self.cache.value_group:
            scales = [self.cache.scales(what, memory) for memory in (before, after)]
            found = np.moveaxis(scales[1][places[0], :, places[1]].astype(np.float64), -2, 0)
            runs = (array.reshape(*array.shape[:2], -1, self.cache.value_group) for array in (got, expected, error))
            worst = self._check_group_codes(what, *runs, found)
            views += scales
        elif element in MOST:
            scales = [self.cache.scales(what, memory) for memory in (before, after)]
            found = scales[1][places[0], :, places[1]].astype(np.float64)[..., None]
            worst = self._check_codes(what, element, got, found, expected, error)
            views += scales
        else:
            worst = compare(what, got, expected, error + HALF_UNIT[element] * np.abs(expected) + 2.0**-24)
        for view in views:
            view[places[0], :, places[1]] = 0
        return worst

    def _check_codes(self, what, element, codes, scales, expected, error):
        """Scales are f16, the nearest to max|x| / most; codes are those of that very scale."""
        most = MOST[element]
        largest = np.abs(expected).max(-1, keepdims=True) / most
        margin = error.max(-1, keepdims=True) / most + largest * (2.0**-11 + 2.0**-20) + 2.0**-25
        worst = compare(f"scales of {what}", scales, largest, margin)
        quotients = np.clip(expected / scales, -most, most)
        unit = 0.5 if element != "fp8_e4m3" else np.maximum(np.abs(quotients) * 2.0**-4, 2.0**-10)
        return max(worst, compare(what, codes, quotients, unit * (1 + 2.0**-12) + error / scales + 2.0**-12))

    def _check_groups(self, pages, before, after, expected, error):
        """Groups that are full after the step have codes; keys of the one that is not wait, rounded."""
        cache, worst = self.cache, 0.0
        kind, shape = cache.activation, (cache.sequences, cache.tokens, *expected.shape[1:])
        new = rounded(kind, expected).reshape(shape)
        # f32 and f64 round some numbers apart.
        moved = (rounded(kind, expected + error) - rounded(kind, expected - error)).reshape(shape)
        waited, waits = (decode(kind, cache.waiting(array[: cache.slot_pages])) for array in (self.pages, pages))
        for sequence, slot in enumerate(cache.slots):
            first = cache.start - cache.start % cache.group
            keys = np.concatenate([waited[slot].swapaxes(0, 1)[: cache.start - first], new[sequence]])
            errors = np.concatenate([np.zeros((cache.start - first, *shape[2:])), moved[sequence]])
            for begin in range(first, cache.context, cache.group):
                rows = slice(begin - first, begin - first + cache.group)
                if begin < cache.open:
                    part = self._check_group(sequence, begin, before, after, keys[rows], errors[rows])
                else:
                    got = waits[slot].swapaxes(0, 1)[: len(keys[rows])]
                    part = compare("waiting keys", got, keys[rows], errors[rows] + 2.0**-24)
                worst = max(worst, part)
        return worst

    def _check_group(self, sequence, begin, before, after, keys, moved):
        """Of one full group, [position, head, channel]."""
        cache, element = self.cache, self.cache.element("key")
        page, at = cache.table[sequence, begin // cache.page], begin % cache.page
        rows = slice(at, at + cache.group)
        codes = unpack(element, cache.codes("key", after)[page, :, rows]).swapaxes(0, 1)
        scales = cache.scales("key", after)[page, :, at // cache.group].astype(np.float64)
        runs = (np.moveaxis(array, 0, -1) for array in (codes, keys, moved))
        worst = self._check_group_codes("key", *runs, np.moveaxis(scales, 1, 0))
        for memory in (before, after):
            cache.codes("key", memory)[page, :, rows] = 0
            cache.scales("key", memory)[page, :, at // cache.group] = 0
        return worst

    def _check_group_codes(self, what, codes, numbers, moved, found):
        """Of groups along the last axis; `found`: their scales, and their offsets, where there are any:
        scale = (max − min) / levels and offset = min + levels / 2 · scale, both f16.
        """
        element, step = self.cache.element(what), found[0][..., None]
        if not self.layout[f"{what}_offsets"]:
            return self._check_codes(what, element, codes, step, numbers, moved)
        half, offset = MOST[element] + 1, found[1][..., None]
        low, most = numbers.min(-1, keepdims=True), numbers.max(-1, keepdims=True)
        margin, unit = moved.max(-1, keepdims=True), 2.0**-11 + 2.0**-20
        range_ = (most - low) / (2 * half - 1)
        worst = compare(f"scales of {what}", step, range_, 2 * margin / (2 * half - 1) + unit * range_ + 2.0**-25)
        middle = low + half * step
        worst = max(worst, compare(f"offsets of {what}", offset, middle, margin + unit * np.abs(middle) + 2.0**-20))
        quotients = np.clip((numbers - offset) / step, -half, half - 1)
        return max(worst, compare(what, codes, quotients, 0.5 + 2.0**-10 + moved / step))


class RotaryAppend:
    streamed = "pages"

    def __init__(self, record, seed=0):
        self.record, random = record, np.random.default_rng(seed)
        self.append = append = Append(record, random)
        shape = append.tokens, record.layout["merged_columns"]
        self.rows = encode(append.cache.activation, random.standard_normal(shape))

    def inputs(self):
        return dict.fromkeys(("query", "key", "value"), [Part(self.rows)]) | self.append.inputs()

    def check(self, outputs):
        queries = outputs.get("queries")
        if queries is None:
            columns = self.append.cache.heads * self.append.cache.head_size
            equal("columns of keys and values", outputs["query"][:, columns:], self.rows[:, columns:])
            queries = outputs["query"][:, :columns]
        heads = decode(self.append.cache.activation, self.rows)
        return self.append.check(heads, np.zeros_like(heads), queries, outputs["pages"])
