"""Tensors of 8-bit floats and of elements of less than a byte, through artifacts: conversions are those of the onnx
package (which are those of ml_dtypes) bit for bit, what only moves data moves codes, and quantization agrees."""

import ml_dtypes
import numpy as np
import onnx
import pytest
import qopt
from onnx import TensorProto, helper, numpy_helper
from onnx.reference import ReferenceEvaluator
from onnx.reference.ops.op_cast import cast_to

SIGNED_FLOATS = ("FLOAT8E4M3FN", "FLOAT8E4M3FNUZ", "FLOAT8E5M2", "FLOAT8E5M2FNUZ", "FLOAT4E2M1")
INTEGERS = ("INT4", "UINT4", "INT2", "UINT2")
NARROW = (*SIGNED_FLOATS, "FLOAT8E8M0", *INTEGERS)


@pytest.fixture(params=["host", "emulator"])
def device(request):
    if request.param == "emulator":
        request.getfixturevalue("ptx_only")
    return request.param


def number(name):
    return getattr(TensorProto, name)


def numpy_type(name):
    return np.dtype(helper.tensor_dtype_to_np_dtype(number(name)))


def codes(name):
    """An array of all codes of a type."""
    bits = {"4": 4, "2": 2}.get(name[-1], 8) if name in INTEGERS else 4 if name == "FLOAT4E2M1" else 8
    return np.arange(1 << bits, dtype=np.uint8).view(numpy_type(name))


def bits_of(array):
    """The bits that mean something, one code a byte."""
    if array.dtype.itemsize > 1 or array.dtype == np.bool_:
        return array
    kept = {"int4": 15, "uint4": 15, "float4_e2m1fn": 15, "int2": 3, "uint2": 3}
    return array.view(np.uint8) & np.uint8(kept.get(array.dtype.name, 255))


def singles():
    """Every exponent with fractions about its half and its ends, and every tie of a narrow float with its next."""
    fractions = np.array([0, 1, 0x3FFFFF, 0x400000, 0x400001, 0x7FFFFF], np.uint32)
    grid = (np.arange(512, dtype=np.uint32)[:, None] << 23 | fractions).flatten().view(np.float32)
    values = [grid]
    for name in SIGNED_FLOATS:
        known = codes(name).astype(np.float32)
        known = np.unique(known[np.isfinite(known)])
        ties = (known[1:] + known[:-1]) / 2
        last = known[-1] + (known[-1] - known[-2]) / 2
        ties = np.concatenate([ties, [last, -last]]).astype(np.float32)
        values += [known, ties, np.nextafter(ties, np.float32(np.inf)), np.nextafter(ties, np.float32(-np.inf))]
    return np.concatenate(values)


def run(folder, nodes, inputs, outputs, device="host", initializers=(), opset=25):
    """Compiles and runs a graph: inputs as {name: array}, outputs as {name: data type}."""
    of = lambda array: helper.np_dtype_to_tensor_dtype(array.dtype)  # noqa: E731
    graph = helper.make_graph(
        nodes,
        "narrow",
        [helper.make_tensor_value_info(name, of(array), array.shape) for name, array in inputs.items()],
        [helper.make_tensor_value_info(name, type, None) for name, type in outputs.items()],
        [numpy_helper.from_array(array, name) for name, array in initializers],
    )
    model = helper.make_model(graph, opset_imports=[helper.make_opsetid("", opset)], ir_version=13)
    onnx.save(model, folder / "model.onnx")
    target = {} if device == "host" else {"target": "cuda", "arch": "sm_90a"}
    qopt.compile(folder / "model.onnx", folder / "model.qopt", as_="graph", threads=1, **target)
    return model, qopt.load(folder / "model.qopt", device=device, threads=1).run(inputs)


def compare(got, expected, name, signs_of_nans=True):
    assert got.dtype == expected.dtype, f"{name}: {got.dtype}, expected {expected.dtype}"
    left, right = bits_of(got), bits_of(expected)
    if left.dtype.kind == "f":
        same = (left == right) & (np.signbit(left) == np.signbit(right)) | np.isnan(left) & np.isnan(right)
    else:
        same = left == right
        if not signs_of_nans:
            same |= np.isnan(got.astype(np.float32)) & np.isnan(expected.astype(np.float32))
    wrong = np.flatnonzero(~same)
    first = wrong[0] if wrong.size else 0
    assert not wrong.size, (
        f"{name}: {wrong.size} differ, first at {first}: {got.flat[first]!r}, {expected.flat[first]!r}"
    )


