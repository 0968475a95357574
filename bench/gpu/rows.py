"""norm, quantize and gated_activation: rows of activations, and what the formulas make of them."""

import math

import numpy as np

from .halves import HALF_UNIT, compare, compare_codes, decode, encode, equal, rounded
from .record import Part


class Rows:
    """All arguments that are read are normal numbers of their type."""

    def __init__(self, record, seed=0):
        self.record, self.problem, self.random = record, record.problem, np.random.default_rng(seed)
        self.given = {
            argument["name"]: encode(argument["type"], self.random.standard_normal(argument["shape"]))
            for argument in record.arguments
            if argument["use"] == "read"
        }
        self.streamed = record.arguments[0]["name"]

    def inputs(self):
        return {name: [Part(array)] for name, array in self.given.items()}

    def numbers(self, name):
        return decode(self.record.argument(name)["type"], self.given[name])

    def check_result(self, outputs, expected, error):
        """`error`: of the arithmetic in f32, before anything is rounded."""
        result = outputs["result"]
        if "scales" in outputs:
            scales = outputs["scales"].astype(np.float64)[:, None]
            return compare_codes("result", result.astype(np.float64), scales, expected, error)
        kind = self.record.argument("result")["type"]
        bound = error + HALF_UNIT[kind] * np.abs(expected) + 2.0**-24
        return compare("result", decode(kind, result), expected, bound)


class Norm(Rows):
    def check(self, outputs):
        """The sum with the residual is rounded once, by f32, so that its bits are known."""
        columns, heads = self.problem["columns"], self.problem["heads"]
        x = self.numbers("input")[:, : heads * columns].reshape(-1, columns)
        if self.problem["residual"]:
            bits = encode(self.problem["activation"], x + self.numbers("residual"))
            equal("sum", outputs["sum"], bits)
            x = decode(self.problem["activation"], bits)
        scale, largest = self.numbers("scale"), np.abs(x).max(-1, keepdims=True)
        centred = x - x.mean(-1, keepdims=True) if self.problem["kind"] == "layer" else x
        factor = 1 / np.sqrt((centred**2).mean(-1, keepdims=True) + self.problem["epsilon"])
        bias = self.numbers("bias") if self.problem["bias"] else 0
        error = 2.0**-20 * largest * factor * np.abs(scale) + 2.0**-23 * np.abs(bias)
        y = centred * factor * scale + bias
        if self.problem["added"]:  # to what is rounded already, which may fall otherwise
            own = self.problem["activation"]
            y, error = rounded(own, y) + self.numbers("added"), rounded(own, y + error) - rounded(own, y - error)
        return self.check_result(outputs, y, error)


class Quantize(Rows):
    """The first row is zeros."""

    def __init__(self, record, seed=0):
        super().__init__(record, seed)
        self.given["input"][0] = 0

    def check(self, outputs):
        return self.check_result(outputs, self.numbers("input"), 0)


def sigmoid(x):
    return 1 / (1 + np.exp(-x))


FUNCTIONS = {
    "silu": lambda x: x * sigmoid(x),
    "gelu_erf": lambda x: x / 2 * (1 + np.vectorize(math.erf)(x / math.sqrt(2))),
    "gelu_tanh": lambda x: x / 2 * (1 + np.tanh(math.sqrt(2 / math.pi) * (x + 0.044715 * x**3))),
    "gelu_quick": lambda x: x * sigmoid(1.702 * x),
    "relu": lambda x: np.maximum(x, 0),
    "tanh": np.tanh,
    "sigmoid": sigmoid,
}


def function_error(value):
    """What an activation function's result may be off by, as GatedActivation.h says."""
    return 4e-6 * np.maximum(np.abs(value), 1e-6)


class GatedActivation(Rows):
    def check(self, outputs):
        gate, form = self.numbers("gate"), self.problem["form"]
        if form == "halves":
            gate, up = np.split(gate, 2, -1)
        else:
            up = self.numbers("up") if form == "two" else np.ones_like(gate)
        value = FUNCTIONS[self.problem["function"]](gate)
        error = (function_error(value) + 2.0**-23 * np.abs(value)) * np.abs(up)
        return self.check_result(outputs, value * up, error)
