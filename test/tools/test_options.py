"""Every option has an effect or is an error that names it, says what was expected and what to do."""

import json
import re

import numpy as np
import onnx
import pytest
from onnx import TensorProto, helper

USAGE = 2
X = np.arange(24, dtype=np.float32).reshape(3, 8)
TOOLS = ["qopt-bench", "qopt-compile", "qopt-emulate", "qopt-eval", "qopt-inspect", "qopt-kernel", "qopt-run"]
TOOLS += ["qopt-translate"]


@pytest.fixture(scope="module")
def files(stories, stories_artifact, artifacts, tmp_path_factory):
    """What the commands below name in braces."""
    folder = tmp_path_factory.mktemp("options")
    np.save(folder / "tokens.npy", np.zeros((2, 4), np.int32))
    np.savez(folder / "in.npz", x=X)
    np.savez(folder / "more.npz", x=X, z=X)
    np.savez(folder / "golden.npz", **{"in.x": X, "out.y": X, "valid": X})
    np.savez(folder / "golden_more.npz", **{"in.x": X, "in.z": X, "out.y": X})
    np.savez(folder / "y_more.npz", y=X, z=X)
    np.savez(folder / "out_more.npz", **{"out.y": X, "out.z": X, "in.x": X})
    (folder / "scale.ptx").write_text(".version 8.0\n.target sm_80\n.address_size 64\n")
    return {
        **{file.stem: file for file in folder.glob("*.npz")},
        "tokens": folder / "tokens.npy",
        "ptx": folder / "scale.ptx",
        "stories": stories,
        "artifact": stories_artifact,
        "decoder": artifacts / "decoder.qopt",
        "graph": artifacts / "graph.qopt",
        "none": folder / "none",
    }


