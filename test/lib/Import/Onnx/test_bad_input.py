"""Models that are damaged or beyond the importer: one clear message each, no crash. What means harm is in
test/hostile."""

import numpy as np
import pytest
import tiny_models
from hostile.graphs import chain
from onnx import TensorProto, helper, numpy_helper


@pytest.fixture
def refused(tool, tmp_path):
    """refused(model) saves and imports a model that must fail; returns the message."""

    def run(model):
        path = tmp_path / "model.onnx"
        path.write_bytes(model if isinstance(model, bytes) else model.SerializeToString())
        done = tool("qopt-translate", "--import-onnx", path, check=False, timeout=20)
        assert done.returncode in (3, 4, 9), f"status {done.returncode}\n{done.stdout}{done.stderr}"
        assert done.stderr.startswith("error: ") and "Assertion" not in done.stderr
        return done.stderr

    return run


def node(op, inputs, outputs=("y",), **attributes):
    return helper.make_node(op, list(inputs), list(outputs), name="n", **attributes)


def one(op, inputs=("x",), more=(), opset=18, initializers=(), **attributes):
    return tiny_models.model_of([node(op, inputs, **attributes)], ["x", *more], ["y"], initializers, opset=opset)


def ints(name, *values):
    return numpy_helper.from_array(np.array(values, dtype=np.int64), name)


# -- names


@pytest.mark.parametrize("op", ["Frob\nnicate\x1b[2J", "Frob" * 250_000])
def test_names_are_one_short_line(refused, op):
    """An operator's name may have any bytes; a message shows them escaped and cut."""
    message = refused(one(op))
    assert "Frob" in message and len(message) < 1000 and message.count("\n") == 2, message
    assert "\x1b" not in message and "Frob\nnicate" not in message


# -- files


def test_every_truncation_is_refused(tool, tmp_path):
    whole = tiny_models.linear().SerializeToString()
    path = tmp_path / "model.onnx"
    for length in range(0, len(whole), 7):
        path.write_bytes(whole[:length])
        done = tool("qopt-translate", "--import-onnx", path, check=False)
        assert done.returncode == 3 and done.stderr.startswith("error: "), length


def test_flipped_bytes_never_crash(tool, tmp_path):
    whole = bytearray(tiny_models.linear().SerializeToString())
    path = tmp_path / "model.onnx"
    for place in range(0, len(whole), 3):
        broken = bytearray(whole)
        broken[place] ^= 0xFF
        path.write_bytes(broken)
        done = tool("qopt-translate", "--import-onnx", path, check=False)
        assert done.returncode in (0, 3, 4), (place, done.stderr)


def test_missing_file_and_folder(tool, tmp_path):
    done = tool("qopt-translate", "--import-onnx", tmp_path / "none.onnx", check=False)
    assert done.returncode == 9 and "No such file" in done.stderr
    done = tool("qopt-translate", "--import-onnx", tmp_path, check=False)
    assert done.returncode == 9 and "has no model.onnx" in done.stderr


# -- external data


def with_data(tmp_path, size=64, name="w.bin"):
    (tmp_path / name).parent.mkdir(parents=True, exist_ok=True)
    (tmp_path / name).write_bytes(np.eye(4, dtype=np.float32).tobytes()[:size].ljust(size, b"\0"))


def test_external_data_is_read(tool, tmp_path):
    with_data(tmp_path, name="sub/w.bin")
    model = tiny_models.linear(tiny_models.external(location="sub/w.bin", offset=0, length=64))
    path = tiny_models.save(model, tmp_path / "model.onnx")
    assert "dense_resource<w>" in tool("qopt-translate", "--import-onnx", path).stdout


def test_external_data_beyond_four_gigabytes(tool, tmp_path):
    with open(tmp_path / "w.bin", "wb") as file:  # sparse: takes no space
        file.truncate(5 * 2**30)
    model = tiny_models.linear(tiny_models.external(location="w.bin", offset=2**32 + 4096, length=64))
    path = tiny_models.save(model, tmp_path / "model.onnx")
    assert "dense_resource<w>" in tool("qopt-translate", "--import-onnx", path).stdout


