"""Models that are damaged, hostile or beyond the importer: one clear message each, no crash, nothing read outside."""

import itertools
import os
import time

import numpy as np
import onnx
import pytest
import tiny_models
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


@pytest.mark.parametrize(
    "content, message",
    [
        (b"", "is empty"),
        (b"hello, this is text", "is no ONNX file"),
        (b"PK\x03\x04" + b"\0" * 64, "zip archive"),
        (b"GGUF" + b"\0" * 64, "GGUF"),
        (b"\x40\0\0\0\0\0\0\0{" + b" " * 64, "safetensors"),
        (b"version https://git-lfs.github.com/spec/v1\n", "git lfs pull"),
        (b"\x08\x07", "has no graph"),
    ],
)
def test_not_a_model(refused, content, message):
    assert message in refused(content)


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


def test_beyond_two_gigabytes(tool, tmp_path):
    path = tmp_path / "model.onnx"
    with open(path, "wb") as file:
        file.truncate(2**31 + 10)
    done = tool("qopt-translate", "--import-onnx", path, check=False)
    assert done.returncode == 3 and "save the model with external data" in done.stderr


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


@pytest.mark.parametrize(
    "location, message",
    [
        ("../w.bin", "leaves the model's folder"),
        ("a/../../w.bin", "leaves the model's folder"),
        ("/etc/passwd", "is absolute"),
        ("", "is empty"),
        (".", "names no file"),
        ("none.bin", "is missing"),
        ("w.bin/x", "is missing"),
    ],
)
def test_external_location(refused, tmp_path, location, message):
    with_data(tmp_path)
    assert message in refused(tiny_models.linear(tiny_models.external(location=location)))


@pytest.mark.parametrize(
    "entries, message",
    [
        ({"length": 60}, "has 60 bytes; expected 64"),
        ({"offset": 100}, "beyond the end"),
        ({"offset": 32}, "has 32 bytes; expected 64"),
        ({"length": 65}, "is too short"),
        ({"offset": 2**63}, "expected a number of bytes"),
        ({"offset": -4}, "expected a number of bytes"),
        ({"length": 2**52}, "is too short"),
        ({"__class__": "x"}, 'key "__class__" is not known'),
        ({"checksum": "0" * 40}, "has SHA-1"),
    ],
)
def test_external_entries(refused, tmp_path, entries, message):
    with_data(tmp_path)
    assert message in refused(tiny_models.linear(tiny_models.external(location="w.bin", **entries)))


def test_external_links(refused, tmp_path):
    (tmp_path / "outside").mkdir()
    with_data(tmp_path / "outside")
    os.symlink(tmp_path / "outside/w.bin", tmp_path / "link.bin")
    os.symlink(tmp_path / "outside", tmp_path / "folder")
    os.link(tmp_path / "outside/w.bin", tmp_path / "hard.bin")
    for location in ("link.bin", "folder/w.bin"):
        assert "symbolic link" in refused(tiny_models.linear(tiny_models.external(location=location)))
    assert "hard links" in refused(tiny_models.linear(tiny_models.external(location="hard.bin")))
    os.mkfifo(tmp_path / "pipe")
    assert "no regular file" in refused(tiny_models.linear(tiny_models.external(location="pipe")))


def test_external_overlap(refused, tmp_path):
    with_data(tmp_path, size=128)
    second = tiny_models.external(location="w.bin", offset=32, length=64)
    second.name = "v"
    first = tiny_models.external(location="w.bin", offset=0, length=64)
    nodes = [node("MatMul", ["x", "w"], ["a"]), node("MatMul", ["a", "v"], ["y"])]
    assert "overlaps" in refused(tiny_models.model_of(nodes, ["x"], ["y"], [first, second]))


# -- tensors and values


def tensor(dims, raw=b"", data_type=TensorProto.FLOAT):
    return TensorProto(name="w", data_type=data_type, dims=dims, raw_data=raw)


@pytest.mark.parametrize(
    "weight, message",
    [
        (tensor([4, 4], b"\0" * 60), "has 60 bytes; expected 64"),
        (tensor([4, -4], b"\0" * 64), "negative dimension -4"),
        (tensor([2**40, 2**40], b""), "overflows"),
        (tensor([2**61], b""), "too large to address"),
        (tensor([4], b"\0" * 16, TensorProto.STRING), "tensors of string are not supported"),
        (tensor([4], b"\0" * 16, 99), "data type 99"),
        (tensor([1] * 65, b"\0" * 4), "65 dimensions"),
    ],
)
def test_tensors(refused, weight, message):
    text = refused(tiny_models.linear(weight))
    assert message in text and '"w"' in text


