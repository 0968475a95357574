"""Gradients in NumPy, f64: a tape of the few operations that transformers are made of when nothing is fused.

Norms, softmax and activations are written with sums, products and exponentials, so that their derivatives come out of
the chain rule and not out of a formula that the compiler could share; `difference` compares a tape with its function's
values.
"""

import math

import numpy as np

erf_of = np.vectorize(math.erf, otypes=[np.float64])


class Value:
    """An array that knows how it was computed."""

    def __init__(self, array, parents=()):
        self.array = np.asarray(array, np.float64)
        self.parents = parents  # (value, from the gradient of this one to that value's)
        self.gradient = np.zeros_like(self.array)

    def backward(self, gradient):
        """Adds ∂(Σ gradient · self) to every value that self was computed of."""
        order, seen = [], set()

        def visit(value):
            if id(value) not in seen:
                seen.add(id(value))
                for parent, _ in value.parents:
                    visit(parent)
                order.append(value)

        visit(self)
        self.gradient = self.gradient + gradient
        for value in reversed(order):
            for parent, pull in value.parents:
                parent.gradient = parent.gradient + unbroadcast(pull(value.gradient), parent.array.shape)

    def __add__(self, other):
        other = as_value(other)
        return Value(self.array + other.array, ((self, lambda g: g), (other, lambda g: g)))

    def __sub__(self, other):
        return self + as_value(other) * -1.0

    def __mul__(self, other):
        other = as_value(other)
        return Value(self.array * other.array, ((self, lambda g: g * other.array), (other, lambda g: g * self.array)))

    def __truediv__(self, other):
        return self * power(as_value(other), -1)

    def __matmul__(self, other):
        other = as_value(other)
        return Value(
            self.array @ other.array,
            (
                (self, lambda g: g @ other.array.swapaxes(-1, -2)),
                (other, lambda g: self.array.swapaxes(-1, -2) @ g),
            ),
        )

    def __getitem__(self, place):
        def pull(g):
            whole = np.zeros_like(self.array)
            np.add.at(whole, place, g)
            return whole

        return Value(self.array[place], ((self, pull),))

    def reshape(self, *shape):
        return Value(self.array.reshape(shape), ((self, lambda g: g.reshape(self.array.shape)),))

    def transpose(self, *axes):
        return Value(self.array.transpose(axes), ((self, lambda g: g.transpose(np.argsort(axes))),))

    def repeat(self, count, axis):
        def pull(g):
            shape = list(self.array.shape)
            shape.insert(axis + 1, count)
            return g.reshape(shape).sum(axis + 1)

        return Value(self.array.repeat(count, axis), ((self, pull),))

    def sum(self, axis):
        return Value(self.array.sum(axis, keepdims=True), ((self, lambda g: np.broadcast_to(g, self.array.shape)),))

    def mean(self, axis):
        return self.sum(axis) * (1 / self.array.shape[axis])


def as_value(x):
    return x if isinstance(x, Value) else Value(x)


def unbroadcast(gradient, shape):
    gradient = gradient.sum(tuple(range(gradient.ndim - len(shape))))
    repeated = tuple(i for i, size in enumerate(shape) if size == 1 and gradient.shape[i] != 1)
    return gradient.sum(repeated, keepdims=True).reshape(shape)


def function(forward, derivative):
    return lambda x: Value(forward(x.array), ((x, lambda g: g * derivative(x.array)),))


exp = function(np.exp, np.exp)
tanh = function(np.tanh, lambda x: 1 / np.cosh(x) ** 2)
erf = function(erf_of, lambda x: 2 / math.sqrt(math.pi) * np.exp(-x * x))
relu = function(lambda x: np.maximum(x, 0), lambda x: (x > 0) * 1.0)
log = function(np.log, lambda x: 1 / x)


def power(x, exponent):
    return function(lambda a: a**exponent, lambda a: exponent * a ** (exponent - 1))(x)


def join(parts, axis):
    bounds = np.cumsum([0] + [part.array.shape[axis] for part in parts])

    def pull(first, last):
        return lambda g: np.take(g, np.arange(first, last), axis)

    pulls = [pull(first, last) for first, last in zip(bounds, bounds[1:], strict=False)]
    return Value(np.concatenate([part.array for part in parts], axis), tuple(zip(parts, pulls, strict=True)))