# -- tensors and values


def test_empty_names_at_the_end_mean_nothing(tool, tmp_path):
    model = tiny_models.model_of([node("Abs", ["x", "", ""], ["y", ""])], ["x"], ["y"])
    tool("qopt-translate", "--import-onnx", tiny_models.save(model, tmp_path / "model.onnx"))


def test_inputs(refused):
    def with_input(info):
        return tiny_models.model_of([node("Abs", ["x"])], [info], ["y"])

    assert "negative dimension" in refused(with_input(tiny_models.value("x", [-1, 4])))
    assert "has no shape" in refused(with_input(tiny_models.value("x", None)))
    assert "string" in refused(with_input(tiny_models.value("x", [1], TensorProto.STRING)))
    sequence = helper.make_tensor_sequence_value_info("x", TensorProto.FLOAT, [1])
    assert "is no tensor" in refused(with_input(sequence))


# -- operators


def test_all_unsupported_operators_at_once(refused):
    nodes = [
        node("Abs", ["x"], ["a"]),
        helper.make_node("Magic", ["a"], ["b"], name="m1", domain="my.domain"),
        helper.make_node("Magic", ["b"], ["c"], name="m2", domain="my.domain"),
        helper.make_node("Gelu", ["c"], ["d"], name="g"),
        helper.make_node("Loop", ["", "", "d"], ["y"], name="l", body=helper.make_graph([], "b", [], [])),
    ]
    text = refused(tiny_models.model_of(nodes, ["x"], ["y"], domains=["my.domain"]))
    assert 'Magic (my.domain 1): node "m1", "m2"' in text
    assert 'Gelu (opset 18), which exists from opset 20: node "g"' in text
    assert "Loop (opset 18), loops are not supported" in text and '"l"' in text


@pytest.mark.parametrize(
    "model, message",
    [
        (one("Softmax", axis=7), "axis 7 is out of range"),
        (one("Softmax", axis="last"), 'attribute "axis" has the wrong type; expected an integer'),
        (one("Softmax", colour=1), 'attribute "colour" is not known'),
        (one("Gelu", opset=20, approximate="cubic"), "one of none, tanh"),
        (one("Cast", opset=24, to=TensorProto.FLOAT8E8M0, round_mode="odd"), "one of up, down, nearest"),
        (one("Abs", ["x", "x"]), "has 2 inputs; expected 1"),
        (one("MatMul", ["", "x"]), "input 0 is absent; expected a tensor"),
        (one("Conv", ["x", "", "x"]), "input 1 is absent; expected a tensor"),
        (one("DequantizeLinear", ["x", "", "x"], opset=21), "input 1 is absent; expected a tensor"),
        (one("MatMul", ["x", "x"]), None),
        (one("Add", ["x", "w"], initializers=[ints("w", 1, 2, 3, 4)]), "different element types"),
        (one("Reshape", ["x", "s"], initializers=[ints("s", -1, -1)]), "more than one -1"),
        (one("Reshape", ["x", "s"], initializers=[ints("s", 0, 0, 0)]), "copies an axis"),
        (one("Unsqueeze", ["x", "s"], initializers=[ints("s", 0, 0)]), "given twice"),
        (one("Transpose", perm=[0, 0]), "no permutation"),
        (one("ReduceSum", ["x", "x"]), "operand #1"),
        (one("Cast", to=99), "data type 99"),
        (one("Concat", axis=5), "axis 5"),
        (one("Split", axis=1, num_outputs=2), '"num_outputs" is 2'),
        (one("Conv", ["x", "x"]), "rank below 3"),
        (one("GatherND", ["x", "s"], initializers=[ints("s", 5)]), None),
        (one("Einsum", ["x"], equation="abc->a"), 'the term "abc"'),
        (one("Gemm", ["x", "s"], initializers=[ints("s", 5)]), "no matrices"),
        (one("Expand", ["x", "s"], initializers=[ints("s", 2, 3)]), "does not expand"),
        (one("Slice", ["x", "a", "a"], initializers=[ints("a", 0, 0, 0)]), "starts"),
        (one("LayerNormalization", ["x", "x"], axis=3), "axis 3"),
        (one("LayerNormalization", ["x", "x"], epsilon=float("nan")), "epsilon is nan; expected a finite number"),
        (one("RMSNormalization", ["x", "x"], opset=23, epsilon=-1.0), "epsilon is -1"),
        (one("ConstantOfShape", ["s"], initializers=[ints("s", 2**40, 2**40)]), "too large to address"),
        (one("ConstantOfShape", ["s"], initializers=[ints("s", -5)]), "negative"),
        (one("Dropout", ["x", "", "t"], initializers=[numpy_helper.from_array(np.array(True), "t")]), "training"),
    ],
)
def test_nodes(refused, tool, tmp_path, model, message):
    if message is None:  # unusual, but nothing says that it is wrong
        tool("qopt-translate", "--import-onnx", tiny_models.save(model, tmp_path / "model.onnx"), check=False)
        return
    text = refused(model)
    assert message in text and f'node "n" ({model.graph.node[0].op_type}, opset' in text


