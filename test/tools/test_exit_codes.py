"""The table of exit codes in README.md and in every --help: each code comes from what its row says, and no other."""

import json
import os
import pathlib
import re
import resource
import signal
import struct
import subprocess
import time

import numpy as np
import pytest
from conftest import BUILD, SOURCE
from onnx import TensorProto, helper, numpy_helper

DONE, USAGE, BAD_MODEL, UNSUPPORTED, INFEASIBLE = 0, 2, 3, 4, 5
GATE, RESOURCES, BAD_ARTIFACT, NOT_FOUND, UNWRITABLE = 6, 7, 8, 9, 10
DEVICE, DEFECT, STOPPED = 11, 70, 130
TOOLS = ["qopt-bench", "qopt-compile", "qopt-emulate", "qopt-eval", "qopt-inspect", "qopt-kernel", "qopt-run"]
TOOLS += ["qopt-translate"]


def save_model(path, weight=None, kind="MatMul", ir_version=10):
    """y = x W of 48 columns."""
    info = helper.make_tensor_value_info
    weight = np.ones((48, 16), np.float32) if weight is None else weight
    graph = helper.make_graph(
        [helper.make_node(kind, ["x", "w"], ["y"], name="projection")],
        "main",
        [info("x", TensorProto.FLOAT, ["rows", 48])],
        [info("y", TensorProto.FLOAT, ["rows", 16])],
        [numpy_helper.from_array(weight, "w")],
    )
    model = helper.make_model(graph, opset_imports=[helper.make_opsetid("", 21)], ir_version=ir_version)
    path.write_bytes(model.SerializeToString())


@pytest.fixture(scope="module")
def files(tool, stories, stories_artifact, artifacts, tmp_path_factory):
    """A folder with everything that the commands below name."""
    folder = tmp_path_factory.mktemp("codes")
    save_model(folder / "linear.onnx")
    save_model(folder / "newer.onnx", ir_version=99)
    save_model(folder / "unknown.onnx", kind="Frobnicate")
    save_model(folder / "nan.onnx", np.full((48, 16), np.nan, np.float32))
    save_model(folder / "huge.onnx", np.full((48, 16), 1e20, np.float32))
    (folder / "text.onnx").write_text("no model")
    for name in ("decoder", "graph", "other"):
        (folder / f"{name}.qopt").symlink_to(artifacts / f"{name}.qopt")
    (folder / "stories").symlink_to(stories)
    (folder / "stories.qopt").symlink_to(stories_artifact)
    content = stories_artifact.read_bytes()
    (folder / "short.qopt").write_bytes(content[:-1])
    (folder / "version.qopt").write_bytes(content[:8] + struct.pack("<I", 99) + content[12:])
    tokenizer = json.loads((stories / "tokenizer.json").read_text())
    for name, normalizer in (
        ("regex", {"type": "Replace", "pattern": {"Regex": "("}, "content": ""}),
        ("class", {"type": "Replace", "pattern": {"Regex": "[a"}, "content": ""}),
        ("lookbehind", {"type": "Replace", "pattern": {"Regex": "(?<=a+)b"}, "content": ""}),
        ("part", {"type": "Frobnicate"}),
    ):
        (folder / f"{name}.json").write_text(json.dumps(tokenizer | {"normalizer": normalizer}))
    np.save(folder / "tokens.npy", np.zeros((2, 4), np.int32))
    np.save(folder / "nan.npy", np.full((2, 4, 50), np.nan, np.float32))
    np.save(folder / "zeros.npy", np.zeros((2, 4, 50), np.float32))
    (folder / "short.npy").write_bytes((folder / "zeros.npy").read_bytes()[:-1])
    np.savez(folder / "in.npz", x=np.ones((2, 8), np.float32))
    (folder / "text.txt").write_text("Once upon a time. " * 20)
    (folder / "pipe").mkdir()
    return folder