def test_empty_names_at_the_end_mean_nothing(tool, tmp_path):
    model = tiny_models.model_of([node("Abs", ["x", "", ""], ["y", ""])], ["x"], ["y"])
    tool("qopt-translate", "--import-onnx", tiny_models.save(model, tmp_path / "model.onnx"))


def test_names(refused):
    twice = [node("Abs", ["x"]), node("Neg", ["x"])]
    assert 'the value "y" is defined twice' in refused(tiny_models.model_of(twice, ["x"], ["y"]))
    weight = ints("w", 1)
    assert '"w" is defined twice' in refused(tiny_models.model_of([node("Abs", ["w"])], [], ["y"], [weight, weight]))
    assert "NUL" in refused(tiny_models.model_of([node("Abs", ["x"], ["a\0b"])], ["x"], ["a\0b"]))
    assert 'reads "z", which no node before it' in refused(one("Abs", ["z"]))
    cycle = [node("Add", ["x", "b"], ["a"]), node("Abs", ["a"], ["b"])]
    assert 'reads "b"' in refused(tiny_models.model_of(cycle, ["x"], ["b"]))
    assert 'output "q"' in refused(tiny_models.model_of([node("Abs", ["x"])], ["x"], ["q"]))


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


@pytest.mark.parametrize("opset", [10, 29, 1000])
def test_opsets(refused, opset):
    text = refused(one("Abs", opset=opset))
    assert f"opset {opset} of the model; expected 11 to 28" in text


