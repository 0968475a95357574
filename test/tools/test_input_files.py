"""What is no ordinary file in place of one, a pipe nobody writes to, a folder, a device, is an error at once."""

import os

import pytest

BAD_MODEL, NOT_FOUND = 3, 9
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
    assert "not a file" in done.stderr or "no regular file" in done.stderr


@pytest.mark.parametrize("call", CALLS)
def test_a_pipe(tool, folder, tmp_path, call):
    os.mkfifo(tmp_path / "pipe")
    refused(tool, folder, CALLS[call], tmp_path / "pipe")


@pytest.mark.parametrize("call", sorted(set(CALLS) - FOLDERS))
def test_a_folder(tool, folder, tmp_path, call):
    (tmp_path / "folder").mkdir()
    refused(tool, folder, CALLS[call], tmp_path / "folder")


@pytest.mark.parametrize("call", ["run-prompt", "run-inputs", "eval-text", "inspect", "compile-tokenizer"])
def test_a_device(tool, folder, tmp_path, call):
    os.symlink("/dev/zero", tmp_path / "zero")
    refused(tool, folder, CALLS[call], tmp_path / "zero")
