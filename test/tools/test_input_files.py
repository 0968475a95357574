"""A pipe, a folder or a device in place of a file is an error at once; a text may come from a pipe."""

import json
import os
import re
import subprocess
import threading
import time

import pytest
from conftest import SOURCE

BAD_MODEL, INFEASIBLE, NOT_FOUND = 3, 5, 9
#: What is called, with X for the file in question, in a folder with decoder.qopt, graph.qopt and scale.ptx.
CALLS = {
    "run-artifact": "qopt-run X --tokens 1",
    "run-prompt": "qopt-run stories.qopt --prompt-file X",
    "run-tokenizer": "qopt-run stories.qopt --prompt a --tokenizer X",
    "run-inputs": "qopt-run graph.qopt --inputs X",
    "run-input": "qopt-run graph.qopt --inputs X.npy",
    "run-compare": "qopt-run graph.qopt --inputs in.npz --compare X.npz",
    "eval-artifact": "qopt-eval X --text scale.ptx",
    "eval-text": "qopt-eval stories.qopt --text X",
    "eval-tokens": "qopt-eval stories.qopt --tokens X.npy",
    "eval-choices": "qopt-eval stories.qopt --choices X",
    "eval-reference": "qopt-eval stories.qopt --text scale.ptx --reference X.npy",
    "inspect": "qopt-inspect X",
    "bench": "qopt-bench X",
    "compile-model": "qopt-compile X -o new.qopt",
    "compile-tokenizer": "qopt-compile stories --tokenizer X -o new.qopt",
    "emulate-kernel": "qopt-emulate X --args in.npz",
    "emulate-arguments": "qopt-emulate scale.ptx --args X.npz",
}
#: Places that may name a folder, in which the file is then looked for.
FOLDERS = {"run-artifact", "run-tokenizer", "eval-artifact", "inspect", "bench", "compile-model", "compile-tokenizer"}


@pytest.fixture(scope="module")
def folder(tmp_path_factory, tool, stories, stories_artifact, artifacts):
    import numpy as np

    folder = tmp_path_factory.mktemp("inputs")
    for name, target in {
        "stories": stories,
        "stories.qopt": stories_artifact,
        "graph.qopt": artifacts / "graph.qopt",
        "scale.ptx": os.path.join(os.path.dirname(__file__), "scale.ptx"),
    }.items():
        os.symlink(target, folder / name)
    np.savez(folder / "in.npz", x=np.ones((3, 8), np.float32))
    return folder


def refused(tool, folder, call, path):
    suffix = next((s for s in (".npy", ".npz") if "X" + s in call), "")
    given = f"{path}{suffix}"
    if suffix:
        os.symlink(path, given)
    name, *words = (given if word.startswith("X") else word for word in call.split())
    words = [str(folder / word) if (folder / word).exists() or word == "new.qopt" else word for word in words]
    done = tool(name, *words, check=False, timeout=30)
    assert done.returncode == (BAD_MODEL if call == CALLS["compile-model"] else NOT_FOUND), done.stderr
    assert done.stdout == "" and done.stderr.startswith("error: ") and done.stderr.count("\n") == 1
    assert os.path.basename(path) in done.stderr and not (folder / "new.qopt").exists()
    assert re.search("expected a (regular )?file|no regular file|nothing was written to the pipe", done.stderr), (
        done.stderr
    )


@pytest.mark.parametrize("call", CALLS)
def test_a_pipe(tool, folder, tmp_path, call):
    os.mkfifo(tmp_path / "pipe")
    refused(tool, folder, CALLS[call], tmp_path / "pipe")


@pytest.mark.parametrize("call", sorted(set(CALLS) - FOLDERS))
def test_a_folder(tool, folder, tmp_path, call):
    (tmp_path / "folder").mkdir()
    refused(tool, folder, CALLS[call], tmp_path / "folder")


@pytest.mark.parametrize(
    "call", ["run-prompt", "run-inputs", "eval-text", "eval-choices", "inspect", "compile-tokenizer"]
)
def test_a_device(tool, folder, tmp_path, call):
    os.symlink("/dev/zero", tmp_path / "zero")
    refused(tool, folder, CALLS[call], tmp_path / "zero")


