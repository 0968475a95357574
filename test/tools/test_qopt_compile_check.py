"""qopt-compile --check: what it says of a compilation, without its weights, is what the compilation then does."""

import json
import os
import subprocess
import sys

import conftest
import numpy as np
import onnx
import pytest
from onnx import TensorProto, helper

BAD_MODEL, UNSUPPORTED, INFEASIBLE, NOT_FOUND = 3, 4, 5, 9
SCHEMA = json.loads((conftest.SOURCE / "docs/check.schema.json").read_text())
TYPES = {"object": dict, "array": list, "string": str, "boolean": bool, "integer": int, "number": (int, float)}


def validate(value, schema, at="$"):
    """The part of JSON Schema that docs/check.schema.json uses; an unknown keyword fails."""
    unknown = schema.keys() - {"$schema", "title", "description", "type", "additionalProperties", "required"}
    assert unknown <= {"properties", "items", "enum", "minimum"}, unknown
    if "type" in schema:
        right = isinstance(value, TYPES[schema["type"]])
        assert right and (schema["type"] == "boolean" or not isinstance(value, bool)), f"{at}: {value!r}"
    assert value in schema.get("enum", [value]), f"{at}: {value!r}"
    if "minimum" in schema:
        assert value >= schema["minimum"], f"{at}: {value!r}"
    for key in schema.get("required", []):
        assert key in value, f"{at} lacks {key}"
    properties = schema.get("properties", {})
    if schema.get("additionalProperties") is False:
        assert value.keys() <= properties.keys(), f"{at}: {value.keys() - properties.keys()}"
    for key in properties.keys() & (value.keys() if isinstance(value, dict) else set()):
        validate(value[key], properties[key], f"{at}.{key}")
    for number, item in enumerate(value if "items" in schema else ()):
        validate(item, schema["items"], f"{at}[{number}]")


RUNNER = """import json, resource, subprocess, sys
done = subprocess.run(sys.argv[1:], capture_output=True, text=True)
usage = resource.getrusage(resource.RUSAGE_CHILDREN)
seconds = usage.ru_utime + usage.ru_stime
print(json.dumps([done.returncode, done.stdout, done.stderr, usage.ru_maxrss * 1024, seconds]))"""


def measured(*command):
    """A command's exit code, outputs, peak of memory in bytes and processor seconds.

    It is started by a small program: a peak is at least that of the program before exec.
    """
    return json.loads(subprocess.check_output([sys.executable, "-c", RUNNER, *map(str, command)]))


def check(model, *options, code=0):
    """What --check says as JSON, and its messages."""
    found = measured(conftest.BUILD / "bin/qopt-compile", model, *options, "--check", "--json")
    assert found[0] == code, found[2]
    said = json.loads(found[1])
    validate(said, SCHEMA)
    first = said["problems"][0]["exit_code"] if said["problems"] else 0
    assert first == code and said["complete"] >= (code == 0)
    return said, found[2]


def external(source, folder):
    """A copy of a model whose weights lie beside it; the path of these."""
    folder.mkdir()
    model = onnx.load(source / "model.onnx")
    onnx.save(model, folder / "model.onnx", save_as_external_data=True, location="weights.bin", size_threshold=2048)
    (folder / "config.json").write_bytes((source / "config.json").read_bytes())
    return folder / "weights.bin"


def large(folder):
    """y = x A B, with weights that take far more than the program itself."""
    info = helper.make_tensor_value_info
    nodes = [
        helper.make_node("MatMul", ["x", "a"], ["h"], name="first"),
        helper.make_node("MatMul", ["h", "b"], ["y"], name="second"),
    ]
    graph = helper.make_graph(
        nodes,
        "main",
        [info("x", TensorProto.FLOAT, ["rows", 4096])],
        [info("y", TensorProto.FLOAT, ["rows", 1024])],
        [
            onnx.numpy_helper.from_array(np.random.default_rng(0).standard_normal((4096, 8192), np.float32), "a"),
            onnx.numpy_helper.from_array(np.ones((8192, 1024), np.float32), "b"),
        ],
    )
    model = helper.make_model(graph, opset_imports=[helper.make_opsetid("", 21)], ir_version=10)
    onnx.save(model, folder / "model.onnx", save_as_external_data=True, location="weights.bin", size_threshold=2048)
    return folder


