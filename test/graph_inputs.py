"""Inputs of the zoo's encoders and vision models (conftest.py: `graphs`, `classifier`), and how far outputs are from
those of the model in f32: by numpy alone."""

import numpy as np
import qopt

SAMPLES = 40


def inputs_of(family, seed, samples=SAMPLES):
    """Random inputs with an axis of samples in front of the model's own batch."""
    random = np.random.default_rng(seed)
    if family == "vit":
        return {"pixel_values": random.standard_normal((samples, 3, 32, 32), np.float32)}
    ids = random.integers(0, 90, (samples, 14))
    arrays = {"input_ids": ids, "attention_mask": np.ones_like(ids)}
    if family == "bert":
        arrays["token_type_ids"] = np.zeros_like(ids)
    return arrays


def outputs_of(artifact, arrays):
    """Of all samples as one batch."""
    return qopt.load(artifact).run(arrays)


def distance(found, expected):
    """The mean square of the error beside that of the output, over all outputs."""
    return np.mean([np.mean((found[name] - y) ** 2) / np.mean(y**2) for name, y in expected.items()])


def divergence(found, expected, name="logits"):
    """The mean of KL(expected || found) over rows, in nats."""

    def log_softmax(x):
        x = x - x.max(-1, keepdims=True)
        return x - np.log(np.exp(x).sum(-1, keepdims=True))

    p, q = log_softmax(expected[name]), log_softmax(found[name])
    return float(np.mean((np.exp(p) * (p - q)).sum(-1)))
