"""argmax and sampling: logits, and the token that each row must give, as include/qopt/Sampling.h chooses it."""

import numpy as np

from .halves import equal
from .record import Part


def first_largest(logits):
    """The first of the largest logits; -1 where no largest one is finite."""
    most = np.fmax.reduce(logits)
    return int(np.argmax(logits == most)) if np.isfinite(most) else -1


class Argmax:
    """Of each row two logits are the largest; of several, the first row has no number."""

    streamed = "logits"

    def __init__(self, record, seed=0):
        self.record, random = record, np.random.default_rng(seed)
        rows, columns = record.problem["rows"], record.problem["columns"]
        self.logits = random.standard_normal((rows, columns), np.float32)
        for row in self.logits:
            row[random.integers(0, columns, 2)] = row.max() + 1
        if rows > 1:
            self.logits[0] = np.nan

    def inputs(self):
        return {"logits": [Part(self.logits)]}

    def check(self, outputs):
        equal("tokens", outputs["tokens"], [first_largest(row) for row in self.logits])
        return 0.0


def uniform(seed, index):
    """Philox4x32-10: a multiple of 2^-53 in [0, 1)."""
    word = (1 << 32) - 1
    counter, keys = [index & word, index >> 32, 0, 0], [seed & word, seed >> 32]
    for _ in range(10):
        left, right = 0xD2511F53 * counter[0], 0xCD9E8D57 * counter[2]
        counter = [right >> 32 ^ counter[1] ^ keys[0], right & word, left >> 32 ^ counter[3] ^ keys[1], left & word]
        keys = [keys[0] + 0x9E3779B9 & word, keys[1] + 0xBB67AE85 & word]
    return ((counter[1] << 32 | counter[0]) >> 11) * 2.0**-53


def sample(logits, options, seen):
    """The token of a row: penalty, temperature, top-k, top-p, min-p, draw."""
    penalty = np.float32(options["repetition_penalty"])
    changed = np.where(logits > 0, logits / penalty, logits * penalty)
    logits = np.where(seen, changed, logits)
    best, temperature = first_largest(logits), np.float64(np.float32(options["temperature"]))
    if best < 0 or temperature == 0 or options["top_k"] == 1:
        return best
    most = np.float64(logits[best])
    tokens = np.flatnonzero(logits >= np.float32(most - 30 * temperature))
    tokens = tokens[np.lexsort((tokens, -logits[tokens].astype(np.float64)))]
    weights = np.exp((logits[tokens] - most) / temperature)
    kept = min(options["top_k"] or len(weights), len(weights))
    if options["top_p"] < 1:
        goal = np.float64(np.float32(options["top_p"])) * weights[:kept].sum()
        kept = min(int(np.searchsorted(np.cumsum(weights[:kept]), goal)) + 1, kept)
    likely = np.sum(weights >= np.float64(np.float32(options["min_p"])))
    sums = np.cumsum(weights[: min(kept, likely)])
    draw = uniform(options["seed"], options["index"]) * sums[-1]
    return int(tokens[min(np.searchsorted(sums, draw, "right"), len(sums) - 1)])


#: What rows ask for in turn, with what they do not name at its default.
DEFAULTS = {"temperature": 0.0, "top_p": 1.0, "min_p": 0.0, "repetition_penalty": 1.0, "top_k": 0}
REQUESTS = [
    {"temperature": 0.8},
    {"temperature": 1.2, "top_k": 40, "top_p": 0.9},
    {},
    {"temperature": 0.7, "min_p": 0.05, "repetition_penalty": 1.3},
    {"temperature": 2.0, "top_p": 0.6, "min_p": 0.01, "repetition_penalty": 1.1},
    {"repetition_penalty": 1.5},
]
KINDS = {"top_k": np.int32, "seen_row": np.int32, "seed": np.uint64, "index": np.uint64}


class Sampling:
    """Rows ask for different things; every fifth keeps no seen tokens."""

    streamed = "logits"

    def __init__(self, record, seed=0):
        self.record, self.layout = record, record.layout
        self.random = random = np.random.default_rng(seed)
        self.rows, self.columns = record.problem["rows"], record.problem["columns"]
        self.logits = 3 * random.standard_normal((self.rows, self.columns), np.float32)
        self.seen = random.integers(0, 2**32, record.argument("seen")["shape"], np.uint32)
        places = random.permutation(self.rows)
        places[4::5] = -1
        self.options = [
            DEFAULTS
            | REQUESTS[row % len(REQUESTS)]
            | {"seen_row": int(places[row]), "seed": int(random.integers(1 << 63)), "index": row}
            for row in range(self.rows)
        ]

    def _records(self):
        records = np.zeros((self.rows, self.layout["record_bytes"]), np.uint8)
        for record, options in zip(records, self.options, strict=True):
            for name, value in options.items():
                bits = np.array([value], KINDS.get(name, np.float32)).view(np.uint8)
                record[self.layout[name] : self.layout[name] + len(bits)] = bits
        return records

    def inputs(self):
        return {"logits": [Part(self.logits)], "records": [Part(self._records())], "seen": [Part(self.seen)]}

    def check(self, outputs):
        """Tokens, and the bits of those that were seen, to which each row adds its own."""
        tokens, after = [], self.seen.copy()
        for logits, options in zip(self.logits, self.options, strict=True):
            place, seen = options["seen_row"], np.zeros(self.columns, bool)
            if place >= 0:
                seen = np.unpackbits(self.seen[place].view(np.uint8), bitorder="little")[: self.columns] == 1
            token = sample(logits, options, seen)
            tokens.append(token)
            if place >= 0:
                after[place, token // 32] |= np.uint32(1 << token % 32)
        equal("tokens", outputs["tokens"], tokens)
        equal("seen", outputs["seen"], after)
        return 0.0
