"""What every pytest file may use: where the tools, the repository's model and the larger shared models are."""

import os
import pathlib
import subprocess

import pytest

SOURCE = pathlib.Path(__file__).resolve().parents[1]
BUILD = pathlib.Path(os.environ.get("QOPT_BUILD", SOURCE / "build"))
SHARED = pathlib.Path(os.environ.get("QOPT_SHARED", SOURCE.parent / "shared"))
STORIES = SOURCE / "test/data/stories260k"
CACHE = BUILD / "CMakeCache.txt"
NO_ASSEMBLER = {"QOPT_PTXAS": "no-such-ptxas"}
PTX_ONLY = pytest.mark.usefixtures("ptx_only")
UNSANITIZED = pytest.mark.skipif(
    CACHE.exists() and "QOPT_SANITIZE:BOOL=ON" in CACHE.read_text(),
    reason="programs without sanitizers, sizes and peak memory are not of the preset asan",
)


@pytest.fixture(scope="session")
def shared():
    """The folder of larger models that lies beside the repository on the developers' machines."""
    if not (SHARED / "zoo").is_dir():
        pytest.skip(f"the shared models are not at {SHARED} (set QOPT_SHARED)")
    return SHARED


@pytest.fixture
def ptx_only(monkeypatch):
    """Artifacts for GPUs have no machine code, which takes half of the time: the emulator reads PTX."""
    for name, value in NO_ASSEMBLER.items():
        monkeypatch.setenv(name, value)


@pytest.fixture(scope="session")
def stories():
    """The folder of the small real model in the repository."""
    return STORIES


@pytest.fixture(scope="session")
def tool():
    """tool("qopt-compile", "model.onnx", …) runs a program of build/bin or build/test/bin."""

    def run(name, *arguments, check=True, stdin=None, environment=None, timeout=600):
        path = next((p for p in (BUILD / "bin" / name, BUILD / "test/bin" / name) if p.exists()), None)
        assert path, f"{name} is not built; ./x test builds every program"
        done = subprocess.run(
            [path, *map(str, arguments)],
            input=stdin,
            capture_output=True,
            text=not isinstance(stdin, bytes),
            timeout=timeout,
            env={**os.environ, **(environment or {})},
        )
        if check:
            assert done.returncode == 0, f"{name} ended with status {done.returncode}:\n{done.stderr}"
        return done

    return run


@pytest.fixture(scope="session")
def artifacts(tool, tmp_path_factory):
    """decoder.qopt, other.qopt and graph.qopt, built without the compiler; see test/tools/write-artifacts.cpp."""
    folder = tmp_path_factory.mktemp("artifacts")
    tool("write-artifacts", folder)
    return folder


@pytest.fixture(scope="session")
def stories_artifact(tool, tmp_path_factory):
    """The model of the repository, compiled as it is."""
    path = tmp_path_factory.mktemp("stories") / "model.qopt"
    tool("qopt-compile", STORIES, "-o", path)
    return path