def sigmoid(x):
    return power(exp(x * -1.0) + 1.0, -1)


def gelu_tanh(x):
    return x * 0.5 * (tanh((x + x * x * x * 0.044715) * math.sqrt(2 / math.pi)) + 1.0)


ACTIVATIONS = {
    "silu": lambda x: x * sigmoid(x),
    "gelu_erf": lambda x: x * 0.5 * (erf(x * math.sqrt(0.5)) + 1.0),
    "gelu_tanh": gelu_tanh,
    "gelu_quick": lambda x: x * sigmoid(x * 1.702),
    "relu": relu,
    "tanh": tanh,
    "sigmoid": sigmoid,
}


def rms_norm(x, scale, epsilon):
    return x / power((x * x).mean(-1) + epsilon, 0.5) * scale


def layer_norm(x, scale, bias, epsilon):
    centred = x - x.mean(-1)
    return centred / power((centred * centred).mean(-1) + epsilon, 0.5) * scale + bias


def rotary(x, cos, sin, interleaved=False):
    """x [T, heads, D]; cos and sin [T, R/2]: the first R channels are turned."""
    half = cos.shape[-1]
    cos, sin = cos[:, None], sin[:, None]
    first = np.arange(half) * 2 if interleaved else np.arange(half)
    second = first + (1 if interleaved else half)
    a, b = x[..., first], x[..., second]
    turned = join([a * cos - b * sin, b * cos + a * sin, x[..., 2 * half :]], -1)
    return turned[..., np.argsort(np.concatenate([first, second, np.arange(2 * half, x.array.shape[-1])]))]


def softmax(scores):
    """Rows in which all is −∞ give 0."""
    top = scores.array.max(-1, keepdims=True)
    e = exp(scores - np.where(np.isfinite(top), top, 0))
    total = e.sum(-1)
    return e / (total + (total.array == 0) * 1.0)


def attention(q, k, v, scale, causal=True, window=None, softcap=None, mask=None):
    """q [S, H, D]; k, v [KV, T, D]; mask added to [H, S, T]. The result is [S, H, D]."""
    heads, queries, keys = q.array.shape[1], q.array.shape[0], k.array.shape[1]
    share = heads // k.array.shape[0]
    scores = q.transpose(1, 0, 2) @ k.repeat(share, 0).transpose(0, 2, 1) * scale
    if softcap:
        scores = tanh(scores * (1 / softcap)) * softcap
    last = np.arange(queries)[:, None] + keys - queries
    place = np.arange(keys)[None, :]
    hidden = (causal & (place > last)) | ((window is not None) & (place <= last - (window or 0)))
    shown = scores[:] + (0.0 if mask is None else np.where(np.isfinite(mask), mask, 0))
    hidden = hidden | (np.zeros_like(hidden) if mask is None else ~np.isfinite(mask))
    shown = shown * np.where(hidden, 0.0, 1.0) + np.where(hidden, -np.inf, 0.0)
    return (softmax(shown) @ v.repeat(share, 0)).transpose(1, 0, 2)


def linear(x, weight, bias=0.0):
    """The result of x · Wᵀ + bias."""
    return x @ weight.T + bias


def cross_entropy_gradient(logits, targets):
    """∂(mean over tokens of −log p(target)) / ∂logits."""
    p = np.exp(logits - logits.max(-1, keepdims=True))
    p /= p.sum(-1, keepdims=True)
    p[np.arange(len(targets)), targets] -= 1
    return p / len(targets)


def difference(compute, inputs, gradients, seed=0, step=1e-5):
    """The tape's derivative along a random direction and the central difference of the values along it.

    `compute` makes the result of values by name; `gradients` is ∂L of the result, with which L is linear.
    """
    random = np.random.default_rng(seed)
    directions = {name: random.standard_normal(array.shape) for name, array in inputs.items()}
    values = {name: Value(array) for name, array in inputs.items()}
    compute(values).backward(gradients)
    along = sum((values[name].gradient * directions[name]).sum() for name in inputs)

    def loss(distance):
        moved = {name: Value(array + distance * directions[name]) for name, array in inputs.items()}
        return (compute(moved).array * gradients).sum()

    return along, (loss(step) - loss(-step)) / (2 * step)
