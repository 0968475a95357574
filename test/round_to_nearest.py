"""Round to nearest in NumPy: the formulas of lib/Quant/Algorithm.h, written a second time for comparison."""

import numpy as np


def round_to_nearest(w, element, group, zero, scale_type):
    """The formulas of lib/Quant/Algorithm.h in float32: codes, scales, zeros and the values they stand for."""
    rows, columns = w.shape
    f = np.float32
    g = w.reshape(rows, columns // group, group)
    if zero is None:
        if element == "int4":
            first = np.abs(g).argmax(axis=2)[..., None]
            scale, low, high = np.take_along_axis(g, first, 2) / f(-8), -8, 7
        else:
            scale, low, high = np.abs(g).max(axis=2, keepdims=True) / f(127), -127, 127
    else:
        low, high = 0, 15 if element == "int4" else 255
        least, most = np.minimum(g.min(axis=2, keepdims=True), 0), np.maximum(g.max(axis=2, keepdims=True), 0)
        scale = (most - least) / f(high)
    scale = scale.astype(scale_type)
    s = scale.astype(f)
    divisor = np.where(s == 0, f(1), s)
    z = np.zeros_like(s)
    if zero == "integer":
        z = np.where(s == 0, 0, np.clip(np.rint(-least / divisor), 0, high)).astype(f)
        q = np.clip(np.rint(g / divisor) + z, low, high)
    elif zero == "float":
        z = np.where(s == 0, 0, -least / divisor).astype(scale_type).astype(f)
        q = np.clip(np.rint(g / divisor + z), low, high)
    else:
        q = np.clip(np.rint(g / divisor), low, high)
    q = np.where(s == 0, 0, q).astype(f)
    return (
        q.reshape(w.shape).astype(np.int16),
        scale.reshape(rows, -1),
        z.reshape(rows, -1),
        (s * (q - z)).reshape(w.shape),
    )