PROMPT = "Once upon a time, \u00e9"


def prompt_of(run, *arguments, **options):
    """The text that a run of qopt-run begins with."""
    done = run("qopt-run", *arguments, "--max-tokens", 1, "--json", **options)
    return json.loads(done.stdout)["text"]


def test_a_prompt_from_standard_input(tool, folder):
    for name in ("-", "/dev/stdin"):
        assert prompt_of(tool, folder / "stories.qopt", "--prompt-file", name, stdin=PROMPT).startswith(PROMPT)
        done = tool("qopt-run", folder / "stories.qopt", "--prompt-file", name, stdin="", check=False)
        assert done.returncode == NOT_FOUND and f"'{name}': nothing was written to the pipe" in done.stderr
    # What is long, and what comes piece by piece.
    done = tool("qopt-run", folder / "stories.qopt", "--prompt-file", "-", stdin="a " * 100_000, check=False)
    assert done.returncode == INFEASIBLE and "the model's context is 512" in done.stderr


def test_a_prompt_from_a_pipe_that_fills_slowly(tool, folder, tmp_path):
    pipe = tmp_path / "pipe"
    os.mkfifo(pipe)
    descriptor = os.open(pipe, os.O_RDWR)

    def write():
        for letter in PROMPT.encode():
            os.write(descriptor, bytes([letter]))
            time.sleep(0.01)
        os.close(descriptor)

    writer = threading.Thread(target=write)
    writer.start()
    text = prompt_of(tool, folder / "stories.qopt", "--prompt-file", pipe, timeout=30)
    writer.join()
    assert text.startswith(PROMPT)


def test_a_prompt_from_a_file_as_standard_input(tool, folder, tmp_path):
    (tmp_path / "prompt.txt").write_text(PROMPT)
    program = tool("qopt-run", "--version").args[0]
    with open(tmp_path / "prompt.txt") as file:
        words = [program, folder / "stories.qopt", "--prompt-file", "-", "--max-tokens", "1"]
        done = subprocess.run(words, stdin=file, capture_output=True, text=True, check=True)
    assert done.stdout.startswith(PROMPT)


@pytest.mark.parametrize("name", ["-", "/dev/stdin"])
def test_text_of_mlir_from_standard_input(tool, name):
    """As every tool of LLVM reads it, so that they can be put behind each other."""
    kernels = (SOURCE / "test/lib/Codegen/Cuda/order.mlir").read_text()
    assert "gpu.module" in tool("qopt-opt", name, stdin=kernels).stdout
    assert ".visible .entry" in tool("qopt-translate", "--qopt-to-ptx", name, stdin=kernels).stdout


def test_other_texts_from_standard_input(tool, folder):
    """What is evaluated, and PTX."""
    text, ptx = PROMPT * 20, (folder / "scale.ptx").read_text()
    expected = tool("qopt-emulate", folder / "scale.ptx", "--grid", 1, "--block", 32, check=False)
    for name in ("-", "/dev/stdin"):
        assert tool("qopt-eval", folder / "stories.qopt", "--text", name, stdin=text).stdout.startswith("1 window of ")
        done = tool("qopt-emulate", name, "--grid", 1, "--block", 32, stdin=ptx, check=False)
        assert done.stderr == expected.stderr and done.returncode == expected.returncode


@pytest.mark.parametrize("call", ["run-prompt", "eval-text"])
def test_a_device_that_is_no_terminal(tool, folder, call):
    name, *words = CALLS[call].replace("X", "/dev/null").split()
    done = tool(name, folder / words[0], *words[1:], check=False)
    assert done.returncode == NOT_FOUND
    assert done.stderr == ("error: cannot read '/dev/null': it is a device; expected a file, a pipe or a terminal\n")


def test_only_texts_come_from_pipes(tool, folder):
    """Models and arrays are looked at in place, and twice."""
    for words in (("/dev/stdin", "--tokens", 1), (folder / "graph.qopt", "--inputs", "/dev/stdin")):
        done = tool("qopt-run", *words, stdin="", check=False, timeout=30)
        assert done.returncode == NOT_FOUND and "it is a pipe; expected a regular file" in done.stderr
