"""Figures of next-token distributions in NumPy, f64, from logits [..., vocabulary]."""

import numpy as np


def log_softmax(logits):
    logits = logits.astype(np.float64)
    logits -= logits.max(-1, keepdims=True)
    return logits - np.log(np.exp(logits).sum(-1, keepdims=True))


def divergences(expected, found):
    """KL in nats from the expected to the found distribution, at each place."""
    p, q = log_softmax(expected), log_softmax(found)
    return (np.exp(p) * (p - q)).sum(-1)
