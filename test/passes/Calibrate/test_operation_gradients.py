"""Each operation that has a gradient: the host against a NumPy tape in f64, the tape against differences of its
values."""

from dataclasses import dataclass, field

import gradient_reference as tape
import layer_text
import numpy as np
import pytest

RANDOM = np.random.default_rng(11)
ROWS, COLUMNS = 5, 12
REAL = f"tensor<?x{COLUMNS}xf32>"
SCALE = RANDOM.standard_normal(COLUMNS).astype(np.float16)
SHIFT = RANDOM.standard_normal(COLUMNS).astype(np.float32)
WEIGHT = RANDOM.standard_normal((7, COLUMNS)).astype(np.float32)
TABLE = tuple(f(RANDOM.standard_normal((ROWS, 3))).astype(np.float32) for f in (np.cos, np.sin))


@dataclass
class Case:
    """The body of a function of `inputs` that returns %y of type `result`, and what it computes of values by name."""

    body: str
    result: str
    compute: object
    inputs: dict = field(default_factory=lambda: {"x": (ROWS, COLUMNS)})
    types: dict = field(default_factory=lambda: {"x": REAL})
    #: inputs whose numbers are above 0
    positive: tuple = ()


def unary(body, compute, positive=()):
    return Case(f"    %y = {body}\n", REAL, lambda v: compute(v["x"]), positive=positive)


def binary(body, compute, second=(ROWS, COLUMNS), second_type=REAL, result=REAL, positive=()):
    return Case(
        f"    %y = {body}\n",
        result,
        lambda v: compute(v["x"], v["z"]),
        {"x": (ROWS, COLUMNS), "z": second},
        {"x": REAL, "z": second_type},
        positive,
    )


def onnx_unary(kind, compute, positive=()):
    return unary(f"onnx.{kind} %x : ({REAL}) -> {REAL}", compute, positive)


def onnx_binary(kind, compute, positive=()):
    """With a row that is repeated."""
    row = f"tensor<{COLUMNS}xf32>"
    return binary(f"onnx.{kind} %x, %z : ({REAL}, {row}) -> {REAL}", compute, (COLUMNS,), row, positive=positive)


def generic(body, compute, place="(i, j) -> (j)", shape=(COLUMNS,)):
    """linalg.generic with a second input that is repeated along the rows."""
    kind = "tensor<" + "".join(f"{n}x" for n in shape) + "f32>"
    text = (
        f"    %zero = arith.constant 0 : index\n    %n = tensor.dim %x, %zero : {REAL}\n"
        f"    %init = tensor.empty(%n) : {REAL}\n"
        "    %y = linalg.generic {indexing_maps = [affine_map<(i, j) -> (i, j)>, "
        f"affine_map<{place}>, affine_map<(i, j) -> (i, j)>], "
        f'iterator_types = ["parallel", "parallel"]}} ins(%x, %z : {REAL}, {kind}) outs(%init : {REAL}) {{\n'
        f"    ^bb0(%a: f32, %b: f32, %out: f32):\n{body}    }} -> {REAL}\n"
    )
    return Case(
        text, REAL, lambda v: compute(v["x"], v["z"]), {"x": (ROWS, COLUMNS), "z": shape}, {"x": REAL, "z": kind}
    )


def routed(scores, count, normalized=False):
    """The `count` largest of the softmax of each row, zero elsewhere."""
    places = np.argsort(np.argsort(-scores.array, axis=-1), axis=-1)
    kept = tape.softmax(scores) * (places < count)
    return kept / kept.sum(-1) if normalized else kept


def attention(options, mask=None, queries=6, keys=9, **reference):
    """Four heads of 6 over two key heads, values of 5; one sequence in a batch."""
    shapes = {"q": (1, queries, 4, 6), "k": (1, 2, keys, 6), "v": (1, 2, keys, 5)}
    types = {"q": "tensor<1x?x4x6xf32>", "k": "tensor<1x2x?x6xf32>", "v": "tensor<1x2x?x5xf32>"}
    extra, lines = "", ""
    if mask is not None:
        lines = layer_text.constant("m", mask)
        extra = f" mask(%m : tensor<{queries}x{keys}xf32>)"
    result = "tensor<1x?x4x5xf32>"
    lines += f"    %y = qopt.attention %q, %k, %v{extra} scale 0.5{options} : {', '.join(types.values())} -> {result}\n"

    def compute(v):
        one = [v[name].reshape(*shapes[name][1:]) for name in "qkv"]
        return tape.attention(*one, 0.5, mask=mask, **reference).reshape(1, queries, 4, 5)

    return Case(lines, result, compute, shapes, types)