def nearest(x, name, saturate):
    """The nearest of a type's numbers, ties to the even code; beyond the largest what an infinity becomes."""
    known = codes(name)
    known = known[np.isfinite(known.astype(np.float32))]
    known = known[np.argsort(known.astype(np.float64), kind="stable")]
    values, bits = known.astype(np.float64), known.view(np.uint8)
    beyond = 2 * values[-1] - values[-2]
    over = cast_to(np.array([-np.inf, np.inf], np.float32), number(name), saturate).view(np.uint8)
    values, even = (
        np.array([-beyond, *values, beyond]),
        np.array([bits[-1] % 2 == 1, *(bits % 2 == 0), bits[-1] % 2 == 1]),
    )
    bits = np.array([over[0], *bits, over[1]])
    at = np.searchsorted(values, x).clip(1, len(values) - 1)
    below, above = x - values[at - 1], values[at] - x
    up = (above < below) | (above == below) & even[at]
    result = np.where(up, bits[at], bits[at - 1]).view(known.dtype)
    signed_zero = np.where(np.signbit(x), np.float32(-0.0), np.float32(0)).astype(known.dtype)
    return np.where(result.astype(np.float32) == 0, signed_zero, result)


def test_floats_round_as_in_ml_dtypes(device, tmp_path):
    """All halves and a sample of f32, saturating and not. f64 is rounded once; ml_dtypes rounds to f32 first."""
    few = 1 if device == "host" else 61
    single = singles()
    finite = single[np.abs(single) < 1e6].astype(np.float64)
    double = np.concatenate([finite, np.nextafter(finite, np.inf), np.nextafter(finite, -np.inf)])
    inputs = {
        "half": np.arange(0, 1 << 16, few, dtype=np.uint16).view(np.float16),
        "single": single[::few],
        "double": double[::few],
    }
    nodes, expected = [], {}
    for name in SIGNED_FLOATS:
        for saturate in (1, 0):
            for source, x in inputs.items():
                result = f"{source}_{name}_{saturate}"
                nodes.append(helper.make_node("Cast", [source], [result], to=number(name), saturate=saturate))
                with np.errstate(all="ignore"):
                    known = cast_to(x, number(name), bool(saturate))
                    if source == "double":
                        known = nearest(x, name, bool(saturate))
                expected[result] = known
    types = {name: helper.np_dtype_to_tensor_dtype(array.dtype) for name, array in expected.items()}
    _, got = run(tmp_path, nodes, inputs, types, device)
    for name, array in expected.items():
        # A GPU's conversion of f16 gives one NaN for all, and e2m1 has a zero of the other sign for it.
        exact = device == "host" or not name.startswith("half")
        if not exact and "FLOAT4E2M1" in name:
            array = np.where(np.isnan(inputs["half"]), got[name], array)
        compare(got[name], array, name, signs_of_nans=exact)


def power_of_two(x, mode, saturate):
    """The code of a number that is not negative, after the table of Cast-24 and what it says of its modes."""
    if np.isnan(x) or (not saturate and (x < 2.0**-127 or np.isinf(x))):
        return 255
    if x <= 2.0**-127 or np.isinf(x):
        return 0 if x <= 1 else 254
    fraction, exponent = np.frexp(x)  # x = fraction * 2^exponent, 0.5 <= fraction < 1
    up = {"up": fraction > 0.5, "nearest": fraction >= 0.75, "down": False}[mode]
    code = int(exponent) - 1 + 127 + int(up)
    return code if code <= 254 else 254 if saturate else 255


def test_powers_of_two_round_as_asked(device, tmp_path):
    x = np.abs(singles())[:: 1 if device == "host" else 17]
    half = np.arange(0, 0x7E00, 5, dtype=np.uint16).view(np.float16)
    nodes, expected = [], {}
    for mode in ("up", "down", "nearest"):
        for saturate in (1, 0):
            for source, values in (("x", x), ("half", half)):
                name = f"{source}_{mode}_{saturate}"
                attributes = {"to": TensorProto.FLOAT8E8M0, "round_mode": mode, "saturate": saturate}
                nodes.append(helper.make_node("Cast", [source], [name], **attributes))
                expected[name] = np.array([power_of_two(np.float64(v), mode, saturate) for v in values], np.uint8)
                # The onnx package differs from its own table at infinity and below 2^-126.
                plain = (values >= np.float32(2.0**-126)) & np.isfinite(values)
                theirs = cast_to(values, TensorProto.FLOAT8E8M0, bool(saturate), mode).view(np.uint8)
                assert np.array_equal(theirs[plain], expected[name][plain]), name
    _, got = run(tmp_path, nodes, {"x": x, "half": half}, dict.fromkeys(expected, TensorProto.FLOAT8E8M0), device)
    for name, array in expected.items():
        compare(got[name], array.view(ml_dtypes.float8_e8m0fnu), name)


