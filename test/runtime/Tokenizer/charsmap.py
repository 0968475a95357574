"""Compiles normalization rules to SentencePiece's binary form: a double-array trie and its replacements."""

import struct

RULES = {
    "\n": " ", "\r": " ", "\t": " ", "\u00a0": " ", "\u2003": " ", "\u3000": " ", "\u0001": "", "\u200b": " ",
    "\ufeff": "", "Ａ": "A", "Ｂ": "B", "ﬁ": "fi", "½": "1⁄2", "²": "2", "³": "3", "™": "TM", "ﷺ": "صلى الله عليه وسلم",
    "Å": "Å", "e\u0301": "é", "a\u0308": "ä", "é\u0301": "é", "ｱ": "ア", "㍿": "株式会社", "İ": "i̇", "…": "...",
    "\u0085": "",
}  # fmt: skip


def tree_of(rules, blob):
    """Nested dicts by byte; the key None holds where the replacement begins in `blob`."""
    root = {}
    for source, replacement in rules.items():
        node = root
        for byte in source.encode():
            node = node.setdefault(byte, {})
        node[None] = len(blob)
        blob += replacement.encode() + b"\0"
    return root


class DoubleArray:
    """A child of the node at i for a byte c lies at i ^ offset ^ c; the value of a node at i ^ offset."""

    def __init__(self):
        self.units, self.used = [0] * 256, {0}

    def place(self, node, at):
        keys = [key or 0 for key in node]
        offset = next(o for o in range(1, 1 << 21) if all(at ^ o ^ key not in self.used for key in keys))
        self.grow(max(at ^ offset ^ key for key in keys) | 0xFF)
        self.units[at] |= offset << 10 | (1 << 8 if None in node else 0)
        self.used |= {at ^ offset ^ key for key in keys}
        for key, child in node.items():
            slot = at ^ offset ^ (key or 0)
            if key is None:
                self.units[slot] = child | 1 << 31
            else:
                self.units[slot] = key
                self.place(child, slot)

    def grow(self, last):
        self.units += [0] * (last + 1 - len(self.units))


def build(rules):
    blob, array = bytearray(), DoubleArray()
    array.place(tree_of(rules, blob), 0)
    trie = struct.pack(f"<{len(array.units)}I", *array.units)
    return struct.pack("<I", len(trie)) + trie + bytes(blob)