@pytest.mark.parametrize(
    "model, message",
    [
        (one("Softmax", axis=7), "axis 7 is out of range"),
        (one("Softmax", axis="last"), 'attribute "axis" has the wrong type; expected an integer'),
        (one("Softmax", colour=1), 'attribute "colour" is not known'),
        (one("Gelu", opset=20, approximate="cubic"), "one of none, tanh"),
        (one("Abs", ["x", "x"]), "has 2 inputs; expected 1"),
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


def test_packed_weights_agree_with_attributes(refused):
    def model(n=8, k=32, bits=4, block=32, packed=(8, 1, 16), scales=8):
        b = numpy_helper.from_array(np.zeros(packed, dtype=np.uint8), "b")
        s = numpy_helper.from_array(np.zeros(scales, dtype=np.float32), "s")
        made = helper.make_node(
            "MatMulNBits",
            ["x", "b", "s"],
            ["y"],
            name="q",
            domain="com.microsoft",
            K=k,
            N=n,
            bits=bits,
            block_size=block,
        )
        return tiny_models.model_of(
            [made], [tiny_models.value("x", ["n", 32])], ["y"], [b, s], domains=["com.microsoft"]
        )

    assert "B has shape [8, 1, 16]; expected 256 elements" in refused(model(n=16))
    assert "scales has shape [4]; expected 8 elements" in refused(model(scales=4))
    assert "expected K = 64 columns" in refused(model(k=64, packed=(8, 2, 16), scales=16))
    assert "bits is 5" in refused(model(bits=5))
    assert "block_size is 24" in refused(model(block=24))
    assert "out of range" in refused(model(n=-1))
    assert "out of range" in refused(model(k=2**62))


def field(number, content):
    """A length-delimited field of the wire format."""
    content = content.encode() if isinstance(content, str) else content
    size, rest = b"", len(content)
    while rest >= 0x80:
        size, rest = size + bytes([rest & 0x7F | 0x80]), rest >> 7
    return bytes([number << 3 | 2]) + size + bytes([rest]) + content


@pytest.mark.parametrize("levels", [33, 60, 5000])
def test_nesting(refused, levels):
    """If inside If, written by hand: the protobuf packages refuse to build it."""
    flag = tiny_models.value("c", [], TensorProto.BOOL)
    graph = field(1, node("Neg", ["x"], ["o"]).SerializeToString())
    graph += field(12, tiny_models.value("o", None).SerializeToString())
    leaf = graph
    for _ in range(levels):
        branches = b""
        for name, content in (("then_branch", graph), ("else_branch", leaf)):
            branches += field(5, field(1, name) + field(6, content) + b"\xa0\x01\x05")
        output = tiny_models.value("o", None).SerializeToString()
        graph = field(1, field(1, "c") + field(2, "o") + field(4, "If") + branches) + field(12, output)
    for info in (flag, tiny_models.value("x", ["n", 4])):
        graph += field(11, info.SerializeToString())
    opset = helper.make_opsetid("", 18).SerializeToString()
    assert "deep" in refused(b"\x08\x08" + field(7, graph) + field(8, opset))


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


def test_functions(refused):
    opsets = [helper.make_opsetid("", 18), helper.make_opsetid("my", 1)]
    call = helper.make_node("F", ["a"], ["b"], domain="my")
    itself = helper.make_function("my", "F", ["a"], ["b"], [call], opsets)
    model = tiny_models.model_of(
        [helper.make_node("F", ["x"], ["y"], name="f", domain="my")], ["x"], ["y"], domains=["my"], functions=[itself]
    )
    assert "calls itself" in refused(model)


def chain(levels, calls):
    """Functions F0, F1, … of which each calls the next `calls` times, one after the other."""
    opsets = [helper.make_opsetid("", 18), helper.make_opsetid("my", 1)]
    functions = []
    for level in range(levels):
        names = ["a", *(f"v{i}" for i in range(calls - 1)), "b"]
        nodes = [helper.make_node(f"F{level + 1}", [x], [y], domain="my") for x, y in itertools.pairwise(names)]
        functions.append(helper.make_function("my", f"F{level}", ["a"], ["b"], nodes, opsets))
    leaf = [helper.make_node("Neg", ["a"], ["b"])]
    functions.append(helper.make_function("my", f"F{levels}", ["a"], ["b"], leaf, opsets))
    call = helper.make_node("F0", ["x"], ["y"], name="f", domain="my")
    return tiny_models.model_of([call], ["x"], ["y"], domains=["my"], functions=functions)


def test_calls_that_multiply(refused, tool, tmp_path):
    """2 KB that would be inlined as 2^30 nodes are refused at once; 2^9 are inlined."""
    start = time.monotonic()
    model = chain(30, 2)
    assert len(model.SerializeToString()) < 4096
    assert "more than 1048576 nodes" in refused(model)
    assert time.monotonic() - start < 2
    assert "more than 64" in refused(chain(65, 1))
    assert "nested more than 64 calls deep" in refused(chain(5000, 1))
    text = tool("qopt-translate", "--import-onnx", tiny_models.save(chain(9, 2), tmp_path / "model.onnx")).stdout
    assert text.count("onnx.Neg") == 2**9
    tool("qopt-translate", "--import-onnx", tiny_models.save(chain(63, 1), tmp_path / "model.onnx"))


def test_attributes_that_multiply(refused):
    """Each function hands on a graph that has the one it was given twice."""

    def branch(name):  # a graph, given to the function as its attribute
        return onnx.AttributeProto(name=name, ref_attr_name="body", type=onnx.AttributeProto.GRAPH)

    opsets = [helper.make_opsetid("", 18), helper.make_opsetid("my", 1)]
    output = tiny_models.value("o", None)
    functions = []
    for level in range(40):
        inner = helper.make_node("If", ["c"], ["o"])
        inner.attribute.extend([branch("then_branch"), branch("else_branch")])
        both = helper.make_graph([inner], "both", [], [output])
        call = helper.make_node(f"F{level + 1}", ["c", "a"], ["b"], domain="my", body=both)
        made = helper.make_function("my", f"F{level}", ["c", "a"], ["b"], [call], opsets, attributes=["body"])
        functions.append(made)
    leaf = helper.make_node("If", ["c"], ["b"])
    leaf.attribute.extend([branch("then_branch"), branch("else_branch")])
    functions.append(helper.make_function("my", "F40", ["c", "a"], ["b"], [leaf], opsets, attributes=["body"]))
    seed = helper.make_graph([helper.make_node("Neg", ["x"], ["o"])], "seed", [], [output])
    call = helper.make_node("F0", ["c", "x"], ["y"], domain="my", body=seed)
    flag = tiny_models.value("c", [], TensorProto.BOOL)
    model = tiny_models.model_of([call], [flag, "x"], ["y"], domains=["my"], functions=functions)
    start = time.monotonic()
    assert "more than 64 MiB" in refused(model)
    assert time.monotonic() - start < 4  # some 0.5 s on an idle processor


def test_a_wrong_declared_output_type(refused):
    output = tiny_models.value("y", ["n", 4], TensorProto.INT64)
    model = tiny_models.model_of([node("Abs", ["x"])], ["x"], [output])
    assert 'output "y" is declared as int64' in refused(model)


def test_sparse_tensors_have_no_second_way_in(refused):
    model = tiny_models.linear()
    sparse = onnx.SparseTensorProto(dims=[4])
    sparse.values.CopyFrom(tiny_models.external(location="/etc/passwd"))
    model.graph.sparse_initializer.append(sparse)
    assert "sparse initializers are not supported" in refused(model)