def rotary(options="", channels=12, interleaved=False):
    """Six channels of each of two heads are turned."""
    kind = f"tensor<?x2x{channels}xf32>"
    lines = layer_text.constant("cos", TABLE[0]) + layer_text.constant("sin", TABLE[1])
    lines += f"    %y = qopt.rotary %x, %cos, %sin{options} : {kind}, tensor<{ROWS}x3xf32>\n"
    shapes = {"x": (ROWS, 2, channels)}
    return Case(lines, kind, lambda v: tape.rotary(v["x"], *TABLE, interleaved), shapes, {"x": kind})


def norm(body, compute):
    lines = layer_text.constant("scale", SCALE) + layer_text.constant("shift", SHIFT) + f"    %y = {body}\n"
    return Case(lines, REAL, lambda v: compute(v["x"]))


def hide_some(shape):
    mask = RANDOM.standard_normal(shape).astype(np.float32)
    mask[RANDOM.random(shape) < 0.3] = -np.inf
    mask[1] = -np.inf
    return mask


INTEGERS = "    %{} = onnx.Constant dense<{}> : tensor<{}xi64>\n"
CASES = {
    "linear": Case(
        layer_text.weight("w", WEIGHT)
        + f"    %y = qopt.linear %x, %w residual(%z : tensor<?x7xf32>) : {REAL}, !qopt.weight<7x{COLUMNS}, f32>"
        " -> tensor<?x7xf32>\n",
        "tensor<?x7xf32>",
        lambda v: tape.linear(v["x"], WEIGHT) + v["z"],
        {"x": (ROWS, COLUMNS), "z": (ROWS, 7)},
        {"x": REAL, "z": "tensor<?x7xf32>"},
    ),
    "rms_norm": norm(
        f"qopt.rms_norm %x, %scale epsilon 1.0e-02 : {REAL}, tensor<{COLUMNS}xf16> -> {REAL}",
        lambda x: tape.rms_norm(x, SCALE.astype(np.float64), 0.01),
    ),
    "layer_norm": norm(
        f"qopt.layer_norm %x, %scale bias(%shift : tensor<{COLUMNS}xf32>) epsilon 1.0e-02 : {REAL}, "
        f"tensor<{COLUMNS}xf16> -> {REAL}",
        lambda x: tape.layer_norm(x, SCALE.astype(np.float64), SHIFT, 0.01),
    ),
    "rotary": rotary(),
    "rotary interleaved": rotary(" interleaved", interleaved=True),
    "rotary of the whole head": rotary(channels=6),
    "attention": attention("", causal=False),
    "attention causal": attention(" causal"),
    "attention window softcap": attention(" causal window 4 softcap 1.5", window=4, softcap=1.5),
    "attention mask": attention("", hide_some((6, 9)), causal=False),
    "attention longer queries": attention(" causal", queries=9, keys=4),
    **{
        f"activation {name}": unary(f"qopt.activation {name} %x : {REAL} -> {REAL}", compute)
        for name, compute in tape.ACTIVATIONS.items()
    },
    **{
        f"gated {name}": binary(
            f"qopt.gated_activation {name} %x, %z : {REAL} -> {REAL}", lambda x, z, f=compute: f(x) * z
        )
        for name, compute in tape.ACTIVATIONS.items()
    },
    "gated halves": Case(
        f"    %y = qopt.gated_activation silu %x : {REAL} -> tensor<?x6xf32>\n",
        "tensor<?x6xf32>",
        lambda v: tape.ACTIVATIONS["silu"](v["x"][:, :6]) * v["x"][:, 6:],
    ),
    "arith": binary(f"arith.divf %x, %z : {REAL}", lambda x, z: x / z, positive=("z",)),
    "math": unary(f"math.exp %x : {REAL}", tape.exp),
    "generic product": generic("      %c = arith.mulf %a, %b : f32\n      linalg.yield %c : f32\n", lambda x, z: x * z),
    "generic by one number": generic(
        "      %c = arith.mulf %a, %b : f32\n      linalg.yield %c : f32\n", lambda x, z: x * z, "(i, j) -> ()", ()
    ),
    "generic softcap": generic(
        "      %c = arith.mulf %a, %b : f32\n      %d = math.tanh %c : f32\n      %e = arith.addf %d, %a : f32\n"
        "      linalg.yield %e : f32\n",
        lambda x, z: tape.tanh(x * z) + x,
    ),
    "onnx.Add": onnx_binary("Add", lambda x, z: x + z),
    "onnx.Sub": onnx_binary("Sub", lambda x, z: x - z),
    "onnx.Mul": onnx_binary("Mul", lambda x, z: x * z),
    "onnx.Div": onnx_binary("Div", lambda x, z: x / z, ("z",)),
    "onnx.Pow": onnx_binary("Pow", lambda x, z: tape.exp(tape.log(x) * z), ("x",)),
    "onnx.Tanh": onnx_unary("Tanh", tape.tanh),
    "onnx.Sigmoid": onnx_unary("Sigmoid", tape.sigmoid),
    "onnx.Exp": onnx_unary("Exp", tape.exp),
    "onnx.Erf": onnx_unary("Erf", tape.erf),
    "onnx.Neg": onnx_unary("Neg", lambda x: x * -1.0),
    "onnx.Sqrt": onnx_unary("Sqrt", lambda x: tape.power(x, 0.5), ("x",)),
    "onnx.Log": onnx_unary("Log", tape.log, ("x",)),
    "onnx.Reciprocal": onnx_unary("Reciprocal", lambda x: tape.power(x, -1.0), ("x",)),
    "onnx.Softplus": onnx_unary("Softplus", lambda x: tape.log(tape.exp(x) + 1.0)),
    "onnx.Relu": onnx_unary("Relu", tape.relu),
    "onnx.Abs": onnx_unary("Abs", lambda x: tape.relu(x) + tape.relu(x * -1.0)),
    "onnx.Where": binary(
        f"onnx.Where %less, %x, %z : (tensor<?x{COLUMNS}xi1>, {REAL}, {REAL}) -> {REAL}",
        lambda x, z: x * (x.array < z.array) + z * (x.array >= z.array),
    ),
    "onnx.ReduceMean": Case(
        INTEGERS.format("axes", "[-1]", 1)
        + f"    %y = onnx.ReduceMean %x, %axes {{keepdims = false}} : ({REAL}, tensor<1xi64>) -> tensor<?xf32>\n",
        "tensor<?xf32>",
        lambda v: v["x"].mean(-1).reshape(ROWS),
    ),
    "route": unary(f"qopt.route 3 %x : {REAL}", lambda x: routed(x, 3)),
    "route normalized": unary(f"qopt.route 3 normalized %x : {REAL}", lambda x: routed(x, 3, normalized=True)),
    "onnx.Softmax": unary(f"onnx.Softmax %x : ({REAL}) -> {REAL}", tape.softmax),
    "onnx.MatMul": Case(
        "    %y = onnx.MatMul %x, %z : (tensor<?x4x3xf32>, tensor<3x6xf32>) -> tensor<?x4x6xf32>\n",
        "tensor<?x4x6xf32>",
        lambda v: v["x"] @ v["z"],
        {"x": (ROWS, 4, 3), "z": (3, 6)},
        {"x": "tensor<?x4x3xf32>", "z": "tensor<3x6xf32>"},
    ),
    "onnx.RMSNormalization": Case(
        layer_text.constant("scale", SHIFT.reshape(3, 4))
        + "    %y = onnx.RMSNormalization %x, %scale {epsilon = 0.01 : f32} : (tensor<?x3x4xf32>, tensor<3x4xf32>)"
        " -> tensor<?x3x4xf32>\n",
        "tensor<?x3x4xf32>",
        lambda v: tape.rms_norm(v["x"], SHIFT.reshape(3, 4), 0.01),
        {"x": (ROWS, 3, 4)},
        {"x": "tensor<?x3x4xf32>"},
    ),
    "onnx.Transpose": Case(
        "    %y = onnx.Transpose %x {perm = array<i64: 2, 0, 1>} : (tensor<?x3x4xf32>) -> tensor<4x?x3xf32>\n",
        "tensor<4x?x3xf32>",
        lambda v: v["x"].transpose(2, 0, 1),
        {"x": (ROWS, 3, 4)},
        {"x": "tensor<?x3x4xf32>"},
    ),
    "onnx.Reshape": Case(
        INTEGERS.format("shape", "[-1, 4]", 2)
        + f"    %y = onnx.Reshape %x, %shape : ({REAL}, tensor<2xi64>) -> tensor<?x4xf32>\n",
        "tensor<?x4xf32>",
        lambda v: v["x"].reshape(-1, 4),
    ),
    "onnx.Concat": binary(
        f"onnx.Concat %x, %z {{axis = 0 : i64}} : ({REAL}, {REAL}) -> {REAL}",
        lambda x, z: tape.join([x, z], 0),
        (3, COLUMNS),
    ),
    "onnx.Split": Case(
        INTEGERS.format("sizes", "[4, 8]", 2)
        + f"    %pieces:2 = onnx.Split %x, %sizes {{axis = 1 : i64}} : ({REAL}, tensor<2xi64>)"
        " -> (tensor<?x4xf32>, tensor<?x8xf32>)\n"
        "    %y = qopt.activation tanh %pieces#1 : tensor<?x8xf32> -> tensor<?x8xf32>\n",
        "tensor<?x8xf32>",
        lambda v: tape.tanh(v["x"][:, 4:]),
    ),
    "onnx.Slice": Case(
        INTEGERS.format("from", "[2]", 1)
        + INTEGERS.format("to", "[-1]", 1)
        + INTEGERS.format("axes", "[1]", 1)
        + "    %none = onnx.None\n"
        + f"    %y = onnx.Slice %x, %from, %to, %axes, %none : ({REAL}, tensor<1xi64>, tensor<1xi64>, tensor<1xi64>, none)"
        " -> tensor<?x9xf32>\n",
        "tensor<?x9xf32>",
        lambda v: v["x"][:, 2:11],
    ),
    "onnx.Gather": Case(
        "    %at = onnx.Constant dense<2> : tensor<i64>\n"
        + f"    %y = onnx.Gather %x, %at : ({REAL}, tensor<i64>) -> tensor<{COLUMNS}xf32>\n",
        f"tensor<{COLUMNS}xf32>",
        lambda v: v["x"][2],
    ),
    "onnx.Gather last": Case(
        INTEGERS.format("at", "[-1]", 1)
        + f"    %y = onnx.Gather %x, %at {{axis = 1 : i64}} : ({REAL}, tensor<1xi64>) -> tensor<?x1xf32>\n",
        "tensor<?x1xf32>",
        lambda v: v["x"][:, 11:],
    ),
}
CASES["onnx.Where"].body = (
    f"    %less = onnx.Less %x, %z : ({REAL}, {REAL}) -> tensor<?x{COLUMNS}xi1>\n" + CASES["onnx.Where"].body
)


