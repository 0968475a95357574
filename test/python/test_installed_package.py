"""What a wheel holds: the install component `python`, used from a folder of its own, away from the build."""

import json
import os
import pathlib
import re
import subprocess
import sys

import pytest

SOURCE = pathlib.Path(__file__).resolve().parents[2]
BUILD = pathlib.Path(os.environ.get("QOPT_BUILD", SOURCE / "build"))


@pytest.fixture(scope="module")
def installed(tmp_path_factory):
    if not (BUILD / "python/qopt/__init__.py").exists():
        pytest.skip("the Python module was not built")
    prefix = tmp_path_factory.mktemp("wheel")
    subprocess.run(
        ["cmake", "--install", BUILD, "--component", "python", "--prefix", prefix], check=True, capture_output=True
    )
    return prefix


def run(installed, program, *arguments):
    """Runs a program that imports the installed package; gives what it prints as JSON."""
    environment = {**os.environ, "PYTHONPATH": str(installed)}
    done = subprocess.run(
        [sys.executable, "-c", program, *map(str, arguments)],
        env=environment,
        capture_output=True,
        text=True,
        cwd=installed,
    )
    assert done.returncode == 0, done.stderr
    return json.loads(done.stdout)


def test_compiles_loads_and_writes(installed, tmp_path, stories, tool):
    if not any(installed.glob("qopt/_compiler*.so")):
        pytest.skip("built without LLVM")
    program = (
        "import json, sys, qopt\n"
        "qopt.compile(sys.argv[1], sys.argv[2], weights='int8')\n"
        "text = qopt.load(sys.argv[2]).generate('Once upon a time', max_tokens=20).text\n"
        "print(json.dumps({'file': qopt.__file__, 'text': text}))"
    )
    result = run(installed, program, stories / "model.onnx", tmp_path / "model.qopt")
    assert pathlib.Path(result["file"]).parent == installed / "qopt"
    run_options = ("--prompt", "Once upon a time", "--max-tokens", 20, "--json")
    assert result["text"] == json.loads(tool("qopt-run", tmp_path / "model.qopt", *run_options).stdout)["text"]


def test_options_and_default_output(installed, tmp_path, stories):
    if not any(installed.glob("qopt/_compiler*.so")):
        pytest.skip("built without LLVM")
    program = (
        "import json, os, sys, qopt\n"
        "os.chdir(sys.argv[2])\n"
        "made = qopt.compile(sys.argv[1], weights='int8', lm_head='f16', kv='f16', context=64)\n"
        "model = qopt.load(made.output)\n"
        "try:\n"
        "    qopt.compile(sys.argv[1], wieghts='int8')\n"
        "except qopt.Error as error:\n"
        "    said = str(error)\n"
        "print(json.dumps({'output': made.output, 'context': model.context, 'said': said}))"
    )
    result = run(installed, program, stories, tmp_path)
    assert result["output"] == "stories260k.qopt" and (tmp_path / "stories260k.qopt").is_file()
    assert result["context"] == 64 and result["said"].startswith('there is no option "wieghts"')


def test_loading_needs_no_llvm(installed):
    (runtime,) = installed.glob("qopt/_runtime*.so")
    needed = subprocess.run(["ldd", runtime], check=True, capture_output=True, text=True).stdout
    assert "not found" not in needed and not re.search(r"LLVM|MLIR|protobuf", needed), needed


def test_holds_the_package_and_nothing_else(installed):
    files = {path.relative_to(installed).parts[0] for path in installed.rglob("*") if path.is_file()}
    assert files == {"qopt"}
    names = {path.name for path in (installed / "qopt").iterdir() if path.name != "__pycache__"}
    written = {path.name for path in (SOURCE / "python/qopt").iterdir() if path.suffix in (".py", ".typed")}
    modules = {name for name in names if name.startswith("_") and name.endswith((".so", ".pyi"))}
    assert names - modules == written | ({"py.typed"} & names)


def test_versions_agree():
    project = re.search(r"^project\(qopt VERSION ([\d.]+)", (SOURCE / "CMakeLists.txt").read_text(), re.M)
    wheel = re.search(r'^version = "([\d.]+)"', (SOURCE / "python/pyproject.toml").read_text(), re.M)
    assert project and wheel and project[1] == wheel[1]