def test_codes_are_the_numbers_of_ml_dtypes(device, tmp_path):
    """All codes of each type to floats, wide integers and booleans; floats also to each other."""
    inputs = {name: codes(name) for name in NARROW}
    nodes, expected, types = [], {}, {}
    for name, x in inputs.items():
        others = ("FLOAT", "FLOAT16", "BFLOAT16", "DOUBLE", "BOOL")
        others += ("INT8", "INT64", "UINT8", "INT2", *SIGNED_FLOATS) if name in INTEGERS else SIGNED_FLOATS
        for to in others:
            if to == name or to == "BOOL" and name == "FLOAT8E8M0":
                continue
            result = f"{name}_{to}"
            nodes.append(helper.make_node("Cast", [name], [result], to=number(to)))
            types[result] = number(to)
            with np.errstate(all="ignore"):
                wide = x.astype(np.float32)
                source = wide if to in SIGNED_FLOATS or to == "BOOL" else x.astype(np.int8) if to == "INT2" else x
                known = cast_to(source, number(to), True)
            expected[result] = known.astype(np.float32) if to == "BFLOAT16" else known
    _, got = run(tmp_path, nodes, inputs, types, device)
    for name, array in expected.items():
        compare(got[name], array, name)


def test_integers_are_cut_to_their_bits(device, tmp_path):
    """Higher bits are discarded; floats are truncated; booleans are 0 and 1."""
    inputs = {
        "wide": np.arange(-300, 300, dtype=np.int32),
        "natural": np.arange(256, dtype=np.uint8),
        "real": np.array([-1.9, -1.5, -0.5, 0.5, 0.99, 1.0], np.float32),
        "flag": np.array([False, True]),
    }
    nodes, expected = [], {}
    for name in INTEGERS:
        for source, x in inputs.items():
            values = np.abs(x) if source == "real" and name.startswith("U") else x
            if source == "real" and name.startswith("U"):
                nodes.append(helper.make_node("Abs", [source], [f"abs_{name}"]))
            given = f"abs_{name}" if values is not x else source
            nodes.append(helper.make_node("Cast", [given], [f"{source}_{name}"], to=number(name)))
            expected[f"{source}_{name}"] = values.astype(np.int64).astype(numpy_type(name))
    types = {name: helper.np_dtype_to_tensor_dtype(array.dtype) for name, array in expected.items()}
    _, got = run(tmp_path, nodes, inputs, types, device)
    for name, array in expected.items():
        compare(got[name], array, name)


