"""attention_decode and attention_prefill: a random paged cache, and the softmax that a launch must give.

Pages repeat after 64 of them and lie in a random order; 16 rows (a token and a head) are compared.
"""

import numpy as np

from .halves import HALF_UNIT, compare, decode, divisor, encode
from .record import Part

SLAB_PAGES = 64
COMPARED_ROWS = 16
CODES = {"int8": (8, 127), "int4": (4, 7)}


class Attention:
    def __init__(self, record, seed=0):
        self.record, self.random = record, np.random.default_rng(seed)
        self.problem, self.layout = record.problem, record.layout
        for key in ("heads", "key_heads", "head_size", "sequences", "tokens", "context", "page", "activation"):
            setattr(self, key, self.problem[key])
        self.pages = record.argument("pages")["shape"][0]
        self.slab = divisor(self.pages, SLAB_PAGES)
        shape = record.argument("page_table")["shape"]
        self.table = self.random.permutation(self.pages).astype(np.int32).reshape(shape)
        self.query = np.full((self.sequences * self.tokens, self.layout["query_stride"]), 0xFFFF, np.uint16)
        used = self.heads * self.head_size
        queries = 1.5 * self.random.standard_normal((len(self.query), used))
        self.query[:, :used] = encode(self.activation, queries)
        self.bytes = np.zeros((self.slab, self.layout["page_bytes"]), np.uint8)
        self.keys = self._make_cache("key", 0)
        self.values = self._make_cache("value", self.layout["value_at"])

    def _make_cache(self, what, begin):
        """Fills the pages with keys or values; the result is what they stand for, [page, head, position, channel]."""
        kind = self.problem[what]
        shape = self.slab, self.key_heads, self.page, self.head_size
        numbers = self.random.standard_normal(shape, np.float32)
        if kind in CODES:
            bits, most = CODES[kind]
            scales = (np.abs(numbers).max(-1, keepdims=True) / most).astype(np.float16)
            codes = np.clip(np.rint(numbers / scales.astype(np.float32)), -most, most).astype(np.int8)
            numbers = codes * scales.astype(np.float64)
            stored = codes.view(np.uint8)
            if bits == 4:
                stored = stored[..., 0::2] & 15 | stored[..., 1::2] << 4
        elif kind == "fp8_e4m3":
            scales = (np.abs(numbers).max(-1, keepdims=True) / 448).astype(np.float16)
            stored = encode(kind, numbers / scales.astype(np.float32))
            numbers = decode(kind, stored) * scales.astype(np.float64)
        else:
            halves = encode(kind, numbers)
            numbers, stored, scales = decode(kind, halves), halves.view(np.uint8), None
        size = self.layout[f"{what}_code_bytes"]
        for head in range(self.key_heads):
            at = head * self.layout["head_bytes"] + begin
            self.bytes[:, at : at + size] = stored[:, head].reshape(self.slab, -1)
            if scales is not None:
                lies = scales[:, head].reshape(self.slab, -1).view(np.uint8)
                self.bytes[:, at + size : at + size + self.layout[f"{what}_scale_bytes"]] = lies
        return numbers

    def inputs(self):
        starts = np.arange(self.sequences + 1, dtype=np.int32) * self.tokens
        return {
            "query": [Part(self.query)],
            "pages": [Part(self.bytes, self.pages // self.slab)],
            "page_table": [Part(self.table)],
            "token_starts": [Part(starts)],
            "context_starts": [Part(np.full(self.sequences, self.context - self.tokens, np.int32))],
        }

    def _seen(self, sequence, token):
        """The positions that a token sees."""
        position = self.context - self.tokens + token
        end = position + 1 if self.problem["causal"] else self.context
        window = self.problem["window"]
        return np.arange(max(position + 1 - window, 0) if window else 0, end)

    def _row(self, sequence, token, head):
        """Expected values of one row and their bounds: probabilities and results are rounded to 16 bits."""
        seen = self._seen(sequence, token)
        page, at = self.table[sequence, seen // self.page] % self.slab, seen % self.page
        key_head = head // (self.heads // self.key_heads)
        columns = slice(head * self.head_size, (head + 1) * self.head_size)
        query = decode(self.activation, self.query[sequence * self.tokens + token, columns])
        scores = self.keys[page, key_head, at] @ query * self.layout["scale"]
        if self.problem["softcap"]:
            scores = self.problem["softcap"] * np.tanh(scores / self.problem["softcap"])
        weights = np.exp(scores - scores.max())
        weights /= weights.sum()
        values = self.values[page, key_head, at]
        expected, unit = weights @ values, HALF_UNIT[self.activation]
        bound = weights @ np.abs(values) * (unit + 2.0**-14) + unit * np.abs(expected) + 2.0**-24
        return expected, bound

    def check(self, outputs):
        output = outputs["output"].reshape(self.sequences * self.tokens, self.heads, self.head_size)
        count = self.sequences * self.tokens * self.heads
        rows = self.random.choice(count, min(count, COMPARED_ROWS), replace=False)
        rows[-1] = count - 1
        worst = 0.0
        for row in rows:
            token, head = divmod(int(row), self.heads)
            expected, bound = self._row(*divmod(token, self.tokens), head)
            got = decode(self.activation, output[token, head])
            worst = max(worst, compare(f"output [{token}, {head}]", got, expected, bound))
        return worst