REFUSED = {
    # Lists with nothing in a place.
    "qopt-compile {stories} -o {none} --kv ,": '--kv is ","; expected a format, or one of keys and one of values',
    "qopt-compile {stories} -o {none} --kv f16,": '--kv is "f16,"; expected a format',
    "qopt-compile {stories} -o {none} --target cuda --kv ,int8": '--kv is ",int8"; expected a format',
    "qopt-compile {stories} -o {none} --kv f16,bf16,f32": '--kv is "f16,bf16,f32"; expected a format, or one of keys',
    "qopt-compile {stories} -o {none} --kv int7_g32,f16": '--kv: format "int7_g32": unknown element type "int7"',
    **{
        f"qopt-compile {{stories}} -o {{none}} --kv int4_g16,f16 --target {target}": (
            '--kv is "int4_g16,f16"; a group of keys is of 16 positions; expected a multiple of 32'
        )
        for target in ("host", "cuda")
    },
    "qopt-compile {stories} -o {none} --kv int8,recent=32,recent=32": "; expected a format, or one of keys and one of values",
    "qopt-compile {stories} -o {none} --kv int8,recent=x": "recent=N, first=N and before_rotary behind them",
    "qopt-compile {stories} -o {none} --kv int8,before_rotary,before_rotary": "; expected a format, or one of keys",
    "qopt-compile {stories} -o {none} --kv int8,recent=40": "; expected a multiple of 32 latest and of 16 first positions",
    "qopt-compile {stories} -o {none} --kv int8,first=16": "first positions are kept beside latest ones; add recent=32",
    "qopt-compile {stories} -o {none} --kv int4_g64,f16,recent=32": (
        "keys in groups of 64 positions have that many latest ones at least; got 32"
    ),
    "qopt-compile {stories} -o {none} --kv-format cache.0.key": '--kv-format is "cache.0.key"; expected cache.LAYER.key=FORMAT',
    "qopt-compile {stories} -o {none} --kv-format cache.0.key=int7": 'unknown element type "int7"',
    "qopt-compile {stories} -o {none} --kv-format cache.9.key=int8": (
        '--kv-format "cache.9.key=int8" matches no cache of the model'
    ),
    "qopt-compile {stories} -o {none} --kv-format re:key=int8 --kv-format cache.0.key=f16": (
        '--kv-format "cache.0.key=f16" has no effect: all that it matches, an earlier one matches too'
    ),
    "qopt-compile {stories} -o {none} --kv-format cache.0.key=int4_g16": (
        '--kv-format is "cache.0.key=int4_g16"; a group of keys is of 16 positions; expected a multiple of 32'
    ),
    "qopt-compile {stories} -o {none} --as graph --kv-format cache.0.key=int8": (
        '--kv-format is "cache.0.key=int8", but the model is compiled as a graph, which has no cache; leave it out'
    ),
    "qopt-compile {stories} -o {none} --target cuda --arch sm_80,": '--arch: unknown architecture ""',
    "qopt-compile {stories} -o {none} --activations f16 --sum-order sm_90a,sm_80": (
        '--sum-order is "sm_90a,sm_80"; expected one architecture, as sm_90a or sm_80'
    ),
    "qopt-compile {stories} -o {none} --activations f16 --sum-order cpu": '--sum-order is "cpu"; expected one architecture',
    "qopt-compile {stories} -o {none} --target cuda --sum-order sm_90a": "but a GPU has its own; leave it out",
    "qopt-compile {stories} -o {none} --sum-order sm_90a": "expected --activations f16 or bf16 beside it",
    "qopt-compile {stories} --emit qopt --sum-order sm_90a": "--sum-order is for the stages from scheduled on",
    "qopt-run {decoder} --tokens 1,,2": '"1,,2" is no list of token ids; expected numbers with a comma',
    "qopt-run {decoder} --tokens ,1": '",1" is no list of token ids',
    "qopt-run {decoder} --tokens 1,": '"1," is no list of token ids',
    "qopt-emulate {ptx} --checks races,,barriers": "--checks: expected all, none, or some of alignment, ",
    "qopt-emulate {ptx} --checks races,races": '--checks names "races" twice; leave one out',
    "qopt-kernel gemm --schedule stages=2,,split=1": 'expected key=value, got ""',
    "qopt-kernel gemm --schedule ,": 'expected key=value, got ""',
    # One value of many that no other is left for.
    "qopt-inspect {graph} --size batch=2 --size batch=3": '--size gives "batch" twice; expected one size for each',
    "qopt-compile {stories} -o {none} --format re:.*=int8 --format re:linear_3=f16": (
        '--format "re:linear_3=f16" has no effect: all that it matches, an earlier one matches too; put it before'
    ),
    "qopt-kernel gemm tokens=1 tokens=2": '"tokens" is given twice',
    # What this model, stage or target has no use for.
    "qopt-compile {stories} -o {none} --as graph --kv f16": (
        '--kv is "f16", but the model is compiled as a graph, which has no cache; leave it out'
    ),
    "qopt-compile {stories} --emit scheduled --as graph --kv f16": "which has no cache; leave it out",
    "qopt-compile {stories} --emit scheduled --as graph --context 9": "which has no context; leave it out",
    "qopt-compile {stories} -o {none} --target cuda --cpu x86-64-v3": "--cpu is for artifacts of the host; --target",
    **{
        f"qopt-compile {{stories}} --emit qopt {option}": f"{option.split()[0]} is for the stages from quantized on"
        for option in (
            "--weights int8",
            "--lm-head int8",
            "--embedding f16",
            "--format a=int8",
            "--activations f32",
            "--kv f16",
            "--kv-format cache.0.key=f16",
            "--target cuda",
        )
    },
    "qopt-compile {stories} --emit onnx --as graph": "--as is for the stages from qopt on",
    "qopt-compile {stories} -o {none} --activations int8": (
        '--activations is "int8", but no linear has a weight of int8 with one scale a row; expected --weights '
        "int8 beside it"
    ),
    "qopt-run {graph} --inputs {more}": "'z', which is no input of the artifact; expected 'x', or \"in.\" before",
    "qopt-run {graph} --inputs {golden_more}": "has the array 'in.z', which is no input of the artifact; expected 'x'",
    "qopt-run {graph} --inputs {in} --compare {y_more}": "has the array 'z', which is no output of the artifact",
    "qopt-run {graph} --inputs {in} --compare {out_more}": "has the array 'out.z', which is no output of the artifact",
    **{
        f"qopt-run {{decoder}} --tokens 1 --compare {{decoder}} {option}": (
            f"{option.split()[0]} is for text that is written, and --compare writes none; leave it out"
        )
        for option in ("--max-tokens 5", "--ignore-end", "--temperature 1", "--top-k 3", "--seed 1")
    },
    **{
        f"qopt-run {{decoder}} --tokens 1 {option}": (
            f"{option.split()[0]} is for tokens that are drawn, and --temperature is 0, which takes the most probable"
        )
        for option in ("--top-k 5", "--top-p 0.5", "--min-p 0.1 --temperature 0", "--seed 0", "--seed 7")
    },
    "qopt-eval {decoder} --tokens {tokens} --save-logits {none} --report {none}": (
        "which --save-logits writes too; name another file"
    ),
    "qopt-bench {decoder} --tokens 0 --context 4": "--context is for tokens that are written, and --tokens is 0; leave",
    "qopt-bench {decoder} --tokens 0 --bandwidth-mib 1": "--bandwidth-mib is for tokens that are written",
    "qopt-bench {decoder} --json --format csv": "--format excludes --json",
    "qopt-emulate {ptx} --time --stats": "--stats excludes --time",
    "qopt-kernel list tokens=1": "problem is for a kernel, not for list; leave it out",
    "qopt-kernel list --schedule stages=1": "--schedule is for a kernel, not for list; leave it out",
    "qopt-kernel list --arch sm_80": "--arch is for a kernel, not for list; leave it out",
    "qopt-kernel list --ptx-only": "--ptx-only is for a kernel, not for list; leave it out",
    "qopt-kernel list -o {none}": "--output is for a kernel, not for list; leave it out",
    "qopt-kernel list --emit gpu": "--emit is for a kernel, not for list; leave it out",
    "qopt-kernel norm --emit gpu -o {none}": "--output is for the record, and --emit prints the kernel; leave it out",
    "qopt-kernel norm --emit ptx --ptx-only": "--ptx-only is for the record, and --emit prints the kernel",
    "qopt-translate --operators {stories}": "model excludes --operators",
}


