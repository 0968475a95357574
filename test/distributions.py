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


def choice_gaps(logits, chosen):
    """By how much the best choice is better than each token that was chosen, in parts of the logits' spread."""
    logits = logits.astype(np.float64)
    best = logits.max(-1)
    return (best - logits[np.arange(len(logits)), chosen]) / (best - logits.min(-1))


def surprises(logits, tokens):
    """-log p of each token after the first of a window."""
    return -np.take_along_axis(log_softmax(logits)[:, :-1], tokens[:, 1:, None].astype(int), -1)[..., 0]


def calibration_bins(logits, tokens, count=15):
    """How many, mean confidence and accuracy of the first choices of each bin of confidence; zeros of none."""
    chances = np.exp(log_softmax(logits)[:, :-1])
    confidence, right = chances.max(-1).ravel(), (chances.argmax(-1) == tokens[:, 1:]).ravel()
    bins = np.minimum((confidence * count).astype(int), count - 1)
    sizes = np.bincount(bins, minlength=count)
    means = [np.bincount(bins, values, count) / np.maximum(sizes, 1) for values in (confidence, right)]
    return sizes, *means


def calibration_error(logits, tokens):
    sizes, confidence, accuracy = calibration_bins(logits, tokens)
    return (sizes * np.abs(accuracy - confidence)).sum() / sizes.sum()