@pytest.mark.parametrize(
    "options",
    [
        "",
        "--weights int8 --kv int8",
        "--as graph",
        "--weights int4_g32 --format re:node_linear_(6|13|20|27|34)=int8 --context 64",
        "--target cuda --arch sm_80",
        "--target cuda --weights int8 --as graph",
    ],
)
@conftest.PTX_ONLY
def test_the_artifact_has_the_bytes_that_were_predicted(tool, stories, options, tmp_path):
    words = options.split()
    said, _ = check(stories, *words)
    done = json.loads(tool("qopt-compile", stories, *words, "--json", "-o", tmp_path / "m.qopt").stdout)
    assert said["memory"]["artifact_bytes"] == (tmp_path / "m.qopt").stat().st_size
    for key in ("kind", "layers", "raised_layers", "generic_kernels"):
        assert said["model"][key] == done[key]
    stored = {}
    for weight in done["weights"]:
        stored[weight["format"]] = stored.get(weight["format"], 0) + weight["bytes"]
    assert {entry["format"]: entry["bytes"] for entry in said["formats"]} == stored
    if "cuda" in words:
        assert said["steps"] == done.get("steps", [])
    assert len(said["steps"]) == ("graph" not in options)
    assert said["memory"]["context"] == (0 if "graph" in options else 64 if "64" in words else 512)


@conftest.UNSANITIZED
def test_the_peak_of_the_compilation_is_within_a_quarter(tmp_path):
    """Of a model whose largest weight is 134 MB, read, quantized and packed."""
    model = large(tmp_path)
    said, _ = check(model, "--weights", "int8")
    command = (conftest.BUILD / "bin/qopt-compile", model, "--weights", "int8", "-o", tmp_path / "m.qopt")
    code, _, messages, peak, _ = measured(*command)
    assert code == 0, messages
    assert said["memory"]["artifact_bytes"] == (tmp_path / "m.qopt").stat().st_size
    assert 0.8 * peak < said["memory"]["compile_peak_bytes"] < 1.25 * peak


@pytest.mark.parametrize("options", ["--weights int8 --batch 3", "--target cuda --batch 3 --context 128"])
@conftest.PTX_ONLY
def test_weights_may_be_missing(tool, stories, options, tmp_path):
    """All is as with them; the file and the bytes that it must have are told. A compilation needs it."""
    data = external(stories, tmp_path / "model")
    words = options.split()
    whole, _ = check(data.parent, *words)
    size = data.stat().st_size
    data.unlink()
    said, messages = check(data.parent, *words)
    (absent,) = said["absent_files"]
    assert absent["file"] == data.name and absent["tensors"] > 20
    assert absent["bytes"] <= size < absent["bytes"] + 65536  # the last tensor may be padded
    assert f'warning: the external data file "{data.name}" is missing' in messages
    same = ("model", "operators", "formats", "memory", "steps", "problems")
    said["memory"].pop("compile_peak_bytes"), whole["memory"].pop("compile_peak_bytes")
    assert {key: said[key] for key in same} == {key: whole[key] for key in same}
    assert said["memory"]["batch"] == 3
    compiled = tool("qopt-compile", data.parent, "-o", tmp_path / "m.qopt", check=False)
    assert compiled.returncode == NOT_FOUND