@pytest.mark.parametrize("command", REFUSED)
def test_options_without_effect(tool, files, command):
    name, *arguments = command.format(**files).split()
    done = tool(name, *arguments, check=False)
    assert done.returncode == USAGE, (done.returncode, done.stderr)
    assert done.stderr.startswith("error: ") and REFUSED[command] in done.stderr, done.stderr
    assert done.stdout == "" and not files["none"].exists()


def options_of(tool, name):
    """The long options of a tool, and whether each takes a value."""
    text = tool(name, "--help").stdout.partition("Examples:")[0]
    found = re.findall(r"^  (?:-\w,)?--([a-z0-9-]+)(.*)$", text, re.MULTILINE)
    return {option: bool(re.match(r" [A-Z]{3,}", rest)) for option, rest in found if option not in ("help", "version")}


@pytest.mark.parametrize("name", TOOLS)
def test_empty_and_repeated_values(tool, name):
    """Of every option that takes a value: "" is refused where it means nothing, and one value cannot hide another."""
    options = options_of(tool, name)
    lists = {"--format", "--input", "--kv-format", "--size"} if name in ("qopt-compile", "qopt-inspect") else set()
    assert len(options) >= 4
    for option, takes in options.items():
        if not takes:
            continue
        option = f"--{option}"
        if (name, option) != ("qopt-run", "--prompt"):  # it means: from the model's begin token
            done = tool(name, "model", option, "", check=False)
            assert done.returncode == USAGE and option in done.stderr, (option, done.stderr)
        if option not in lists:
            done = tool(name, "model", option, "1", option, "1", check=False)
            assert done.returncode == USAGE and option in done.stderr, (option, done.stderr)
    assert "is empty; expected a value" in tool(name, "", check=False).stderr


def test_an_empty_prompt_is_the_begin_token(tool, files):
    run = ("qopt-run", files["artifact"], "--max-tokens", 4)
    assert tool(*run, "--prompt", "").stdout == tool(*run, "--tokens", "1").stdout