EVALUATE = ["qopt-eval", "decoder.qopt", "--tokens", "tokens.npy"]
CASES = {
    DONE: [
        ["qopt-run", "--version"],
        ["qopt-inspect", "decoder.qopt"],
        ["qopt-compile", "linear.onnx", "-o", "linear.qopt"],
    ],
    USAGE: [
        ["qopt-run", "decoder.qopt", "--tokens", "1", "--top-p", "2"],
        ["qopt-compile", "linear.onnx", "--weights", "int7"],
        ["qopt-compile", "linear.onnx", "--weights", "int4_g32", "--format", "nothing=int8"],
        ["qopt-inspect", "graph.qopt", "--size", "none=1"],
        ["qopt-bench", "decoder.qopt", "--format", "xml"],
        ["qopt-emulate", "text.txt", "--grid", "0"],
        ["qopt-kernel", "nothing"],
        ["qopt-translate"],
        ["qopt-bench", "graph.qopt", "--context", "500"],
        ["qopt-compile", "stories", "--kv", "f16,bf16,f32"],
        ["qopt-compile", "stories", "--kv", "f0"],
        ["qopt-run", "graph.qopt", "--inputs", "in.npz", "--compare", "nan.npy"],
        ["qopt-run", "decoder.qopt", "--tokens", "1", "--compare", "nan.npy"],
    ],
    BAD_MODEL: [
        ["qopt-compile", "text.onnx"],
        ["qopt-compile", "nan.onnx"],
        ["qopt-compile", "stories", "--tokenizer", "regex.json"],
        ["qopt-compile", "stories", "--tokenizer", "class.json"],
        ["qopt-run", "stories.qopt", "--tokenizer", "regex.json", "--prompt", "x"],
        [*EVALUATE, "--reference", "nan.npy"],
        [*EVALUATE, "--reference", "short.npy"],
        ["qopt-run", "graph.qopt", "--inputs", "text.txt"],
        ["qopt-emulate", "text.txt"],
        ["qopt-translate", "--import-onnx", "text.onnx"],
    ],
    UNSUPPORTED: [
        ["qopt-compile", "unknown.onnx"],
        ["qopt-compile", "newer.onnx"],
        ["qopt-compile", "stories", "--tokenizer", "part.json"],
        ["qopt-compile", "stories", "--tokenizer", "lookbehind.json"],
        ["qopt-compile", "linear.onnx", "--as", "decoder"],
        ["qopt-compile", "stories", "--kv", "int3"],
        ["qopt-translate", "--import-onnx", "unknown.onnx"],
    ],
    INFEASIBLE: [
        ["qopt-compile", "linear.onnx", "--weights", "int4_g32"],
        ["qopt-compile", "linear.onnx", "--format", "w=int8_g128"],
        ["qopt-compile", "stories", "--weights", "int4_g32", "--emit", "quantized"],
        ["qopt-compile", "huge.onnx", "--weights", "f16"],
        ["qopt-compile", "stories", "--context", "513"],
        ["qopt-run", "decoder.qopt", "--tokens", "1 " * 101],
        ["qopt-bench", "decoder.qopt", "--context", "100"],
    ],
    GATE: [
        [*EVALUATE, "--max-perplexity", "1"],
        ["qopt-run", "decoder.qopt", "--tokens", "1", "--compare", "other.qopt", "--tolerance", "0"],
    ],
    BAD_ARTIFACT: [["qopt-run", "short.qopt", "--tokens", "1"], ["qopt-inspect", "version.qopt"]],
    NOT_FOUND: [
        ["qopt-compile", "none.onnx"],
        ["qopt-run", "none.qopt", "--tokens", "1"],
        ["qopt-eval", "decoder.qopt", "--tokens", "none.npy"],
        ["qopt-run", "graph.qopt", "--inputs", "none.npz"],
        ["qopt-compile", "stories", "--tokenizer", "none.json"],
        ["qopt-emulate", "none.ptx"],
        ["qopt-translate", "--import-onnx", "none.onnx"],
    ],
    UNWRITABLE: [
        ["qopt-compile", "linear.onnx", "-o", "none/m.qopt"],
        ["qopt-compile", "linear.onnx", "-o", "pipe"],
        ["qopt-run", "graph.qopt", "--inputs", "in.npz", "--outputs", "none/out.npz"],
        [*EVALUATE, "--report", "none/r.json"],
    ],
}


def run(files, command, **more):
    program, *arguments = command
    return subprocess.run([BUILD / "bin" / program, *arguments], cwd=files, capture_output=True, text=True, **more)


@pytest.mark.parametrize("code", CASES)
def test_code(files, code):
    for command in CASES[code]:
        done = run(files, command)
        assert done.returncode == code, (command, done.returncode, done.stderr)
        errors = 0 if code == DONE else 1
        assert len(re.findall("^error: ", done.stderr, re.MULTILINE)) == errors, (command, done.stderr)
        assert done.stderr.startswith("error: ") or code == DONE, (command, done.stderr)


def test_memory_and_space(files):
    def limit_file_size():
        signal.signal(signal.SIGXFSZ, signal.SIG_IGN)  # the write fails instead, as on a full disk
        resource.setrlimit(resource.RLIMIT_FSIZE, (100, 100))

    for command in (
        ["qopt-compile", "linear.onnx", "-o", "full.qopt"],
        ["qopt-run", "graph.qopt", "--inputs", "in.npz", "--outputs", "full.npz"],
        [*EVALUATE, "--save-logits", "full.npy"],
    ):
        done = run(files, command, preexec_fn=limit_file_size)
        assert done.returncode == RESOURCES and done.stderr.count("error: ") == 1, (command, done.stderr)
        assert not [path for path in files.iterdir() if path.name.startswith("full")]