@conftest.UNSANITIZED
def test_a_model_of_70_billion_weights(tmp_path):
    """Of which there are none: ten seconds of two processors and 500 MB are enough."""
    command = [conftest.SOURCE / "bench/synthetic.py", tmp_path, "--sparse", "--model", "llama-3-70b"]
    subprocess.run([sys.executable, *command], check=True)
    (tmp_path / "model.onnx.data").unlink()
    options = ("--weights", "int4_g32", "--target", "cuda", "--check", "--json")
    code, output, messages, peak, seconds = measured(conftest.BUILD / "bin/qopt-compile", tmp_path, *options)
    said = json.loads(output)
    validate(said, SCHEMA)
    assert code == 0, messages
    assert seconds < 10 and peak < 500e6
    assert said["model"]["raised_layers"] == said["model"]["layers"] == 80
    elements = sum(entry["elements"] for entry in said["formats"])
    assert 70.5e9 < elements < 70.6e9
    assert 4.5 / 8 * elements < said["memory"]["artifact_bytes"] < 4.7 / 8 * elements
    (step,) = said["steps"]
    # What a step reads lies between its weights and their time at the memory's bandwidth.
    assert step["predicted"]["bytes"] > 38e9 and 60 < step["tokens_per_second"] < 4.8e12 / 38e9


def test_all_unsupported_operators_are_problems(tool, tmp_path):
    info = helper.make_tensor_value_info
    nodes = [
        helper.make_node("Frobnicate", ["x"], ["a"], name="one"),
        helper.make_node("Frobnicate", ["a"], ["b"], name="two"),
        helper.make_node("Twist", ["b"], ["c"], name="three", domain="com.example"),
        helper.make_node("Neg", ["c"], ["y"], name="four"),
    ]
    tensors = [info(name, TensorProto.FLOAT, ["n"]) for name in "xy"]
    graph = helper.make_graph(nodes, "main", tensors[:1], tensors[1:])
    opsets = [helper.make_opsetid("", 21), helper.make_opsetid("com.example", 7)]
    path = tmp_path / "model.onnx"
    onnx.save(helper.make_model(graph, opset_imports=opsets, ir_version=10), path)
    said, messages = check(path, code=UNSUPPORTED)
    found = {(p["node"], p["operator"], p["domain"], p["opset"]): p for p in said["problems"]}
    assert found.keys() == {("one", "Frobnicate", "", 21), ("three", "Twist", "com.example", 7)}
    assert all(p["reason"] and p["next_step"] for p in said["problems"])
    supported = {op["operator"]: (op["nodes"], op["supported"]) for op in said["operators"]}
    assert supported == {"Frobnicate": (2, False), "Twist": (1, False), "Neg": (1, True)}
    assert (
        not said["complete"] and 'error: node "one" (Frobnicate, opset 21): the operator is not supported' in messages
    )
    assert tool("qopt-compile", path, "-o", tmp_path / "m.qopt", check=False).returncode == UNSUPPORTED
    text = tool("qopt-compile", path, "--check", check=False).stdout
    assert "Frobnicate: not supported" in text and "(Twist, com.example 7)" in text


def test_groups_that_do_not_divide(tool, stories, tmp_path):
    said, _ = check(stories, "--weights", "int4_g32", code=INFEASIBLE)
    (problem,) = said["problems"]
    assert "does not divide the 172 columns" in problem["reason"] and "--format" in problem["next_step"]
    assert problem["operator"] == "MatMul" and said["model"]["raised_layers"] == 5
    compiled = tool("qopt-compile", stories, "--weights", "int4_g32", "-o", tmp_path / "m.qopt", check=False)
    assert compiled.returncode == INFEASIBLE and problem["reason"] in compiled.stderr


