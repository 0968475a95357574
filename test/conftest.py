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


@pytest.fixture(scope="session")
def graphs(tool, shared, tmp_path_factory):
    """The path of a family's model, and a folder with f32.qopt and calib.npz."""
    import numpy as np
    from graph_inputs import inputs_of

    known = {}

    def get(family, exporter="optimum"):
        name = f"{family}-{exporter}"
        if name not in known:
            folder = tmp_path_factory.mktemp(name)
            model = shared / "zoo/families" / name / "model.onnx"
            tool("qopt-compile", model, "--activations", "f32", "-o", folder / "f32.qopt")
            np.savez(folder / "calib.npz", **inputs_of(family, 1))
            known[name] = model, folder
        return known[name]

    return get


@pytest.fixture(scope="session")
def classifier(graphs, tool, tmp_path_factory):
    """distilbert with a head of 24 classes on its first token, and its inputs."""
    import numpy as np
    import onnx
    from graph_inputs import inputs_of

    path, _ = graphs("distilbert", "dynamo")
    model = onnx.load(path)
    random = np.random.default_rng(7)
    weight = random.standard_normal((64, 24)).astype(np.float32)
    graph = model.graph
    graph.initializer.extend(
        [
            onnx.numpy_helper.from_array(np.array(0, np.int64), "first"),
            onnx.numpy_helper.from_array(weight * 0.5, "classes.weight"),
            onnx.numpy_helper.from_array(np.zeros(24, np.float32), "classes.bias"),
        ]
    )
    hidden = graph.output[0].name
    graph.node.extend(
        [
            onnx.helper.make_node("Gather", [hidden, "first"], ["pooled"], axis=1),
            onnx.helper.make_node("Gemm", ["pooled", "classes.weight", "classes.bias"], ["logits"]),
        ]
    )
    del graph.output[:]
    graph.output.append(onnx.helper.make_tensor_value_info("logits", onnx.TensorProto.FLOAT, ["batch", 24]))
    folder = tmp_path_factory.mktemp("classifier")
    onnx.save(model, folder / "model.onnx")
    np.savez(folder / "calib.npz", **inputs_of("distilbert", 3, 128))
    tool("qopt-compile", folder / "model.onnx", "--activations", "f32", "-o", folder / "f32.qopt")
    return folder