def moves(name, x, table):
    """Nodes that move elements, and what NumPy makes of them."""
    node = helper.make_node
    shapes = {
        "flat": [24], "axes": [0], "wide": [5, 2, 3, 4], "starts": [0, 1], "ends": [2, 3], "where": [1, 2],
        "pads": [0, 0, 1, 0, 0, 1], "repeats": [1, 2, 1],
    }  # fmt: skip
    then, other = (
        helper.make_graph(
            [node("Identity", [source], [result])],
            result,
            [],
            [helper.make_tensor_value_info(result, number(name), None)],
        )
        for source, result in (("x", "taken_branch"), ("table", "other_branch"))
    )
    nodes = [
        node("Transpose", ["x"], ["transposed"], perm=[2, 0, 1]),
        node("Reshape", ["x", "flat"], ["reshaped"]),
        node("Concat", ["x", "table"], ["joined"], axis=1),
        node("Slice", ["x", "starts", "ends", "where"], ["cut"]),
        node("Gather", ["table", "indices"], ["taken"], axis=1),
        node("Identity", ["x"], ["same"]),
        node("Unsqueeze", ["x", "axes"], ["deep"]),
        node("Squeeze", ["deep", "axes"], ["shallow"]),
        node("Flatten", ["x"], ["matrix"], axis=2),
        node("Split", ["x"], ["first", "second"], axis=2, num_outputs=2),
        node("Expand", ["x", "wide"], ["expanded"]),
        node("Tile", ["x", "repeats"], ["tiled"]),
        node("Where", ["flag", "x", "table"], ["chosen"]),
        node("Pad", ["x", "pads"], ["padded"]),
        node("Shape", ["x"], ["shape"]),
        node("Size", ["x"], ["size"]),
        node("If", ["true"], ["branch"], then_branch=then, else_branch=other),
    ]  # fmt: skip
    left, right = bits_of(x), bits_of(table)
    flag, indices = np.arange(24).reshape(2, 3, 4) % 3 == 0, np.array([2, 0], np.int64)
    expected = {
        "transposed": left.transpose(2, 0, 1), "reshaped": left.reshape(24), "joined": np.concatenate([left, right], 1),
        "cut": left[:, 0:2, 1:3], "taken": right[:, indices], "same": left, "deep": left[None], "shallow": left,
        "matrix": left.reshape(6, 4), "first": left[:, :, :2], "second": left[:, :, 2:],
        "expanded": np.broadcast_to(left, (5, 2, 3, 4)), "tiled": np.tile(left, (1, 2, 1)),
        "chosen": np.where(flag, left, right), "padded": np.pad(left, ((0, 0), (0, 0), (1, 1))),
        "branch": left, "shape": np.array([2, 3, 4]), "size": np.array(24),
    }  # fmt: skip
    if name == "FLOAT8E8M0":  # it has no 0 to pad with
        nodes = [n for n in nodes if n.op_type != "Pad"]
        del expected["padded"]
    constants = [(key, np.array(value, np.int64)) for key, value in shapes.items()]
    constants += [("table", table), ("true", np.array(True))]
    return nodes, {"x": x, "indices": indices, "flag": flag}, expected, constants


def test_codes_move(device, tmp_path):
    """Packed constants, inputs and outputs included; the constant has an odd number of elements where it can."""
    generator = np.random.default_rng(7)
    for name in NARROW if device == "host" else ("FLOAT8E5M2", "UINT2", "INT4"):
        known = codes(name)
        x, table = (generator.choice(known.view(np.uint8), (2, 3, 4)).view(known.dtype) for _ in range(2))
        nodes, inputs, expected, constants = moves(name, x, table)
        odd = generator.choice(known.view(np.uint8), (3, 3)).view(known.dtype)
        nodes.append(helper.make_node("Transpose", ["odd"], ["turned"]))
        expected["turned"] = bits_of(odd).T
        types = {key: TensorProto.INT64 if key in ("shape", "size") else number(name) for key in expected}
        _, got = run(tmp_path, nodes, inputs, types, device, [*constants, ("odd", odd)])
        for key, array in expected.items():
            assert got[key].dtype == (np.int64 if key in ("shape", "size") else known.dtype), (name, key)
            assert np.array_equal(bits_of(got[key]), array), (name, key)


@pytest.mark.parametrize("real", [np.float32, np.float16])
def test_quantization_agrees_with_the_onnx_package(device, real, tmp_path):
    """One scale, one a channel, one a block; with zero points where they are integers."""
    generator = np.random.default_rng(3)
    x = (generator.standard_normal((4, 6)) * 30).astype(real)
    scales = {
        "one": (np.array(0.37, real), {}),
        "channel": (generator.uniform(0.1, 9, 6).astype(real), {"axis": 1}),
        "block": (generator.uniform(0.1, 9, (4, 2)).astype(real), {"axis": 1, "block_size": 4}),
    }
    nodes, initializers, types = [], [], {}
    for name in (*SIGNED_FLOATS, *INTEGERS):
        for kind, (scale, attributes) in scales.items():
            zero = generator.choice(codes(name).view(np.uint8), scale.shape).view(numpy_type(name))
            if name not in INTEGERS:
                zero = np.zeros(scale.shape, numpy_type(name))
            place = f"{name}_{kind}"
            initializers += [(f"s_{place}", scale), (f"z_{place}", zero)]
            operands = [f"s_{place}", f"z_{place}"]
            nodes.append(helper.make_node("QuantizeLinear", ["x", *operands], [f"q_{place}"], **attributes))
            nodes.append(helper.make_node("DequantizeLinear", [f"q_{place}", *operands], [f"d_{place}"], **attributes))
            types[f"q_{place}"], types[f"d_{place}"] = number(name), helper.np_dtype_to_tensor_dtype(np.dtype(real))
    power = np.array([120, 127, 130, 133, 110, 127], np.uint8).view(ml_dtypes.float8_e8m0fnu)
    initializers.append(("power", power))
    e4m3 = {"output_dtype": TensorProto.FLOAT8E4M3FN, "saturate": 0}
    nodes.append(helper.make_node("QuantizeLinear", ["x", "s_FLOAT8E5M2_one"], ["q_named"], **e4m3))
    nodes.append(
        helper.make_node("DequantizeLinear", ["q_named", "power"], ["d_power"], output_dtype=TensorProto.FLOAT)
    )
    halves = {"output_dtype": TensorProto.INT16, "precision": TensorProto.FLOAT16}
    nodes.append(helper.make_node("QuantizeLinear", ["x", "fine"], ["q_halves"], **halves))
    initializers.append(("fine", np.array(0.013, real)))
    types |= {"q_named": TensorProto.FLOAT8E4M3FN, "d_power": TensorProto.FLOAT, "q_halves": TensorProto.INT16}
    model, got = run(tmp_path, nodes, {"x": x}, types, device, initializers)
    with np.errstate(all="ignore"):
        expected = ReferenceEvaluator(model).run(list(types), {"x": x})
    if real == np.float32:  # it would not be enough to divide in f32
        assert not np.array_equal(expected[-1], np.rint(x / np.float32(0.013)).astype(np.int16))
    for name, array in zip(types, expected, strict=True):
        compare(got[name], array, name)


