"""What qopt-compile promises: the same bytes for the same inputs, one clear error for bad ones, whole files only."""

import json
import os
import pathlib
import resource
import shutil
import signal
import subprocess
import sys

import numpy as np
import onnx
import pytest
from conftest import BUILD
from onnx import TensorProto, helper, numpy_helper

SOURCE = pathlib.Path(__file__).resolve().parents[2]
USAGE, BAD_MODEL, UNSUPPORTED, INFEASIBLE, RESOURCES, NOT_FOUND, UNWRITABLE = 2, 3, 4, 5, 7, 9, 10


def save_linear(folder, weight, kind="MatMul"):
    """A graph y = x W with one weight, as folder/model.onnx."""
    folder.mkdir(exist_ok=True)
    k, n = weight.shape
    node = helper.make_node(kind, ["x", "w"], ["y"], name="projection")
    info = helper.make_tensor_value_info
    graph = helper.make_graph(
        [node],
        "main",
        [info("x", TensorProto.FLOAT, ["rows", k])],
        [info("y", TensorProto.FLOAT, ["rows", n])],
        [numpy_helper.from_array(weight, "w")],
    )
    onnx.save(
        helper.make_model(graph, opset_imports=[helper.make_opsetid("", 21)], ir_version=10), folder / "model.onnx"
    )
    return folder / "model.onnx"


def refused(tool, code, *arguments):
    """Runs qopt-compile, expects this exit status and one error; returns its text."""
    done = tool("qopt-compile", *arguments, check=False)
    assert done.returncode == code, done.stderr
    assert done.stderr.count("error:") == 1, done.stderr
    return done.stderr


def test_summary(tool, stories, tmp_path):
    summary = json.loads(tool("qopt-compile", stories, "-o", tmp_path / "m.qopt", "--json").stdout)
    assert summary["kind"] == "decoder"
    assert summary["raised_layers"] == summary["layers"] == 5
    assert summary["artifact_bytes"] == (tmp_path / "m.qopt").stat().st_size


def test_a_head_that_copies_the_embedding_is_stored_once(tool, shared, tmp_path):
    """One exporter writes the matrix twice, the other once; the artifacts have it once."""
    weights = {}
    for exporter in ("optimum", "dynamo"):
        run = (shared / f"zoo/stories260k-{exporter}", "-o", tmp_path / "m.qopt", "--json")
        weights[exporter] = json.loads(tool("qopt-compile", *run).stdout)["weights"]
    sizes = [sorted((w["rows"], w["columns"], w["bytes"]) for w in found) for found in weights.values()]
    assert sizes[0] == sizes[1]
    assert sum(w["rows"] == 512 for w in weights["optimum"]) == 1


def test_one_weight_as_head_and_embedding(tool, stories, tmp_path):
    """It has the head's format unless --embedding says another; that it is one is no news."""
    for options, formats in (
        (["--weights", "int8"], ["int8"]),
        (["--lm-head", "f16"], ["f16"]),
        (["--weights", "int8", "--embedding", "f16"], ["f16", "int8"]),
    ):
        summary = json.loads(tool("qopt-compile", stories, *options, "-o", tmp_path / "m.qopt", "--json").stdout)
        assert sorted(w["format"] for w in summary["weights"] if w["rows"] == 512) == formats
        assert not [remark for remark in summary["remarks"] if "is a copy of" in remark]


@pytest.mark.parametrize("stage", ["onnx", "qopt", "quantized", "fused", "scheduled", "kernels"])
def test_every_stage_prints(tool, stories, stage):
    assert "func.func" in tool("qopt-compile", stories, "--emit", stage).stdout


def test_same_bytes_in_any_folder_with_any_threads(tool, stories, tmp_path):
    made = []
    for number, threads in enumerate((1, 2)):
        folder = tmp_path / str(number)
        shutil.copytree(stories, folder)
        tool("qopt-compile", folder, "--weights", "int8", "--threads", threads, "-o", folder / "m.qopt")
        made.append((folder / "m.qopt").read_bytes())
    assert made[0] == made[1]


