"""Calibration functions as text: decoder layers as the stage quantize leaves them, with a NumPy tape beside each."""

import gradient_reference as tape
import numpy as np

EPSILON = 1e-5


def constant(name, array):
    """A constant tensor of the function."""
    kinds = {"float32": "f32", "float16": "f16", "int32": "i32"}
    shape = "x".join(map(str, array.shape))
    return (
        f'    %{name} = arith.constant dense<"0x{array.tobytes().hex()}"> : tensor<{shape}x{kinds[str(array.dtype)]}>\n'
    )


def weight(name, array, stored=None):
    """A weight of f32, quantized to the format `stored` where one is given; its type is that of %name."""
    n, k = array.shape
    data = array.astype(np.float32).tobytes().hex()
    plain = f"!qopt.weight<{n}x{k}, f32>"
    source = name + "_source" if stored else name
    text = f'    %{source} = qopt.weight "{name}" codes(dense<"0x{data}"> : tensor<{n}x{k}xf32>) : {plain}\n'
    if stored:
        text += f"    %{name} = qopt.quantize_weight %{source} rtn : {plain} -> !qopt.weight<{n}x{k}, {stored}>\n"
    return text


class Layer:
    """Sizes and random weights of one decoder layer."""

    hidden, heads, key_heads, size, inner = 32, 4, 2, 8, 48

    def __init__(self, seed):
        random = np.random.default_rng(seed)
        shapes = {
            "q": (self.heads * self.size, self.hidden),
            "k": (self.key_heads * self.size, self.hidden),
            "v": (self.key_heads * self.size, self.hidden),
            "o": (self.hidden, self.heads * self.size),
            "gate": (self.inner, self.hidden),
            "up": (self.inner, self.hidden),
            "down": (self.hidden, self.inner),
        }
        self.weights = {
            name: random.standard_normal(shape).astype(np.float32) / np.sqrt(np.float32(shape[1]))
            for name, shape in shapes.items()
        }
        vectors = ["norm1", "norm2", "shift1", "shift2"]
        self.vectors = {name: random.standard_normal(self.hidden).astype(np.float32) * 0.3 + 1 for name in vectors}
        self.biases = {
            name: random.standard_normal(w.shape[0]).astype(np.float32) * 0.1 for name, w in self.weights.items()
        }
        self.frequencies = (10000.0 ** (-np.arange(self.size // 2) / (self.size // 2))).astype(np.float32)

    def declarations(self, formats=None):
        text = "".join(weight(name, array, (formats or {}).get(name)) for name, array in self.weights.items())
        text += "".join(constant(name, array) for name, array in self.vectors.items())
        text += "".join(constant("b_" + name, array) for name, array in self.biases.items())
        return text + constant("frequencies", self.frequencies)

    def type_of(self, name, stored="f32"):
        n, k = self.weights[name].shape
        return f"!qopt.weight<{n}x{k}, {stored}>"

    def linear(self, result, x, name, bias=False, residual=None, stored="f32"):
        n, k = self.weights[name].shape
        extra = f" bias(%b_{name} : tensor<{n}xf32>)" if bias else ""
        extra += f" residual(%{residual} : tensor<?x{n}xf32>)" if residual else ""
        types = f"tensor<?x{k}xf32>, {self.type_of(name, stored)} -> tensor<?x{n}xf32>"
        return f"    %{result} = qopt.linear %{x}, %{name}{extra} : {types}\n"

    def dense_attention(self, options, rotated):
        """From %q_rows, %k_rows and %v_rows to %mixed [T, heads · size]."""
        h, kv, d = self.heads, self.key_heads, self.size
        text = "    %zero = arith.constant 0 : index\n    %t = tensor.dim %h, %zero : tensor<?x32xf32>\n"
        if rotated:
            text += (
                "    %cos, %sin = qopt.rotary_table %positions, %frequencies scale 1.0 : tensor<?xi32>, "
                f"tensor<{d // 2}xf32> -> tensor<?x{d // 2}xf32>\n"
            )
        for name, count in ("q", h), ("k", kv), ("v", kv):
            heads = f"{name}_heads"
            text += (
                f"    %{heads} = tensor.expand_shape %{name}_rows [[0], [1, 2]] output_shape [%t, {count}, {d}] : "
                f"tensor<?x{count * d}xf32> into tensor<?x{count}x{d}xf32>\n"
            )
            if rotated and name != "v":
                text += f"    %{name}_turned = qopt.rotary %{heads}, %cos, %sin : tensor<?x{count}x{d}xf32>, tensor<?x{d // 2}xf32>\n"
                heads = f"{name}_turned"
            if name == "q":
                text += (
                    f"    %q_dense = tensor.expand_shape %{heads} [[0, 1], [2], [3]] output_shape [1, %t, {h}, {d}] : "
                    f"tensor<?x{h}x{d}xf32> into tensor<1x?x{h}x{d}xf32>\n"
                )
                continue
            text += (
                f"    %{name}_moved = onnx.Transpose %{heads} {{perm = array<i64: 1, 0, 2>}} : "
                f"(tensor<?x{kv}x{d}xf32>) -> tensor<{kv}x?x{d}xf32>\n"
                f"    %{name}_dense = tensor.expand_shape %{name}_moved [[0, 1], [2], [3]] output_shape [1, {kv}, %t, {d}]"
                f" : tensor<{kv}x?x{d}xf32> into tensor<1x{kv}x?x{d}xf32>\n"
            )
        return text + (
            f"    %mixed_dense = qopt.attention %q_dense, %k_dense, %v_dense scale 0.35 causal{options} : "
            f"tensor<1x?x{h}x{d}xf32>, tensor<1x{kv}x?x{d}xf32>, tensor<1x{kv}x?x{d}xf32> -> tensor<1x?x{h}x{d}xf32>\n"
            f"    %mixed = tensor.collapse_shape %mixed_dense [[0, 1], [2, 3]] : "
            f"tensor<1x?x{h}x{d}xf32> into tensor<?x{h * d}xf32>\n"
        )

    def heads_of(self, rows, count):
        return rows.reshape(-1, count, self.size)

    def table(self, positions):
        angles = positions[:, None] * self.frequencies[None].astype(np.float64)
        return np.cos(angles), np.sin(angles)

    def attend(self, q, k, v, **options):
        """Rows of heads to rows, keys and values noted for what attention passes back to them."""
        self.keys, self.values = k.transpose(1, 0, 2), v.transpose(1, 0, 2)
        mixed = tape.attention(q, self.keys, self.values, float(np.float32(0.35)), **options)
        return mixed.reshape(-1, self.heads * self.size)


SIGNATURE = (
    '  func.func @layer(%h: tensor<?x32xf32> {qopt.name = "h"}, %positions: tensor<?xi32> {qopt.name = "positions"})'
    ' -> (tensor<?x32xf32> {qopt.name = "y"}) {\n'
)


def module(lines):
    return f"module {{\n{SIGNATURE}{lines}  }}\n}}\n"


class Llama(Layer):
    """RMS norms, rotary embedding, SiLU gate, residual sums beside the linears."""

    options, reference = "", {}
    function = "silu"

    def text(self, formats=None):
        formats = formats or {}

        def linear(result, x, name):
            return self.linear(result, x, name, stored=formats.get(name, "f32"))

        norm = "epsilon 1.0e-05 : tensor<?x32xf32>, tensor<32xf32> -> tensor<?x32xf32>\n"
        lines = self.declarations(formats) + f"    %n1 = qopt.rms_norm %h, %norm1 {norm}"
        for name in "qkv":
            lines += linear(f"{name}_rows", "n1", name)
        lines += self.dense_attention(self.options, rotated=True) + linear("projected", "mixed", "o")
        lines += "    %r = arith.addf %h, %projected : tensor<?x32xf32>\n"
        lines += f"    %n2 = qopt.rms_norm %r, %norm2 {norm}"
        lines += linear("g", "n2", "gate") + linear("u", "n2", "up")
        lines += f"    %a = qopt.gated_activation {self.function} %g, %u : tensor<?x48xf32> -> tensor<?x48xf32>\n"
        lines += linear("d", "a", "down") + "    %y = arith.addf %r, %d : tensor<?x32xf32>\n"
        return module(lines + "    return %y : tensor<?x32xf32>\n")

    def run(self, h, positions, note):
        n = note("q.input", tape.rms_norm(h, self.vectors["norm1"], EPSILON))
        q, k, v = (note(f"{w}.output_gradient", tape.linear(n, self.weights[w])) for w in "qkv")
        cos, sin = self.table(positions)
        q = tape.rotary(self.heads_of(q, self.heads), cos, sin)
        k = tape.rotary(self.heads_of(k, self.key_heads), cos, sin)
        mixed = note("o.input", self.attend(q, k, self.heads_of(v, self.key_heads), **self.reference))
        for kind, values in ("key", self.keys), ("value", self.values):
            note(f"attention0.{kind}", note(f"attention0.{kind}_gradient", values))
        r = h + note("o.output_gradient", tape.linear(mixed, self.weights["o"]))
        n = note("gate.input", tape.rms_norm(r, self.vectors["norm2"], EPSILON))
        g, u = (note(f"{w}.output_gradient", tape.linear(n, self.weights[w])) for w in ("gate", "up"))
        a = note("down.input", tape.ACTIVATIONS[self.function](g) * u)
        return r + note("down.output_gradient", tape.linear(a, self.weights["down"]))


class Windowed(Llama):
    """One key head for all, a window and a softcap."""

    key_heads = 1
    options, reference = " window 4 softcap 2.0", {"window": 4, "softcap": 2.0}
    function = "gelu_tanh"


class Gpt2(Layer):
    """Layer norms, biases, one projection for queries, keys and values that is cut, GELU, fused residuals."""

    key_heads = 4

    def __init__(self, seed):
        super().__init__(seed)
        parts = [self.weights.pop(name) for name in "qkv"]
        self.weights = {"qkv": np.concatenate(parts), **self.weights}
        self.biases["qkv"] = np.concatenate([self.biases.pop(name) for name in "qkv"])

    def norm(self, result, x, number):
        return (
            f"    %{result} = qopt.layer_norm %{x}, %norm{number} bias(%shift{number} : tensor<32xf32>) epsilon 1.0e-05"
            " : tensor<?x32xf32>, tensor<32xf32> -> tensor<?x32xf32>\n"
        )

    def text(self):
        lines = self.declarations() + self.norm("n1", "h", 1) + self.linear("qkv_rows", "n1", "qkv", bias=True)
        lines += "    %nought = arith.constant 0 : index\n    %rows = tensor.dim %h, %nought : tensor<?x32xf32>\n"
        for number, name in enumerate("qkv"):
            lines += (
                f"    %{name}_rows = tensor.extract_slice %qkv_rows[0, {32 * number}] [%rows, 32] [1, 1] : "
                "tensor<?x96xf32> to tensor<?x32xf32>\n"
            )
        lines += self.dense_attention("", rotated=False)
        lines += self.linear("r", "mixed", "o", bias=True, residual="h") + self.norm("n2", "r", 2)
        lines += self.linear("g", "n2", "gate", bias=True)
        lines += "    %a = qopt.activation gelu_erf %g : tensor<?x48xf32> -> tensor<?x48xf32>\n"
        lines += self.linear("y", "a", "down", bias=True, residual="r")
        return module(lines + "    return %y : tensor<?x32xf32>\n")

    def run(self, h, positions, note):
        w, b, v = self.weights, self.biases, self.vectors
        n = note("qkv.input", tape.layer_norm(h, v["norm1"], v["shift1"], EPSILON))
        qkv = note("qkv.output_gradient", tape.linear(n, w["qkv"], b["qkv"]))
        q, k, values = (self.heads_of(qkv[:, 32 * i : 32 * i + 32], 4) for i in range(3))
        mixed = note("o.input", self.attend(q, k, values))
        for kind, values in ("key", self.keys), ("value", self.values):
            note(f"attention0.{kind}", note(f"attention0.{kind}_gradient", values))
        # What flows into a residual sum flows into both of its terms.
        r = note("o.output_gradient", h + tape.linear(mixed, w["o"], b["o"]))
        n = note("gate.input", tape.layer_norm(r, v["norm2"], v["shift2"], EPSILON))
        g = note("gate.output_gradient", tape.linear(n, w["gate"], b["gate"]))
        a = note("down.input", tape.ACTIVATIONS["gelu_erf"](g))
        return note("down.output_gradient", r + tape.linear(a, w["down"], b["down"]))