def test_codes_of_a_type_that_numpy_lacks(tool, tmp_path):
    """From Python as an array of ml_dtypes or as codes; in files as codes, and as the values out of them."""
    x = np.array([0x3C, 0xBC, 0x7E, 0xFF, 1], np.uint8)
    n = np.array([-8, -1, 0, 7, 3], np.int8)
    floats, ints = x.view(ml_dtypes.float8_e4m3fn), n.astype(ml_dtypes.int4)
    nodes = [helper.make_node("Identity", [a], [b]) for a, b in (("x", "y"), ("n", "m"))]
    types = {"y": TensorProto.FLOAT8E4M3FN, "m": TensorProto.INT4}
    _, got = run(tmp_path, nodes, {"x": floats, "n": ints}, types)
    model = qopt.load(tmp_path / "model.qopt")
    assert [spec.type for spec in model.inputs] == ["f8e4m3fn", "i4"]
    by_codes = model.run({"x": x, "n": n.view(np.uint8) & 15})
    for result in (got, by_codes):
        compare(result["y"], floats, "y")
        compare(result["m"], ints, "m")
    with pytest.raises(qopt.Error, match=r"has type f8e5m2; expected f8e4m3fn"):
        model.run({"x": x.view(ml_dtypes.float8_e5m2), "n": ints})
    np.savez(tmp_path / "in.npz", x=floats, n=n)
    arguments = ("--inputs", tmp_path / "in.npz", "--outputs", tmp_path / "out.npz")
    printed = tool("qopt-run", tmp_path / "model.qopt", *arguments).stdout
    assert "y: f8e4m3fn[5]" in printed
    assert "m: i4[5], from -8 to 7" in printed
    out = np.load(tmp_path / "out.npz")
    compare(out["y"], floats.astype(np.float32), "y in a file")
    compare(out["m"], n, "m in a file")


def test_constants_are_folded_to_the_same_codes(tmp_path):
    """The compiler's evaluator and a kernel agree on what is special; constants of a model are finite."""
    x = np.array([0, -0.0, 464, 465, -465, 3e38, -7, 6.1, 0.25, 0.75, 2.5e-39, 1e-40], np.float32)
    x = np.append(x, np.array([0x7F400000, 0x7F3FFFFF, 0x00600000, 0x00400000, 0x7F000001], np.uint32).view(np.float32))
    nodes, types = [], {}
    for name in NARROW[:6]:
        for saturate in (1, 0):
            for mode in ("up", "down", "nearest") if name == "FLOAT8E8M0" else ("up",):
                attributes = {"to": number(name), "saturate": saturate, "round_mode": mode}
                nodes.append(helper.make_node("Cast", ["x"], [f"{name}_{saturate}_{mode}"], **attributes))
                types[f"{name}_{saturate}_{mode}"] = number(name)
    _, computed = run(tmp_path, nodes, {"x": x}, types)
    _, folded = run(tmp_path, nodes, {}, types, initializers=[("x", x)])
    for name in types:
        compare(folded[name], computed[name], name)