def test_an_artifact_of_a_plan_differs_in_its_options_alone(tool, stories, tmp_path):
    """Made again from the plan that was saved: plan, segments and all else are the same, and the option says why."""
    plans, found = [tmp_path / "p.json", tmp_path / "q.json"], []
    for options, plan in ((("--weights", "int8"), plans[0]), (("--plan", plans[0]), plans[1])):
        path = tmp_path / f"{plan.stem}.qopt"
        tool("qopt-compile", stories, *options, "--save-plan", plan, "-o", path)
        found.append(json.loads(tool("qopt-inspect", path, "--json").stdout))
        del found[-1]["manifest"]["file"]
    assert plans[0].read_bytes() == plans[1].read_bytes()
    given = [each["manifest"].pop("options") for each in found]
    assert found[0] == found[1] and found[0]["segments"][0]["sha256"]
    assert given[0].items() ^ given[1].items() == {("weights", "int8"), ("plan", "p.json")}


def test_formats_of_single_weights(tool, stories, tmp_path):
    options = ["--format", "re:^node_linear_3$=int8", "--json"]
    summary = json.loads(tool("qopt-compile", stories, *options, "-o", tmp_path / "m.qopt").stdout)
    formats = {weight["name"]: weight["format"] for weight in summary["weights"]}
    assert formats.pop("node_linear_3") == "int8"
    assert set(formats.values()) == {"f32"}


@pytest.mark.parametrize(
    ("given", "recorded"),
    [
        ([], {"target": "host", "cpu": "x86-64-v3"}),
        (
            ["--as", "graph", "--weights", "int8"],
            {"target": "host", "cpu": "x86-64-v3", "as": "graph", "weights": "int8"},
        ),
        (["--target", "cuda", "--context", "64"], {"target": "cuda", "arch": "sm_90a", "context": "64"}),
    ],
    ids=["nothing", "graph", "cuda"],
)
def test_options_are_recorded_as_given(tool, stories, tmp_path, given, recorded):
    tool("qopt-compile", stories, *given, "-o", tmp_path / "m.qopt")
    found = json.loads(tool("qopt-inspect", tmp_path / "m.qopt", "--json").stdout)
    assert found["manifest"]["options"] == recorded


def test_not_an_onnx_file(tool, tmp_path):
    model = tmp_path / "model.onnx"
    model.write_bytes(b"this is no protobuf" * 10)
    assert "model.onnx" in refused(tool, BAD_MODEL, model, "-o", tmp_path / "m.qopt")
    assert list(tmp_path.iterdir()) == [model]


def test_missing_file(tool, tmp_path):
    assert "none.onnx" in refused(tool, NOT_FOUND, tmp_path / "none.onnx", "-o", tmp_path / "m.qopt")