def test_lists_take_one_word_each(tool, files, tmp_path):
    """An option that may be repeated leaves the words behind it alone."""
    tool("qopt-compile", "--format", "re:linear_3$=int8", files["stories"], "-o", tmp_path / "m.qopt")
    tool("qopt-inspect", "--size", "batch=2", files["graph"])


def test_golden_files_hold_more(tool, files):
    """Where inputs are called in.*, other names are of what is compared."""
    run = ("qopt-run", files["graph"], "--inputs", files["golden"], "--json")
    assert json.loads(tool(*run).stdout)["outputs"][0]["shape"] == [3, 8]
    assert "max_abs" in tool(*run, "--compare", files["golden"]).stdout


def test_the_output_is_called_like_the_model(stories, tmp_path):
    import subprocess

    from conftest import BUILD

    for model, name in ((stories / "model.onnx", "model.qopt"), (stories, "stories260k.qopt")):
        words = [BUILD / "bin/qopt-compile", model]
        done = subprocess.run(words, cwd=tmp_path, capture_output=True, text=True, check=True)
        assert done.stdout.startswith(f"{name}: decoder, ") and (tmp_path / name).is_file()


HOSTILE = "a\x1b[31m\r\nb\x07\x9b\u202ec\u2028"


def test_names_of_files_are_printed_as_text(tool, tmp_path):
    """A node, an input or a weight may be called anything; a terminal gets no control characters of it."""
    info = helper.make_tensor_value_info
    graph = helper.make_graph(
        [
            helper.make_node("MatMul", [f"{HOSTILE}x", f"{HOSTILE}w"], ["z"], name=f"{HOSTILE}product"),
            helper.make_node("Erf", ["z"], [f"{HOSTILE}y"], name=f"{HOSTILE}erf"),
        ],
        "main",
        [info(f"{HOSTILE}x", TensorProto.FLOAT, [f"{HOSTILE}rows", 16])],
        [info(f"{HOSTILE}y", TensorProto.FLOAT, [f"{HOSTILE}rows", 16])],
        [onnx.numpy_helper.from_array(np.ones((16, 16), np.float32), f"{HOSTILE}w")],
    )
    model = helper.make_model(graph, opset_imports=[helper.make_opsetid("", 21)], ir_version=10)
    onnx.save(model, tmp_path / "model.onnx")
    artifact = tmp_path / "m.qopt"
    np.savez(tmp_path / "none.npz", other=X)
    np.save(tmp_path / "x.npy", np.ones((2, 16), np.float32))
    np.save(tmp_path / "bad.npy", np.ones((2, 15), np.float32))
    outputs = [
        tool("qopt-compile", tmp_path, "-o", artifact, "--remarks"),
        tool("qopt-compile", tmp_path, "-o", artifact, "--format", "nothing=int8", check=False),
        tool("qopt-inspect", artifact, "--plan", "--weights", "--segments", "--kernels"),
        tool("qopt-inspect", artifact, "--size", "none=1", check=False),
        tool("qopt-run", artifact, check=False),
        tool("qopt-run", artifact, "--inputs", tmp_path / "none.npz", check=False),
        tool("qopt-run", artifact, "--inputs", tmp_path / "x.npy"),
        tool("qopt-run", artifact, "--inputs", tmp_path / "x.npy", "--compare", tmp_path / "x.npy"),
        tool("qopt-run", artifact, "--inputs", tmp_path / "bad.npy", check=False),
    ]
    for done in outputs:
        for text in (done.stdout, done.stderr):
            assert not re.search("[\x00-\x09\x0b-\x1f\x7f-\x9f\u202e\u2028]", text), (done.args, text)
    plan = outputs[2].stdout
    assert "a\\x1b[31m\\x0d\\x0ab\\x07\\x9b\\u202ec\\u2028x: f32[" in plan
    assert json.loads(tool("qopt-inspect", artifact, "--json").stdout)["model"]["inputs"][0]["name"] == f"{HOSTILE}x"
