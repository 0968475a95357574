"""What a differentiated layer computes on the host is what PyTorch's autograd does in f64; skipped where torch is
absent."""

import numpy as np
import pytest
from test_layer_gradients import LAYERS, check, gradients_of, layer_inputs

torch = pytest.importorskip(
    "torch", reason="PyTorch is not installed; gradients are compared with the NumPy tape alone"
)
functional = torch.nn.functional
GATES = {"silu": functional.silu, "gelu_tanh": lambda x: functional.gelu(x, approximate="tanh")}


def real(array):
    return torch.from_numpy(np.asarray(array, np.float64))


def turned(x, angles):
    """x [T, heads, D], halves of a head turned against each other."""
    a, b = x.chunk(2, -1)
    cos, sin = angles.cos()[:, None], angles.sin()[:, None]
    return torch.cat([a * cos - b * sin, b * cos + a * sin], -1)


def attend(layer, q, k, v, note, window=None, softcap=None):
    """Rows [T, heads · size] of q [T, heads, size], k and v [T, key heads, size]."""
    keys = note("attention0.key", note("attention0.key_gradient", k.transpose(0, 1)))
    values = note("attention0.value", note("attention0.value_gradient", v.transpose(0, 1)))
    share = layer.heads // layer.key_heads
    scores = q.transpose(0, 1) @ keys.repeat_interleave(share, 0).transpose(1, 2) * float(np.float32(0.35))
    if softcap:
        scores = torch.tanh(scores / softcap) * softcap
    seen = torch.ones(len(q), len(q), dtype=torch.bool).tril()
    if window:
        seen &= ~seen.tril(-window)
    p = scores.masked_fill(~seen, -torch.inf).softmax(-1)
    return (p @ values.repeat_interleave(share, 0)).transpose(0, 1).reshape(len(q), -1)


def llama(layer, h, positions, note):
    w = {name: real(array) for name, array in layer.weights.items()}
    norm = {name: real(array) for name, array in layer.vectors.items()}
    n = note("q.input", functional.rms_norm(h, (32,), norm["norm1"], 1e-5))
    q, k, v = (note(f"{name}.output_gradient", functional.linear(n, w[name])) for name in "qkv")
    angles = torch.outer(real(positions), real(layer.frequencies))
    q = turned(q.reshape(len(h), layer.heads, -1), angles)
    k = turned(k.reshape(len(h), layer.key_heads, -1), angles)
    v = v.reshape(len(h), layer.key_heads, -1)
    mixed = note("o.input", attend(layer, q, k, v, note, **layer.reference))
    r = h + note("o.output_gradient", functional.linear(mixed, w["o"]))
    n = note("gate.input", functional.rms_norm(r, (32,), norm["norm2"], 1e-5))
    gate, up = (note(f"{name}.output_gradient", functional.linear(n, w[name])) for name in ("gate", "up"))
    a = note("down.input", GATES[layer.function](gate) * up)
    return r + note("down.output_gradient", functional.linear(a, w["down"]))


def gpt2(layer, h, positions, note):
    w = {name: real(array) for name, array in layer.weights.items()}
    b = {name: real(array) for name, array in layer.biases.items()}
    v = {name: real(array) for name, array in layer.vectors.items()}
    n = note("qkv.input", functional.layer_norm(h, (32,), v["norm1"], v["shift1"], 1e-5))
    qkv = note("qkv.output_gradient", functional.linear(n, w["qkv"], b["qkv"]))
    heads = (part.reshape(len(h), layer.heads, -1) for part in qkv.chunk(3, -1))
    mixed = note("o.input", attend(layer, *heads, note))
    r = note("o.output_gradient", h + functional.linear(mixed, w["o"], b["o"]))
    n = note("gate.input", functional.layer_norm(r, (32,), v["norm2"], v["shift2"], 1e-5))
    g = note("gate.output_gradient", functional.linear(n, w["gate"], b["gate"]))
    a = note("down.input", functional.gelu(g))
    return note("down.output_gradient", r + functional.linear(a, w["down"], b["down"]))


def autograd(layer, inputs):
    """As expected_of of the tape."""
    noted = {}

    def note(name, value):
        value.retain_grad()
        noted[name] = value
        return value

    h = real(inputs["h"]).requires_grad_()
    run = llama if hasattr(layer, "reference") else gpt2
    run(layer, h, inputs["positions"], note).backward(real(inputs["y.gradient"]))
    found = {name: v.grad if name.endswith("gradient") else v.detach() for name, v in noted.items()}
    return {name: value.numpy() for name, value in {**found, "h.gradient": h.grad}.items()}


@pytest.mark.parametrize("kind", LAYERS)
def test_layer_equals_torch(tool, tmp_path, kind):
    layer, inputs = kind(1), layer_inputs()
    check(gradients_of(tool, tmp_path, layer.text(), inputs), autograd(layer, inputs), 2e-5)
