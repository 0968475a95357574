"""attention_decode and attention_prefill: a random paged cache, and the softmax that a launch must give.

Pages repeat after 64 of them and lie in a random order; all rows (a token and a head) of a small launch are compared,
and some of a large one.
"""

import numpy as np

from .cache import PagedCache, unpack
from .halves import HALF_UNIT, compare, decode, divisor, encode, rounded
from .record import Part

SLAB_PAGES = 64
#: As many rows are compared as have so many positions, but no less than the second number.
COMPARED_POSITIONS, COMPARED_ROWS = 1 << 18, 16


class Attention:
    streamed = "pages"

    def __init__(self, record, seed=0):
        self.record, self.random = record, np.random.default_rng(seed)
        self.problem, self.layout = record.problem, record.layout
        self.cache = cache = PagedCache(record, self.random)
        self.activation, self.heads, self.size = cache.activation, cache.heads, cache.head_size
        self.count = cache.sequences * cache.tokens
        self.query = np.full((self.count, self.layout["merged_columns"]), 0xFFFF, np.uint16)
        used = self.heads * self.size
        self.query[:, :used] = encode(self.activation, 1.5 * self.random.standard_normal((self.count, used)))
        self.slab = divisor(cache.pages, SLAB_PAGES)
        self.bytes = np.zeros((self.slab, self.layout["page_bytes"]), np.uint8)
        shape = self.slab, cache.key_heads, cache.page, self.size
        self.keys = cache.fill("key", self.bytes, self.random.standard_normal(shape, np.float32))
        self.values = cache.fill("value", self.bytes, self.random.standard_normal(shape, np.float32))
        self.slots = np.zeros((cache.slot_pages, self.layout["page_bytes"]), np.uint8)
        if cache.group:
            waiting = cache.waiting(self.slots)
            waiting[:] = encode(self.activation, self.random.standard_normal(waiting.shape))
        self.rows = {name: self.random.uniform(-0.1, 1, self.heads).astype(np.float32) for name in ("slopes", "sinks")}

    def inputs(self):
        given = {name: [Part(array)] for name, array in self.rows.items() if self.problem[name]}
        pages = [Part(self.slots)] if self.cache.group else []
        pages.append(Part(self.bytes, self.cache.pages // self.slab))
        return {"query": [Part(self.query)], "pages": pages} | self.cache.inputs() | given

    def _seen(self, token):
        """The positions that a token sees, and its own."""
        position = self.cache.start + token
        end = position + 1 if self.problem["causal"] else self.cache.context
        window = self.problem["window"]
        return np.arange(max(position + 1 - window, 0) if window else 0, end), position

    def _scores(self, sequence, head, seen, query):
        """Products with keys as they are read: of the group that is not full, with those that wait; of a full one, as
        queries that its scales are in, rounded, with its codes.
        """
        cache, kind = self.cache, self.activation
        page, at = cache.table[sequence, seen // cache.page] % self.slab, seen % cache.page
        if not cache.group:
            return self.keys[page, head, at] @ query
        scales = cache.scales("key", self.bytes)[page, head, at // cache.group].astype(np.float64)
        codes = unpack(cache.element("key"), cache.codes("key", self.bytes)[page, head, at])
        scores = (codes * rounded(kind, query * scales[:, 0])).sum(-1)
        if self.layout["key_offsets"]:
            scores += rounded(kind, scales[:, 1]) @ query
        waiting = decode(kind, cache.waiting(self.slots)[cache.slots[sequence], head])
        return np.where(seen >= cache.open, waiting[seen % cache.group] @ query, scores)

    def _row(self, sequence, token, head):
        """Expected values of one row and their bounds: probabilities and results are rounded to 16 bits."""
        cache, (seen, position) = self.cache, self._seen(token)
        key_head = head // (self.heads // cache.key_heads)
        columns = slice(head * self.size, (head + 1) * self.size)
        query = decode(self.activation, self.query[sequence * cache.tokens + token, columns])
        scores = self._scores(sequence, key_head, seen, query) * self.layout["scale"]
        if self.problem["softcap"]:
            scores = self.problem["softcap"] * np.tanh(scores / self.problem["softcap"])
        if self.problem["slopes"]:
            scores = scores + np.float64(self.rows["slopes"][head]) * (seen - position)
        sink = np.float64(self.rows["sinks"][head]) if self.problem["sinks"] else -np.inf
        most = max(scores.max(), sink)
        weights = np.exp(scores - most)
        weights /= weights.sum() + np.exp(sink - most)
        values = self.values[cache.table[sequence, seen // cache.page] % self.slab, key_head, seen % cache.page]
        expected, unit = weights @ values, HALF_UNIT[self.activation]
        bound = weights @ np.abs(values) * (unit + 2.0**-14) + unit * np.abs(expected) + 2.0**-24
        return expected, bound

    def check(self, outputs):
        output = outputs["output"].reshape(self.count, self.heads, self.size)
        count = self.count * self.heads
        compared = max(COMPARED_POSITIONS // self.cache.context, COMPARED_ROWS)
        rows = self.random.choice(count, min(count, compared), replace=False)
        rows[-1] = count - 1
        worst = 0.0
        for row in rows:
            token, head = divmod(int(row), self.heads)
            expected, bound = self._row(*divmod(token, self.cache.tokens), head)
            got = decode(self.activation, output[token, head])
            worst = max(worst, compare(f"output [{token}, {head}]", got, expected, bound))
        return worst
