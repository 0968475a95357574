"""skinny_linear and gemm: random weights, and the product that a launch must give.

All rows are compared for every token or, of a large matrix, some with the last of each segment among them.
"""

import numpy as np

from .halves import EPSILON, HALF_UNIT, compare, decode, encode, rounded
from .record import Part
from .rotary import Append
from .rows import FUNCTIONS, function_error
from .segments import Segment

#: As many rows are compared as have so many weights.
COMPARED_WEIGHTS = 1 << 20


class SkinnyLinear:
    streamed = "weights"

    def __init__(self, record, seed=0):
        self.record, self.random = record, np.random.default_rng(seed)
        self.problem, self.layout = record.problem, record.layout
        self.tokens, self.columns = record.argument("x")["shape"]
        self.gate = self.problem.get("gate", "none")
        self.output = record.argument("y")["type"]
        self._make_activations()
        self.segments = [
            Segment(self.layout, own, self.columns, self.gate != "none", self.problem["activation"], self.random)
            for own in self.layout["segments"]
        ]

    def _make_activations(self):
        x = self.record.argument("x")
        self.source = x["type"]
        if self.source == "int8":  # codes, with a scale a token
            self.x = self.random.integers(-127, 128, x["shape"], np.int8)
            self.token_scales = self.random.uniform(0.004, 0.01, self.tokens).astype(np.float32)
        else:
            self.x = encode(self.source, self.random.uniform(-1, 1, x["shape"]))
        #: what is read beside x and the weights
        self.beside = {
            argument["name"]: encode(argument["type"], self.random.uniform(-1, 1, argument["shape"]))
            for argument in self.record.arguments
            if argument["name"] in ("norm_scale", "norm_bias", "sum_scale", "sum_bias", "summand", "bias", "residual")
        }

    def _number(self, name):
        return decode(self.record.argument(name)["type"], self.beside[name])

    def activations(self):
        """x as numbers, behind the norm and as codes where there are some; and what f32 may change of them."""
        if self.source == "int8":
            x = self.x * self.token_scales.astype(np.float64)[:, None]
            return x, np.zeros_like(x)
        x, error = self._summed() if self.problem.get("sum") else (decode(self.source, self.x), np.zeros(self.x.shape))
        if self.problem.get("norm"):
            x, error = self._normed(x, error, "norm")
            if not self.problem["makes_codes"]:
                x, error = self._rounded(x, error)
        if self.problem.get("makes_codes"):
            scales = np.abs(x).max(-1, keepdims=True) / 127
            # Which code is the nearest of a number in the middle of two is not known.
            apart = np.abs(np.abs(x / scales) % 1 - 0.5) < 2.0**-10 + error / scales
            x, error = np.rint(x / scales) * scales, error + apart * scales
        return x, error

    def _normed(self, x, error, norm):
        """The norm of x, which may be another by `error`, and what f32 may change of it."""
        if self.problem[f"{norm}_kind"] == "layer":
            x = x - x.mean(-1, keepdims=True)
        factor = self._number(f"{norm}_scale") / np.sqrt((x**2).mean(-1, keepdims=True) + EPSILON)
        bias = self._number(f"{norm}_bias") if self.problem[f"{norm}_bias"] else 0
        scaled = np.abs(factor) * np.abs(x).max(-1, keepdims=True)
        return x * factor + bias, 2.0**-20 * scaled + 2.0**-23 * np.abs(bias) + error * np.abs(factor)

    def _rounded(self, x, error):
        """x as its type has it; the rounding may fall otherwise."""
        return rounded(self.source, x), rounded(self.source, x + error) - rounded(self.source, x - error)

    def _summed(self):
        """The sum of a norm and what is added to it, both rounded, and what f32 may change of it."""
        x = decode(self.source, self.x)
        y, error = self._rounded(*self._normed(x, np.zeros(x.shape), "sum"))
        return self._rounded(y + self._number("summand"), error)

    def inputs(self):
        given = {"x": self.x, **self.beside}
        if self.source == "int8":
            given["token_scales"] = self.token_scales
        return {name: [Part(array)] for name, array in given.items()} | {"weights": self._packed()}

    def _packed(self):
        """One segment behind the other, each with its scales, where the record says."""
        parts, end = [], 0
        for segment in self.segments:
            if segment.own["packed_at"] != end:
                raise ValueError(f"{self.record.name}: a segment at {segment.own['packed_at']} does not begin at {end}")
            own = segment.parts()
            if segment.has_row_scales and segment.own["row_scales_at"] != end + own[0].nbytes:
                raise ValueError(f"{self.record.name}: the scales of rows are not behind their segment")
            parts, end = parts + own, end + sum(part.nbytes for part in own)
        return parts

    def check(self, outputs):
        """The largest error as a part of the bound: what f32 sums and the rounding of the result may change."""
        compared = min(self.outputs, max(COMPARED_WEIGHTS // self.columns, 1))
        rows = np.union1d(self.random.choice(self.outputs, compared, replace=False), self._ends() - 1)
        part = compare("y", decode(self.output, outputs["y"][:, rows]), *self.expected(rows))
        if self.problem.get("sum"):
            expected, error = self._summed()
            part = max(part, compare("sum", decode(self.source, outputs["sum"]), expected[0], error[0] + 2.0**-24))
        return part

    @property
    def outputs(self):
        return int(self._ends()[-1])

    def _ends(self):
        return np.cumsum([segment.outputs for segment in self.segments])

    def expected(self, rows):
        """Rows of the result, ascending, as [token, row], and what they may be off by."""
        found = []
        for segment, end in zip(self.segments, self._ends(), strict=True):
            begin = end - segment.outputs
            own = rows[(rows >= begin) & (rows < end)] - begin
            found.append(self._product(segment, own) if self.gate == "none" else self._gated(segment, own))
        expected, bound = (np.concatenate(parts, -1) for parts in zip(*found, strict=True))
        if "bias" in self.beside:
            expected = expected + self._number("bias")[rows]
        if "residual" in self.beside:
            expected = expected + self._number("residual")[:, rows]
        return expected, bound + (HALF_UNIT[self.output] + 2.0**-22) * np.abs(expected) + 2.0**-24

    def _product(self, segment, rows):
        """x · W for rows of W, and what may be changed of it before it is rounded."""
        weights, scales = segment.weights(rows)
        x, error = self.activations()
        return x @ weights.T, self._bound(segment, np.abs(x), weights, scales) + error @ np.abs(weights).T

    def _gated(self, segment, rows):
        """The gate is applied to values that are rounded first. No function is steeper than 1.2."""
        products = self._product(segment, rows), self._product(segment, rows + segment.outputs)
        (gate, gate_error), (up, up_error) = products
        gate_error, up_error = (
            error + HALF_UNIT[self.output] * np.abs(value) + 2.0**-24
            for value, error in ((gate, gate_error), (up, up_error))
        )
        value = FUNCTIONS[self.gate](gate)
        error = function_error(value) + 1.2 * gate_error
        return value * up, error * (np.abs(up) + up_error) + np.abs(value) * up_error

    def _bound(self, segment, x, weights, scales):
        if self.problem["int8"]:  # sums are exact
            return 2.0**-22 * (x @ np.abs(weights).T)
        return self._half_bound(segment, x, weights, scales)

    def _half_bound(self, segment, x, weights, scales):
        if segment.has_scales and segment.own["group_columns"] == 16:  # no products of their own: scaled before them
            return self._rounded_bound(segment, x, weights)
        # Codes are unpacked to numbers of this size, products of which the sums are rounded at.
        unpacked = 1279 if self.problem["activation"] == "f16" else 256
        number = segment.largest or unpacked if segment.has_scales else 1
        return 2.0**-22 * number * (x @ scales.T)

    def _rounded_bound(self, segment, x, weights):
        """Of weights in the activation's type."""
        size = x @ np.abs(weights).T
        grouped = segment.has_scales and not segment.has_row_scales
        rounding = 2 * HALF_UNIT[self.problem["activation"]] if grouped else 0
        return (rounding + 2.0**-23 * (self.columns / 16 + 8)) * size


class Gemm(SkinnyLinear):
    """Weights are rounded to the activation's type."""

    def _half_bound(self, segment, x, weights, scales):
        return self._rounded_bound(segment, x, weights)


class WithAppend:
    def __init__(self, record, seed=0):
        super().__init__(record, seed)
        self.append = Append(record, self.random)

    def inputs(self):
        return super().inputs() | self.append.inputs()


class SkinnyLinearAppend(WithAppend, SkinnyLinear):
    """The product, and what becomes of its heads as they were stored."""

    def check(self, outputs):
        part, heads = super().check(outputs), decode(self.output, outputs["y"])
        return max(part, self.append.check(heads, np.zeros_like(heads), outputs["queries"], outputs["pages"]))


class GemmAppend(WithAppend, Gemm):
    """What becomes of the heads of the product, which is not written."""

    def check(self, outputs):
        heads, error = self.expected(np.arange(self.outputs))
        return self.append.check(rounded(self.output, heads), 2 * error, outputs["queries"], outputs["pages"])