def test_budgets(stories, tmp_path):
    """The smallest plan of the candidates decides, and all that it misses is told with what would do."""
    text = tmp_path / "text.txt"
    text.write_text("Once upon a time, there was a little girl. " * 200)
    budget = ("--calibrate", text, "--candidates", "int3_asym,int8")
    said, _ = check(stories, *budget, "--bits", 5, "--max-size", "1MB", "--max-memory", "3MB")
    assert said["unchecked"] == ["--calibrate"]
    assert {entry["format"] for entry in said["formats"]} == {"int3_asym"}
    size, memory = said["memory"]["artifact_bytes"], said["memory"]["serving_bytes"]
    short = ("--bits", 2, "--max-size", size, "--max-memory", memory - 1)
    said, _ = check(stories, *budget, *short, code=INFEASIBLE)
    reasons = [problem["reason"] for problem in said["problems"]]
    assert [reason.split(" is ")[0] for reason in reasons] == ["--bits", "--max-size", "--max-memory"]
    assert f"takes {memory} bytes in memory" in reasons[2]
    assert all("ask for that or more" in problem["next_step"] for problem in said["problems"])


def test_the_package_says_the_same(stories):
    """Problems are part of what is said; an option that does not exist is an error."""
    qopt = pytest.importorskip("qopt")
    for options, words, code in (
        ({"weights": "int8", "kv": "int8"}, ("--weights", "int8", "--kv", "int8"), 0),
        ({"weights": "int4_g32"}, ("--weights", "int4_g32"), INFEASIBLE),
    ):
        said, (expected, _) = qopt.check(stories, **options), check(stories, *words, code=code)
        for found in (said, expected):  # the peak is that of the process
            found.get("memory", {}).pop("compile_peak_bytes", None)
        assert said == expected
    with pytest.raises(qopt.Error, match='no option "weight"'):
        qopt.check(stories, weight="int8")


def test_text(tool, stories):
    done = tool("qopt-compile", stories, "--target", "cuda", "--check", environment=conftest.NO_ASSEMBLER)
    sections = [line for line in done.stdout.splitlines() if not line.startswith(" ")]
    wanted = ["model", "operators", "formats of weights", "memory", "speed", "lost fusions", "problems: none"]
    assert sections == wanted
    assert "  llama, decoder, raised 5 of 5 layers, 0 generic kernels" in done.stdout
    for way in ("greedy", "sampling"):
        assert f"  decode step on sm_90a (H200 SXM), 1 sequence of 512 positions, {way}: predicted " in done.stdout
    host = tool("qopt-compile", stories, "--check").stdout
    assert "1 sequence of 512 positions, to the logits: predicted " in host and "not of integers" in host


def test_nothing_is_written(tool, stories, tmp_path):
    for option, value in (("-o", tmp_path / "m.qopt"), ("--save-plan", tmp_path / "p.json")):
        done = tool("qopt-compile", stories, "--check", option, value, check=False)
        assert done.returncode == 2 and f"--check writes nothing; leave out {option}" in done.stderr
    done = tool("qopt-compile", stories, "--check", "--emit", "qopt", check=False)
    assert done.returncode == 2 and "--check is for artifacts" in done.stderr
    done = tool("qopt-compile", stories, "--batch", 2, "-o", tmp_path / "m.qopt", check=False)
    assert done.returncode == 2 and "--batch is for --max-memory" in done.stderr
    before = set(os.listdir(tmp_path))
    tool("qopt-compile", stories, "--check", environment={"TMPDIR": str(tmp_path)})
    assert set(os.listdir(tmp_path)) == before


@pytest.mark.parametrize("key, value", [("length", "7"), ("offset", str(1 << 60)), ("location", "../weights.bin")])
def test_what_a_model_says_of_missing_data_is_checked(key, value, tmp_path):
    """Lengths are those of shapes, sizes those of files, and places below the model's folder."""
    path = large(tmp_path) / "model.onnx"
    (tmp_path / "weights.bin").unlink()
    model = onnx.load(path, load_external_data=False)
    next(entry for entry in model.graph.initializer[0].external_data if entry.key == key).value = value
    onnx.save(model, path)
    said, _ = check(path, code=BAD_MODEL)
    assert not said["complete"] and "external data" in said["problems"][0]["reason"]