@pytest.mark.parametrize(
    "sizes, attributes, message",
    [
        ((16, 4), {"num_heads": 7}, "the hidden size 16 is not divisible by the number of heads, 7"),
        ((16, 4), {"num_heads": 4}, "cos_cache has shape [1, s, 4]; expected at most 2 columns"),
        ((16, 4), {"num_heads": 2, "rotary_embedding_dim": 10}, "rotary_embedding_dim is 10; expected an even number"),
        ((16, 4), {"num_heads": 2, "rotary_embedding_dim": 3}, "rotary_embedding_dim is 3; expected an even number"),
    ],
)
def test_rotary_within_a_head(refused, sizes, attributes, message):
    hidden, columns = sizes
    inputs = [tiny_models.value("x", [1, "s", hidden])]
    inputs += [tiny_models.value(name, [1, "s", columns]) for name in ("c", "d")]
    model = tiny_models.model_of([node("RotaryEmbedding", "xcd", **attributes)], inputs, ["y"], opset=23)
    text = refused(model)
    assert message in text and 'node "n" (RotaryEmbedding, opset 23)' in text, text


def test_sizes_that_grow_without_end(tool, tmp_path):
    """Shape arithmetic that doubles a hundred times takes no time; what it gives is not known."""
    nodes = [node("Shape", ["x"], ["m0"], end=1), node("Identity", ["x"], ["c0"]), node("Identity", ["m0"], ["b0"])]
    for i in range(100):
        nodes.append(node("Mul", [f"m{i}", f"m{i}"], [f"m{i + 1}"]))
        nodes.append(node("Concat", [f"c{i}", f"c{i}"], [f"c{i + 1}"], axis=0))
        nodes.append(node("Min", [f"b{i}", f"m{i % 3}"], [f"l{i}"]))
        nodes.append(node("Max", [f"b{i}", f"l{i}"], [f"k{i}"]))
        nodes.append(node("Add", [f"k{i}", f"l{i}"], [f"b{i + 1}"]))
    nodes.append(node("ConstantOfShape", ["b100"], ["y"]))
    nodes.append(node("ConstantOfShape", ["m100"], ["z"]))
    model = tiny_models.model_of(nodes, ["x"], ["y", "z", "c100"])
    path = tiny_models.save(model, tmp_path / "model.onnx")
    tool("qopt-translate", "--import-onnx", "--sizes", path, timeout=20)


def test_calls_within_the_limits(tool, tmp_path):
    """2^9 calls are inlined, and 63 levels of them."""
    text = tool("qopt-translate", "--import-onnx", tiny_models.save(chain(9, 2), tmp_path / "model.onnx")).stdout
    assert text.count("onnx.Neg") == 2**9
    tool("qopt-translate", "--import-onnx", tiny_models.save(chain(63, 1), tmp_path / "model.onnx"))


def test_a_wrong_declared_output_type(refused):
    output = tiny_models.value("y", ["n", 4], TensorProto.INT64)
    model = tiny_models.model_of([node("Abs", ["x"])], ["x"], [output])
    assert 'output "y" is declared as int64' in refused(model)