def inputs_of(case):
    random = np.random.default_rng(3)
    arrays = {name: random.standard_normal(shape).astype(np.float32) for name, shape in case.inputs.items()}
    return {name: np.abs(a) + 0.5 if name in case.positive else a for name, a in arrays.items()}


def gradient_for(case, arrays):
    result = case.compute({name: tape.Value(array) for name, array in arrays.items()})
    return np.random.default_rng(4).standard_normal(result.array.shape).astype(np.float32)


def gradients_of(tool, folder, case, arrays, gradient):
    arguments = ", ".join(f'%{name}: {case.types[name]} {{qopt.name = "{name}"}}' for name in case.inputs)
    signature = f'func.func @f({arguments}) -> ({case.result} {{qopt.name = "y"}})'
    (folder / "f.mlir").write_text(f"{signature} {{\n{case.body}    return %y : {case.result}\n}}\n")
    tool("write-gradients", folder / "f.mlir", folder / "f.qopt")
    np.savez(folder / "in.npz", **arrays, **{"y.gradient": gradient})
    tool("qopt-run", folder / "f.qopt", "--inputs", folder / "in.npz", "--outputs", folder / "out.npz")
    return dict(np.load(folder / "out.npz"))


@pytest.mark.parametrize("name", CASES)
def test_operation_equals_tape(tool, tmp_path, name):
    case = CASES[name]
    arrays = inputs_of(case)
    gradient = gradient_for(case, arrays)
    found = gradients_of(tool, tmp_path, case, arrays, gradient)
    values = {name: tape.Value(array) for name, array in arrays.items()}
    case.compute(values).backward(gradient.astype(np.float64))
    for name, value in values.items():
        expected = value.gradient
        np.testing.assert_allclose(
            found[f"{name}.gradient"], expected, atol=2e-5 * np.abs(expected).max(), err_msg=name
        )


@pytest.mark.parametrize("name", CASES)
def test_tape_equals_differences(name):
    case = CASES[name]
    arrays = {name: array.astype(np.float64) for name, array in inputs_of(case).items()}
    along, difference = tape.difference(case.compute, arrays, gradient_for(case, arrays).astype(np.float64))
    assert along == pytest.approx(difference, rel=1e-6)
