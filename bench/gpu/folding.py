"""Files in which the same blocks come again and again, made small: each different block once, and where it goes.

A model whose rows repeat (bench/synthetic.py) has gigabytes of weights and megabytes of blocks. A folded file is a .npz
of `size` (bytes of the file), `blocks` [count, BLOCK] and `order`, the block of each place.
"""

import hashlib

import numpy as np

BLOCK = 4096
PLACES = 1 << 14  #: that are read or written at once


def fold(path, folded):
    """Writes `folded`; the result is its part of the original's size."""
    size, seen, blocks, order = path.stat().st_size, {}, [], []
    with path.open("rb") as file:
        while data := file.read(PLACES * BLOCK):
            data += bytes(-len(data) % BLOCK)
            for at in range(0, len(data), BLOCK):
                block = data[at : at + BLOCK]
                key = hashlib.blake2b(block, digest_size=16).digest()
                if key not in seen:
                    seen[key] = len(blocks)
                    blocks.append(np.frombuffer(block, np.uint8))
                order.append(seen[key])
    with folded.open("wb") as file:
        np.savez(file, size=np.int64(size), blocks=np.stack(blocks), order=np.array(order, np.uint32))
    return folded.stat().st_size / max(size, 1)


def unfold(folded, path):
    """Writes the file that was folded."""
    with np.load(folded) as arrays:
        size, blocks, order = int(arrays["size"]), arrays["blocks"], arrays["order"]
    with path.open("wb") as file:
        for at in range(0, len(order), PLACES):
            file.write(blocks[order[at : at + PLACES]].tobytes())
        file.truncate(size)