def test_truncated_file(tool, stories, tmp_path):
    content = (stories / "model.onnx").read_bytes()
    model = tmp_path / "model.onnx"
    for size in (0, 1, 100, len(content) // 2, len(content) - 1):
        model.write_bytes(content[:size])
        refused(tool, BAD_MODEL, model, "-o", tmp_path / "m.qopt")
        assert list(tmp_path.iterdir()) == [model]


def test_unknown_operators_are_listed_together(tool, tmp_path):
    info = helper.make_tensor_value_info
    nodes = [
        helper.make_node("Frobnicate", ["x"], ["a"], name="first"),
        helper.make_node("Twiddle", ["a"], ["y"], name="second", domain="org.example"),
    ]
    graph = helper.make_graph(nodes, "main", [info("x", TensorProto.FLOAT, [2])], [info("y", TensorProto.FLOAT, [2])])
    opsets = [helper.make_opsetid("", 21), helper.make_opsetid("org.example", 1)]
    onnx.save(helper.make_model(graph, opset_imports=opsets, ir_version=10), tmp_path / "model.onnx")
    message = refused(tool, UNSUPPORTED, tmp_path / "model.onnx", "-o", tmp_path / "m.qopt")
    for part in ("Frobnicate", "first", "Twiddle", "second", "org.example"):
        assert part in message


@pytest.mark.parametrize("value", [np.nan, np.inf])
def test_weight_that_is_not_finite(tool, tmp_path, value):
    weight = np.ones((32, 16), np.float32)
    weight[3, 5] = value
    model = save_linear(tmp_path, weight)
    message = refused(tool, BAD_MODEL, model, "-o", tmp_path / "m.qopt")
    assert '"w"' in message and "row 5, column 3" in message
    assert list(tmp_path.iterdir()) == [model]


@pytest.mark.parametrize("value", [np.nan, np.inf])
@pytest.mark.parametrize("kind", ["LayerNormalization", "Gemm"])
def test_parameter_that_is_not_finite(tool, tmp_path, kind, value):
    """Scales and biases are weights too; infinities of a mask are not."""
    vector = np.ones(16, np.float32)
    vector[3] = value
    model = onnx.load(save_linear(tmp_path, np.ones((16, 16), np.float32), "Gemm"))
    model.graph.initializer.append(numpy_helper.from_array(vector, "v"))
    node = model.graph.node[0]
    if kind == "Gemm":
        node.input.append("v")
    else:
        node.output[0] = "z"
        model.graph.node.append(helper.make_node(kind, ["z", "v"], ["y"], name="norm"))
    onnx.save(model, tmp_path / "model.onnx")
    message = refused(tool, BAD_MODEL, tmp_path / "model.onnx", "-o", tmp_path / "m.qopt")
    assert 'the constant "v" has the value' in message and "at element 3" in message


@pytest.mark.parametrize(
    ("version", "code", "message"),
    [
        (0, BAD_MODEL, "has no ir_version; expected 3 to 14"),
        (None, BAD_MODEL, "has no ir_version; expected 3 to 14"),
        (-1, BAD_MODEL, "has no ir_version; expected 3 to 14"),
        (2, UNSUPPORTED, "ir_version 2 of the file; expected 3 to 14, save the model with an onnx package"),
        (15, UNSUPPORTED, "ir_version 15 of the file; expected 3 to 14"),
        (2**40, UNSUPPORTED, f"ir_version {2**40} of the file; expected 3 to 14"),
    ],
)
def test_version_of_the_file(tool, tmp_path, version, code, message):
    model = onnx.load(save_linear(tmp_path, np.ones((32, 16), np.float32)))
    model.ClearField("ir_version")
    if version is not None:
        model.ir_version = version
    (tmp_path / "model.onnx").write_bytes(model.SerializeToString())
    assert message in refused(tool, code, tmp_path / "model.onnx", "-o", tmp_path / "m.qopt")


@pytest.mark.parametrize("version", [3, 14])
def test_versions_of_the_file_that_are_read(tool, tmp_path, version):
    model = onnx.load(save_linear(tmp_path, np.ones((32, 16), np.float32)))
    model.ir_version = version
    (tmp_path / "model.onnx").write_bytes(model.SerializeToString())
    tool("qopt-compile", tmp_path / "model.onnx", "-o", tmp_path / "m.qopt")


def test_all_that_is_unknown_is_one_list(tool, tmp_path):
    """The file's version, domains, operators and opsets, in functions and branches too, each with its nodes. A domain
    that is imported and that no node is of is none of this."""
    info = helper.make_tensor_value_info
    branch = helper.make_graph(
        [helper.make_node("Deep", ["x"], ["b"], name="within", domain="org.branch")],
        "branch",
        [],
        [info("b", TensorProto.FLOAT, [2])],
    )
    nodes = [
        helper.make_node("Twiddle", ["x"], ["a"], name="one", domain="org.example"),
        helper.make_node("Twiddle", ["a"], ["c"], name="two", domain="org.example"),
        helper.make_node("Twist", ["c"], ["d"], name="three", domain="net.example"),
        helper.make_node("Wrapped", ["d"], ["e"], name="call", domain="local"),
        helper.make_node("If", ["t"], ["y"], name="branches", then_branch=branch, else_branch=branch),
    ]
    function = helper.make_function(
        "local",
        "Wrapped",
        ["p"],
        ["q"],
        [helper.make_node("Inner", ["p"], ["q"], name="inside", domain="org.inner")],
        [helper.make_opsetid("org.inner", 3)],
    )
    inputs = [info("x", TensorProto.FLOAT, [2]), info("t", TensorProto.BOOL, [])]
    graph = helper.make_graph(nodes, "main", inputs, [info("y", TensorProto.FLOAT, [2])])
    domains = ["org.example", "net.example", "local", "org.branch", "org.unused"]
    opsets = [helper.make_opsetid("", 21), *(helper.make_opsetid(domain, 2) for domain in domains)]
    model = helper.make_model(graph, opset_imports=opsets, ir_version=99, functions=[function])
    (tmp_path / "model.onnx").write_bytes(model.SerializeToString())
    message = refused(tool, UNSUPPORTED, tmp_path / "model.onnx", "-o", tmp_path / "m.qopt")
    for line in (
        "ir_version 99 of the file; expected 3 to 14",
        'Twiddle (org.example 2): node "one", "two"',
        'Twist (net.example 2): node "three"',
        'Inner (org.inner 3): node "inside"',
        'Deep (org.branch 2): node "within", "within"',
    ):
        assert f"\n  {line}" in message, message
    assert "org.unused" not in message
    del model.opset_import[0]  # the default domain's
    (tmp_path / "model.onnx").write_bytes(model.SerializeToString())
    message = refused(tool, UNSUPPORTED, tmp_path / "model.onnx", "-o", tmp_path / "m.qopt")
    assert 'If (opset ?), whose opset the model does not name: node "branches"' in message


def test_infinities_of_a_mask_are_allowed(tool, tmp_path):
    model = onnx.load(save_linear(tmp_path, np.ones((16, 16), np.float32)))
    model.graph.node[0].output[0] = "z"
    mask = np.where(np.arange(16) % 2, -np.inf, 0).astype(np.float32)
    model.graph.initializer.append(numpy_helper.from_array(mask, "mask"))
    model.graph.node.append(helper.make_node("Max", ["z", "mask"], ["y"], name="max"))
    onnx.save(model, tmp_path / "model.onnx")
    tool("qopt-compile", tmp_path / "model.onnx", "-o", tmp_path / "m.qopt")


def quantized_linear(folder):
    """y = x W with four-bit codes, as onnxruntime's quantizer writes them."""
    model = onnx.load(save_linear(folder, np.ones((32, 16), np.float32)))
    node = helper.make_node("MatMulNBits", ["x", "codes", "scales"], ["y"], name="projection", domain="com.microsoft")
    sizes = {"K": 32, "N": 16, "bits": 4, "block_size": 32}
    node.attribute.extend(helper.make_attribute(name, size) for name, size in sizes.items())
    model.graph.node[0].CopyFrom(node)
    model.graph.initializer[0].CopyFrom(numpy_helper.from_array(np.full((16, 1, 16), 0x99, np.uint8), "codes"))
    model.graph.initializer.append(numpy_helper.from_array(np.full(16, 0.5, np.float32), "scales"))
    model.opset_import.append(helper.make_opsetid("com.microsoft", 1))
    onnx.save(model, folder / "model.onnx")
    return folder / "model.onnx"


def test_weights_that_are_quantized_already(tool, tmp_path):
    """An option that means this very weight is refused; one for all weights leaves it and says so."""
    model, output = quantized_linear(tmp_path / "model"), tmp_path / "m.qopt"
    summary = json.loads(tool("qopt-compile", model, "-o", output, "--json").stdout)
    (weight,) = summary["weights"]
    assert weight["format"].startswith("int4") and summary["warnings"] == []
    message = refused(tool, USAGE, model, "--format", f"{weight['name']}=int8", "-o", output)
    assert "the file has quantized the weight" in message and "leave the option out" in message
    for more in ((), ("--emit", "quantized")):
        to = () if more else ("-o", output)
        done = tool("qopt-compile", model, "--weights", "int8", *more, *to)
        assert done.stderr.startswith("warning: --weights int8 leaves weights as the file has quantized them: ")
    summary = json.loads(tool("qopt-compile", model, "--weights", "int8", "-o", output, "--json").stdout)
    assert summary["weights"] == [weight] and len(summary["warnings"]) == 1


@pytest.mark.parametrize("value", [np.nan, np.inf])
@pytest.mark.parametrize("kind", ["scale", "zero point"])
def test_quantized_weight_that_is_not_finite(tool, tmp_path, kind, value):
    model = onnx.load(quantized_linear(tmp_path))
    numbers = np.full(16, 0.5, np.float32)
    if kind == "zero point":
        model.graph.node[0].input.append("zeros")
        model.graph.initializer.append(numpy_helper.from_array(numbers, "zeros"))
    numbers[7] = value
    model.graph.initializer[-1].CopyFrom(numpy_helper.from_array(numbers, model.graph.initializer[-1].name))
    onnx.save(model, tmp_path / "model.onnx")
    message = refused(tool, BAD_MODEL, tmp_path / "model.onnx", "-o", tmp_path / "m.qopt")
    word = "nan" if np.isnan(value) else "infinity"
    assert f'weight "codes" has the {kind} {word} at row 7, group 0' in message


@pytest.mark.parametrize(
    ("size", "asked", "message"),
    [
        (1e20, "f16", "the value 1e+20 at row 0, column 0 is beyond f16, whose largest is 65504; use bf16 or f32"),
        (1e20, "int4_g32", "the values from row 0, column 0 on, up to 1e+20, need a scale in"),
        (1e-8, "f16", "the value 1e-08 at row 0, column 0 would become zero: f16 ends at 6e-08; use bf16 or f32"),
        (1e-8, "int4_g32", "use a format with f32 scales (int4_g32_sf32)"),
    ],
)
def test_weight_beyond_the_asked_format(tool, tmp_path, size, asked, message):
    """Too large or too small: neither infinities nor zeros come of it in silence."""
    model = save_linear(tmp_path, np.full((32, 16), size, np.float32))
    why = refused(tool, INFEASIBLE, model, "--weights", asked, "-o", tmp_path / "m.qopt")
    assert 'weight "w": ' in why and message in why
    wider = "int4_g32_sf32" if asked.startswith("int4") else "bf16"
    tool("qopt-compile", model, "--weights", wider, "-o", tmp_path / "m.qopt")


def test_an_error_of_a_later_stage_names_the_node(tool, tmp_path):
    """Tables of two shapes, which raising finds; the node's name is a letter of the message."""
    info = helper.make_tensor_value_info
    sizes = {"x": [1, "s", 16], "c": [1, "s", 2], "d": [1, "s", 1]}
    graph = helper.make_graph(
        [helper.make_node("RotaryEmbedding", ["x", "c", "d"], ["y"], name="a", num_heads=4)],
        "main",
        [info(name, TensorProto.FLOAT, size) for name, size in sizes.items()],
        [info("y", TensorProto.FLOAT, sizes["x"])],
    )
    onnx.save(
        helper.make_model(graph, opset_imports=[helper.make_opsetid("", 23)], ir_version=10), tmp_path / "model.onnx"
    )
    message = refused(tool, UNSUPPORTED, tmp_path / "model.onnx", "-o", tmp_path / "m.qopt")
    assert 'node "a" (RotaryEmbedding, opset 23): ' in message and "qopt." not in message, message


def test_context_beyond_the_model(tool, stories, tmp_path):
    message = refused(tool, INFEASIBLE, stories, "--context", 99999, "-o", tmp_path / "m.qopt")
    assert "99999" in message and 'config.json" says max_position_embeddings 512' in message
    tool("qopt-compile", stories, "--context", 512, "-o", tmp_path / "m.qopt")


EMIT = [
    ("--cpu", "x86-64-v4"),
    ("--json",),
    ("--strict",),
    ("--tokenizer", "x"),
]
EMIT += [("--arch", "sm_80"), ("--arch", "sm_80", "--target", "cuda"), ("--report",)]


@pytest.mark.parametrize("option", EMIT, ids=" ".join)
def test_options_that_a_stage_has_no_use_for(tool, stories, option):
    message = refused(tool, USAGE, stories, "--emit", "qopt", *option)
    assert (
        message.startswith(f"error: {option[0]} is for ") and "--emit qopt has no use for it, leave it out" in message
    )


def test_options_that_a_target_has_no_use_for(tool, stories, tmp_path):
    output = ("-o", tmp_path / "m.qopt")
    for option in (("--arch", "sm_80"), ("--report",)):
        assert f"{option[0]} is for --target cuda" in refused(tool, USAGE, stories, *option, *output)
    for stage in ("gpu", "ptx", "sass"):
        assert "for the target cuda" in refused(tool, USAGE, stories, "--emit", stage)


def test_unknown_processor(tool, stories, tmp_path):
    message = refused(tool, USAGE, stories, "--cpu", "bogus", "-o", tmp_path / "m.qopt")
    assert '"bogus"' in message and "x86-64-v3" in message


def test_group_that_does_not_divide(tool, tmp_path):
    model = save_linear(tmp_path, np.ones((48, 16), np.float32))
    message = refused(tool, INFEASIBLE, model, "--weights", "int4_g32", "-o", tmp_path / "m.qopt")
    assert "32" in message and "48" in message and "--format 'w=int8'" in message


def test_several_errors_are_one_list(tool, stories, tmp_path):
    message = refused(tool, INFEASIBLE, stories, "--weights", "int4_g32", "-o", tmp_path / "m.qopt")
    assert message.startswith(
        'error: the group size 32 of "int4_g32" does not divide the 172 columns of "node_linear_6", '
    )
    assert message.count("\n") == 1
    formats = ("--format", "re:none=int8", "--format", "re:nothing=f16", "--weights", "int4_g32")
    lines = refused(tool, USAGE, stories, *formats, "-o", tmp_path / "m.qopt").splitlines()
    assert lines[0] == "error: 3 errors:" and all(line.startswith("  ") for line in lines[1:]) and len(lines) == 4


@pytest.mark.parametrize("option", [["--weights", "int7"], ["--format", "re:nothing=int8"], ["--format", "re:(=int8"]])
def test_options_out_of_range(tool, stories, tmp_path, option):
    assert option[1].split("=")[0].split(":")[-1] in refused(tool, USAGE, stories, *option, "-o", tmp_path / "m.qopt")


def test_unwritable_output(tool, stories, tmp_path):
    message = refused(tool, UNWRITABLE, stories, "-o", tmp_path / "none" / "m.qopt")
    assert "none" in message


def test_tokenizer_with_too_many_tokens(tool, stories, tmp_path):
    tokenizer = json.loads((stories / "tokenizer.json").read_text())
    tokenizer["added_tokens"].append(
        {"id": 600, "content": "<extra>", "special": True, "single_word": False}
        | {"lstrip": False, "rstrip": False, "normalized": False}
    )
    (tmp_path / "tokenizer.json").write_text(json.dumps(tokenizer))
    options = ["--tokenizer", tmp_path / "tokenizer.json", "-o", tmp_path / "m.qopt"]
    assert "<extra>" in refused(tool, BAD_MODEL, stories, *options)


def external_model(folder, location="weights.bin", length=32 * 16 * 4):
    """y = x W with the weight in another file."""
    model = onnx.load(save_linear(folder, np.ones((32, 16), np.float32)))
    tensor = model.graph.initializer[0]
    tensor.ClearField("raw_data")
    tensor.data_location = TensorProto.EXTERNAL
    for key, value in (("location", location), ("offset", 0), ("length", length)):
        tensor.external_data.add(key=key, value=str(value))
    (folder / "model.onnx").write_bytes(model.SerializeToString())
    return folder / "model.onnx"


def test_external_data_missing_short_or_outside(tool, tmp_path):
    folder = tmp_path / "model"
    output = tmp_path / "m.qopt"
    assert "weights.bin" in refused(tool, NOT_FOUND, external_model(folder), "-o", output)
    (folder / "weights.bin").write_bytes(b"\0" * 100)
    assert "weights.bin" in refused(tool, BAD_MODEL, external_model(folder), "-o", output)
    (tmp_path / "secret.bin").write_bytes(b"\0" * 2048)
    assert "secret.bin" in refused(tool, BAD_MODEL, external_model(folder, "../secret.bin"), "-o", output)
    (folder / "weights.bin").write_bytes(b"\0" * 2048)
    tool("qopt-compile", external_model(folder), "-o", output)


def test_strict_refuses_generic_code(tool, stories, tmp_path):
    output = tmp_path / "m.qopt"
    tool("qopt-compile", stories, "--strict", "-o", output)
    output.unlink()
    message = refused(tool, UNSUPPORTED, stories, "--as", "graph", "--strict", "-o", output)
    assert "generic" in message
    assert not output.exists()


def test_an_input_is_never_replaced(tool, stories, tmp_path):
    folder = tmp_path / "model"
    shutil.copytree(stories, folder)
    for name in ("model.onnx", "tokenizer.json", "config.json"):
        before = (folder / name).read_bytes()
        message = refused(tool, USAGE, folder, "-o", folder / name)
        assert name in message and "not an artifact" in message
        assert (folder / name).read_bytes() == before
    output = tmp_path / "m.qopt"
    tool("qopt-compile", folder, "-o", output)
    tool("qopt-compile", folder, "-o", output)  # an artifact may be replaced


def test_the_reason_is_told_where_a_model_is_no_decoder(tool, tmp_path):
    model = save_linear(tmp_path, np.ones((32, 16), np.float32))
    message = refused(tool, UNSUPPORTED, model, "--as", "decoder", "-o", tmp_path / "m.qopt")
    assert "it has no input of token ids" in message
    remarks = tool("qopt-compile", model, "--remarks", "-o", tmp_path / "m.qopt").stderr
    assert "it has no input of token ids" in remarks


@pytest.mark.parametrize(
    ("key", "value"),
    [
        ("max_position_embeddings", -7),
        ("eos_token_id", 99999),
        ("max_position_embeddings", "many"),
        ("eos_token_id", "end"),
        ("eos_token_id", [2, 2.5]),
        ("bos_token_id", {}),
        ("pad_token_id", "[PAD]"),
        ("pad_token_id", -2),
    ],
)
def test_configuration_out_of_range(tool, stories, tmp_path, key, value):
    folder = tmp_path / "model"
    shutil.copytree(stories, folder)
    config = json.loads((folder / "config.json").read_text())
    (folder / "generation_config.json").unlink()
    (folder / "config.json").write_text(json.dumps(config | {key: value}))
    message = refused(tool, BAD_MODEL, folder, "-o", tmp_path / "m.qopt")
    assert (str(value) if isinstance(value, int) else key) in message


@pytest.mark.parametrize("file", ["config.json", "generation_config.json", "genai_config.json"])
@pytest.mark.parametrize(("key", "value"), [("bos_token_id", 512), ("eos_token_id", [2, 600]), ("pad_token_id", 99999)])
def test_tokens_that_the_vocabulary_lacks(tool, stories, tmp_path, file, key, value):
    """Whichever file says so, and whether or not another file takes its place."""
    folder = tmp_path / "model"
    shutil.copytree(stories, folder)
    path = folder / file
    config = json.loads(path.read_text()) if path.exists() else {}
    wrong = {key: value}
    path.write_text(json.dumps({"model": wrong} if file.startswith("genai") else config | wrong))
    message = refused(tool, BAD_MODEL, folder, "-o", tmp_path / "m.qopt")
    token = value[-1] if isinstance(value, list) else value
    assert f"{file}\": {key} is {token}, outside the model's vocabulary of 512 tokens" in message
    assert not (tmp_path / "m.qopt").exists()


@pytest.mark.parametrize("name", ["config.json", "generation_config.json", "tokenizer.json"])
def test_hostile_files_beside_a_model(tool, stories, tmp_path, name):
    """Values deep in each other, a pipe that nobody writes to, nothing at all: one error that names the file."""
    folder = tmp_path / "model"
    shutil.copytree(stories, folder)
    for text in ("[" * 50000 + "]" * 50000, ""):
        (folder / name).write_text(text)
        assert name.removesuffix(".json") in refused(tool, BAD_MODEL, folder, "-o", tmp_path / "m.qopt")
    (folder / name).unlink()
    os.mkfifo(folder / name)
    assert "it is a pipe; expected a regular file" in refused(tool, NOT_FOUND, folder, "-o", tmp_path / "m.qopt")


def test_printing_a_stage_takes_no_output(tool, stories, tmp_path):
    assert "--emit" in refused(tool, USAGE, stories, "--emit", "qopt", "-o", tmp_path / "m.qopt")


@pytest.mark.parametrize("layers", [1, 8, 33])
def test_models_of_any_depth(tool, tmp_path, layers):
    sizes = ["--hidden", 64, "--heads", 4, "--kv-heads", 2, "--ffn", 128, "--vocabulary", 256, "--layers", layers]
    script = [sys.executable, SOURCE / "bench/synthetic.py", tmp_path / "llama"]
    subprocess.run([str(word) for word in script + sizes], check=True)
    summary = json.loads(tool("qopt-compile", tmp_path / "llama", "-o", tmp_path / "m.qopt", "--json").stdout)
    assert summary["raised_layers"] == summary["layers"] == layers


def test_options_that_the_model_has_no_use_for(tool, stories, tmp_path):
    output = ("-o", tmp_path / "m.qopt")
    graph = refused(tool, USAGE, stories, "--as", "graph", "--context", 64, *output)
    assert "context is 64" in graph and "leave it out" in graph
    model = save_linear(tmp_path, np.ones((32, 16), np.float32))
    assert 'option "lm-head" is "int8"' in refused(tool, USAGE, model, "--lm-head", "int8", *output)
    assert 'option "embedding" is "f16"' in refused(tool, USAGE, model, "--embedding", "f16", *output)


def test_full_disk(stories, tmp_path):
    def limit_file_size():
        signal.signal(signal.SIGXFSZ, signal.SIG_IGN)  # the write fails instead, as on a full disk
        resource.setrlimit(resource.RLIMIT_FSIZE, (100_000, 100_000))

    command = [BUILD / "bin/qopt-compile", stories, "-o", tmp_path / "m.qopt"]
    done = subprocess.run(command, capture_output=True, text=True, preexec_fn=limit_file_size)
    assert done.returncode == RESOURCES, done.stderr
    expected = (
        f"error: cannot write '{tmp_path / 'm.qopt'}': File too large; free space there or choose another folder\n"
    )
    assert done.stderr == expected
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize("weights", ["int8", "int4_g32"])
def test_what_is_not_finite_reaches_the_result(tool, tmp_path, weights):
    """Activations of integer weights are codes of eight bits, and no code is NaN: the row has no finite result."""
    model = save_linear(tmp_path / "model", np.random.default_rng(3).standard_normal((64, 24)).astype(np.float32))
    tool("qopt-compile", model, "--weights", weights, "-o", tmp_path / "m.qopt")
    x = np.ones((3, 64), np.float32)
    x[0, 40], x[2, 5] = np.nan, np.inf
    np.savez(tmp_path / "in.npz", x=x)
    tool("qopt-run", tmp_path / "m.qopt", "--inputs", tmp_path / "in.npz", "--outputs", tmp_path / "out.npz")
    y = np.load(tmp_path / "out.npz")["y"]
    assert np.isfinite(y[1]).all() and np.isnan(y[[0, 2]]).all()