PRINTING = [
    *[[name, option] for name in [*TOOLS, "qopt-opt"] for option in ("--help", "--version")],
    ["qopt-inspect", "decoder.qopt"],
    ["qopt-inspect", "decoder.qopt", "--plan", "--weights"],
    ["qopt-inspect", "decoder.qopt", "--json"],
    ["qopt-run", "decoder.qopt", "--tokens", "1"],
    ["qopt-run", "decoder.qopt", "--tokens", "1", "--json"],
    ["qopt-run", "graph.qopt", "--inputs", "in.npz"],
    ["qopt-run", "decoder.qopt", "--tokens", "1", "--compare", "decoder.qopt"],
    EVALUATE,
    [*EVALUATE, "--json"],
    ["qopt-bench", "decoder.qopt", "--tokens", "0", "--repeats", "1"],
    ["qopt-compile", "linear.onnx", "-o", "linear.qopt"],
    ["qopt-compile", "linear.onnx", "-o", "linear.qopt", "--json"],
    ["qopt-compile", "linear.onnx", "--emit", "qopt"],
    ["qopt-compile", "stories", "--target", "cuda", "--emit", "kernels", "--report"],
    ["qopt-kernel", "list"],
    ["qopt-kernel", "gemm", "--ptx-only"],
    ["qopt-translate", "--operators"],
    ["qopt-translate", "--import-onnx", "linear.onnx"],
    ["qopt-opt", "empty.mlir"],
]


@pytest.mark.skipif(not pathlib.Path("/dev/full").exists(), reason="needs /dev/full")
@pytest.mark.parametrize("command", PRINTING, ids=" ".join)
def test_output_to_a_full_device(files, command):
    (files / "empty.mlir").write_text("module {}\n")
    program, *arguments = command
    with open("/dev/full", "w") as full:
        process = [BUILD / "bin" / program, *arguments]
        done = subprocess.run(process, cwd=files, stdout=full, stderr=subprocess.PIPE, text=True)
    assert (done.returncode, done.stderr) == (RESOURCES, "error: cannot write to standard output\n")


@pytest.mark.skipif(not pathlib.Path("/dev/full").exists(), reason="needs /dev/full")
def test_a_full_device_as_output(files):
    """What is written beside and renamed takes no device; what is written in place says which is full."""
    done = run(files, ["qopt-compile", "linear.onnx", "-o", "/dev/full"])
    assert done.returncode == UNWRITABLE and "it exists and is not a regular file" in done.stderr
    done = run(files, ["qopt-opt", "/dev/null", "-o", "/dev/full"])
    assert (done.returncode, done.stderr) == (RESOURCES, "error: cannot write to '/dev/full'\n")


def test_stopped_by_the_user(files):
    """A shell's code for a program that its signal ended."""
    words = [BUILD / "bin/qopt-bench", "stories.qopt", "--repeats", "100000"]
    process = subprocess.Popen(words, cwd=files, stdout=subprocess.DEVNULL)
    time.sleep(0.3)
    process.send_signal(signal.SIGINT)
    assert process.wait(60) in (-signal.SIGINT, STOPPED)


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM, signal.SIGHUP])
def test_stopped_while_compiling_for_one_run(stories, tmp_path, number):
    """The compiler ends too, and nothing stays in the folder of temporary files."""
    words = [BUILD / "bin/qopt-run", stories, "--prompt", "Once"]
    environment = {**os.environ, "TMPDIR": str(tmp_path)}
    process = subprocess.Popen(words, env=environment, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
    while not any(tmp_path.iterdir()):
        assert process.poll() is None
        time.sleep(0.001)
    process.send_signal(number)
    assert process.wait(60) in (-number, STOPPED)
    assert not any(tmp_path.iterdir())


@pytest.mark.parametrize("command", ["qopt-compile {} -o {}", "qopt-compile {} --target cuda -o {}", "qopt-run {}"])
def test_no_folder_for_temporary_files(tool, stories, tmp_path, command):
    """It is named, and the model is not; qopt-run, which compiles, makes none of its own elsewhere."""
    missing = tmp_path / "missing"
    name, *words = command.format(stories, tmp_path / "model.qopt").split()
    # A program that only has to be there: without it, no assembler is asked for.
    environment = {"TMPDIR": str(missing), "QOPT_PTXAS": "/bin/true"}
    done = tool(name, *words, environment=environment, check=False)
    assert done.returncode == UNWRITABLE, done.stderr
    reason = f"cannot make a temporary folder in '{re.escape(str(missing))}': No such file or directory"
    expected = f"error: {reason}; set TMPDIR to a folder that can be written\n"
    assert re.fullmatch(expected, done.stderr) and not any(tmp_path.iterdir())


def test_every_row_of_the_table_is_walked(tool):
    walked = {*CASES, RESOURCES, STOPPED, DEVICE}  # that of a GPU: test/runtime/cuda/test_standin.py
    header = (SOURCE / "tools/cli/ExitCode.h").read_text()
    numbers = [int(number) for number in re.findall(r"^  [A-Z]\w+ = (\d+),", header, re.MULTILINE)]
    for text in [tool(name, "--help").stdout for name in TOOLS] + [(SOURCE / "README.md").read_text()]:
        listed = re.findall(r"^ +(\d+) {2,}\w", text.partition("xit codes")[2], re.MULTILINE)
        assert [int(number) for number in listed] == numbers
    # A defect of qopt is the one that no test can ask for.
    assert set(numbers) - walked == {DEFECT}
