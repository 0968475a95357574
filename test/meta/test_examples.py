"""Every example that a tool's --help shows runs as it is written."""

import pathlib
import re
import shutil
import subprocess
import sys

import numpy as np
import pytest

SOURCE = pathlib.Path(__file__).resolve().parents[2]
TOOLS = [
    "qopt-bench",
    "qopt-compile",
    "qopt-emulate",
    "qopt-eval",
    "qopt-inspect",
    "qopt-kernel",
    "qopt-opt",
    "qopt-run",
    "qopt-translate",
]
KERNELS = """gpu.module @kernels {
  gpu.func @zero(%x: !llvm.ptr<1>) kernel
      attributes {known_block_size = array<i32: 32, 1, 1>, nvvm.minctasm = 1 : i32} {
    %zero = arith.constant 0.0 : f32
    llvm.store %zero, %x : f32, !llvm.ptr<1>
    gpu.return
  }
}
"""
SIZES = {"layers": 2, "hidden": 64, "heads": 4, "kv-heads": 2, "ffn": 128, "vocabulary": 512, "context": 256}


@pytest.fixture(scope="module")
def prepared(tool, stories, artifacts, tmp_path_factory):
    """A folder with the files that the examples name."""
    folder = tmp_path_factory.mktemp("examples")
    shape = [f"--{name}={size}" for name, size in SIZES.items()]
    subprocess.run([sys.executable, SOURCE / "bench/synthetic.py", folder, *shape], check=True)
    shutil.copy(stories / "tokenizer.json", folder)
    shutil.copy(folder / "model.onnx", folder / "encoder.onnx")
    tool("qopt-compile", folder / "model.onnx", "-o", folder / "model.qopt")
    tool("qopt-compile", folder / "model.onnx", "--weights", "int8", "-o", folder / "other.qopt")
    shutil.copy(artifacts / "graph.qopt", folder / "encoder.qopt")
    tool("qopt-translate", "--import-onnx", "--weights", folder / "model.onnx", "-o", folder / "model.mlir")
    x = np.random.default_rng(0).standard_normal((2, 8)).astype(np.float32)
    np.savez(folder / "in.npz", x=x)
    np.savez(folder / "expected.npz", y=x / np.sqrt((x * x).mean(-1, keepdims=True) + 1e-5))
    (folder / "prompt.txt").write_text("Once upon a time")
    for name in ("text.txt", "valid.txt"):
        (folder / name).write_text("Once upon a time there was a little girl who had a red ball. " * 40)
    (folder / "choices.jsonl").write_text('{"context": "a red", "options": [" ball", " girl"], "answer": 0}\n' * 3)
    np.save(folder / "tokens.npy", np.random.default_rng(1).integers(3, 512, (4, 32)).astype(np.int32))
    shutil.copy(SOURCE / "test/tools/scale.ptx", folder)
    (folder / "kernels.mlir").write_text(KERNELS)
    (folder / "scheduled.mlir").write_text(
        tool("qopt-compile", stories, "--target", "cuda", "--emit", "scheduled").stdout
    )
    lowered = tool("qopt-opt", folder / "scheduled.mlir", "--qopt-cuda-lower-stage").stdout
    (folder / "lowered.mlir").write_text(lowered)
    np.savez(folder / "args.npz", arg0=x.repeat(16), arg1=np.float32(2), arg2=np.uint32(256))
    evaluate = ("--tokens", folder / "tokens.npy", "--save-logits", folder / "logits.npy")
    tool("qopt-eval", folder / "model.qopt", *evaluate)
    return folder


@pytest.mark.parametrize("name", TOOLS)
def test_examples_run(tool, prepared, tmp_path, name):
    text = tool(name, "--help").stdout
    examples = re.findall(rf"^  ({name} .*)$", text.partition("Examples:")[2], re.MULTILINE)
    assert len(examples) >= 3
    folder = tmp_path / "work"
    shutil.copytree(prepared, folder)
    build = pathlib.Path(tool(name, "--help").args[0]).parent
    for example in examples:
        done = subprocess.run(["bash", "-c", f'PATH="{build}:$PATH"; {example}'], cwd=folder, capture_output=True)
        assert done.returncode == 0, f"{example}\n{done.stderr.decode()}"


@pytest.mark.parametrize("name", TOOLS)
def test_version(tool, name):
    (version,) = re.findall(r"^project\(qopt VERSION (\S+)", (SOURCE / "CMakeLists.txt").read_text(), re.MULTILINE)
    assert tool(name, "--version").stdout == f"{name} {version}\n"


@pytest.mark.parametrize("name", TOOLS)
def test_page_of_the_reference(tool, tmp_path, name):
    """What ./x docs makes of the same text: Markdown with the same words."""
    page = tmp_path / "page.md"
    done = tool(name, "--help")
    script = SOURCE / "cmake/HelpPage.cmake"
    subprocess.run(["cmake", f"-DTOOL={done.args[0]}", f"-DPAGE={page}", "-P", script], check=True)
    text = page.read_text()
    assert text.startswith(f"# {name}\n\n") and text.count("```") % 2 == 0 and "\n## Examples\n" in text
    shown = [line for line in text.splitlines() if line and not line.startswith(("#", "```"))]
    said = [line for line in done.stdout.splitlines() if line.strip() and line not in ("Examples:", "Exit codes:")]
    assert shown == said


def test_help_is_of_this_tool():
    """LLVM's own options, which are hundreds, are not in the help of the tools that link it."""
    import conftest

    for name in ("qopt-kernel", "qopt-opt", "qopt-translate", "qopt-compile"):
        command = [conftest.BUILD / "bin" / name, "--help"]
        options = re.findall(
            r"^ +--?[a-z]", subprocess.run(command, capture_output=True, text=True).stdout, re.MULTILINE
        )
        assert 5 < len(options) < 150, (name, len(options))
