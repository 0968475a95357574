"""An output never replaces a file that is read, nor one of another kind; each failure has its status."""

import os
import pathlib
import re
import shutil
import zipfile

import numpy as np
import onnx
import pytest
from onnx import TensorProto, helper

USAGE, BAD_MODEL, BAD_ARTIFACT, NOT_FOUND, UNWRITABLE = 2, 3, 8, 9, 10
BENCH = ("--prompt", 0, "--context", 2, "--tokens", 1, "--repeats", 1, "--bandwidth-mib", 1)
KERNELS = pathlib.Path(__file__).resolve().parents[1] / "lib/Codegen/Cuda/order.mlir"
X = np.arange(24, dtype=np.float32).reshape(3, 8)


@pytest.fixture(scope="module")
def files(artifacts, tmp_path_factory):
    """Artifacts and the arrays that the tools read."""
    folder = tmp_path_factory.mktemp("files")
    for name in ("decoder.qopt", "graph.qopt"):
        shutil.copy(artifacts / name, folder)
    np.save(folder / "tokens.npy", np.arange(20, dtype=np.int32).reshape(2, 10))
    np.savez(folder / "in.npz", x=X)
    (folder / "scale.ptx").write_text(".version 8.0\n.target sm_80\n.address_size 64\n")
    (folder / "kernels.mlir").write_text("module {}\n")
    return folder


@pytest.fixture
def model(stories, tmp_path):
    """The folder of a model, with a configuration that begins like a report and one weight in a .npy."""
    folder = tmp_path / "model"
    shutil.copytree(stories, folder)
    proto = onnx.load(folder / "model.onnx")
    tensor = next(t for t in proto.graph.initializer if t.raw_data and t.data_type == TensorProto.FLOAT)
    np.save(folder / "weights.npy", np.frombuffer(tensor.raw_data, np.float32))
    tensor.ClearField("raw_data")
    tensor.data_location = TensorProto.EXTERNAL
    offset = (folder / "weights.npy").stat().st_size - np.load(folder / "weights.npy").nbytes
    for key, value in (("location", "./weights.npy"), ("offset", offset)):
        tensor.external_data.add(key=key, value=str(value))
    onnx.save(proto, folder / "model.onnx")
    (folder / "genai_config.json").write_text('{"model": {"context_length": 512}}')
    return folder


def commands(files, model):
    """Every tool with an output, on a model and on an artifact, without the output's name."""
    tokens = ("--tokens", files / "tokens.npy")
    for given in (model, model / "model.onnx", files / "decoder.qopt"):
        yield ("qopt-eval", given, *tokens, "--report")
        yield ("qopt-eval", given, *tokens, "--html")
        yield ("qopt-eval", given, *tokens, "--save-logits")
        yield ("qopt-bench", given, *BENCH, "--report")
        if given != files / "decoder.qopt":
            yield ("qopt-translate", "--import-onnx", given, "-o")
    yield ("qopt-run", files / "graph.qopt", "--inputs", files / "in.npz", "--outputs")
    yield ("qopt-emulate", files / "scale.ptx", "--args", files / "in.npz", "--out")
    yield ("qopt-translate", "--qopt-to-ptx", files / "kernels.mlir", "-o")
    yield ("qopt-run", model, "--inputs", files / "in.npz", "--outputs")


NAMES = ["model.onnx", "weights.npy", "config.json", "generation_config.json", "genai_config.json", "tokenizer.json"]


@pytest.mark.parametrize("name", NAMES)
def test_no_file_of_the_model_is_replaced(tool, files, model, name):
    before = (model / name).read_bytes()
    for command in commands(files, model):
        if name == "weights.npy" and command[-1] == "--save-logits" and command[1] == files / "decoder.qopt":
            continue  # nothing says that this array belongs to a model
        refused = tool(*command, model / name, check=False)
        assert refused.returncode == USAGE, (command, refused.stderr)
        reasons = r"error: (will not replace|.* read too|.* a file of one array)"
        assert re.match(reasons, refused.stderr) and name in refused.stderr
        assert (model / name).read_bytes() == before


def test_other_files_are_kept(tool, files, tmp_path, model):
    checkpoint = tmp_path / "checkpoint.npz"
    with zipfile.ZipFile(checkpoint, "w") as archive:
        archive.writestr("archive/data.pkl", b"weights")
    (tmp_path / "text.md").write_text("# A page\n")
    for path in (checkpoint, tmp_path / "text.md", files / "graph.qopt"):
        before = path.read_bytes()
        for command in commands(files, model):
            refused = tool(*command, path, check=False)
            assert refused.returncode == USAGE and path.name in refused.stderr, refused.stderr
        assert path.read_bytes() == before


def test_no_device_or_pipe_is_replaced(tool, files, tmp_path, model):
    os.mkfifo(tmp_path / "pipe")
    for command in commands(files, model):
        refused = tool(*command, tmp_path / "pipe", check=False)
        assert refused.returncode == UNWRITABLE and "not a regular file" in refused.stderr, refused.stderr
    assert (tmp_path / "pipe").is_fifo()


def test_an_output_may_be_written_again(tool, files, tmp_path, model):
    decoder = (files / "decoder.qopt", "--tokens", files / "tokens.npy")
    for _twice in range(2):
        tool("qopt-eval", *decoder, "--report", tmp_path / "r.json", "--save-logits", tmp_path / "l.npy")
        for form in ("md", "csv", "json"):
            tool("qopt-bench", files / "decoder.qopt", *BENCH, "--format", form, "--report", tmp_path / "b.txt")
        run = ("--inputs", files / "in.npz", "--outputs", tmp_path / "out.npz")
        tool("qopt-run", files / "graph.qopt", *run)
        for more in ((), ("--locations",)):
            tool("qopt-translate", "--import-onnx", model, *more, "-o", tmp_path / "m.mlir")
        tool("qopt-translate", "--qopt-to-ptx", KERNELS, "-o", tmp_path / "k.ptx")
    assert (tmp_path / "m.mlir").read_text().startswith("#loc")


def test_two_outputs_are_two_files(tool, files, tmp_path):
    run = ("qopt-eval", files / "decoder.qopt", "--tokens", files / "tokens.npy")
    both = tmp_path / "both"
    refused = tool(*run, "--save-logits", both, "--report", tmp_path / "." / "both", check=False)
    assert refused.returncode == USAGE and "which --save-logits writes too" in refused.stderr
    assert not both.exists()


def test_each_failure_has_its_status(tool, files, tmp_path):
    (tmp_path / "damaged.qopt").write_bytes((files / "decoder.qopt").read_bytes()[:-1])
    (tmp_path / "damaged.onnx").write_bytes(b"no model")
    run = ("--tokens", "1", "--max-tokens", 1)
    for name, status in (("damaged.qopt", BAD_ARTIFACT), ("damaged.onnx", BAD_MODEL), ("none.qopt", NOT_FOUND)):
        assert tool("qopt-run", tmp_path / name, *run, check=False).returncode == status, name
    evaluate = ("qopt-eval", files / "decoder.qopt", "--tokens", files / "tokens.npy", "--report")
    assert tool(*evaluate, tmp_path / "none/r.json", check=False).returncode == UNWRITABLE


@pytest.mark.parametrize(
    "name", ["qopt-bench", "qopt-compile", "qopt-eval", "qopt-inspect", "qopt-run", "qopt-translate"]
)
def test_help_lists_the_statuses(tool, name):
    listed = re.findall(r"^  (\d+) ", tool(name, "--help").stdout.partition("Exit codes:")[2], re.MULTILINE)
    assert listed == ["0", "2", "3", "4", "5", "6", "7", "8", "9", "10", "11", "70", "130"]


def test_one_array_or_several(tool, files, tmp_path):
    """A .npy holds one array; of several outputs it is refused, before anything runs, and replaces a .npy alone."""
    run = ("qopt-run", files / "graph.qopt", "--inputs", files / "in.npz", "--outputs", tmp_path / "out.npy")
    done = tool(*run, check=False)
    message = f"--outputs is '{tmp_path}/out.npy', a file of one array, and artifact '{files}/graph.qopt' has 2 outputs"
    assert done.returncode == USAGE and f"error: {message}; name a .npz for all of them\n" == done.stderr
    assert list(tmp_path.iterdir()) == []
    x = helper.make_tensor_value_info("x", TensorProto.FLOAT, ["n", 8])
    graph = helper.make_graph([helper.make_node("Neg", ["x"], ["y"])], "main", [x], [onnx.ValueInfoProto(name="y")])
    onnx.save(helper.make_model(graph, opset_imports=[helper.make_opsetid("", 21)], ir_version=10), tmp_path / "m.onnx")
    tool("qopt-compile", tmp_path / "m.onnx", "-o", tmp_path / "m.qopt")
    for name in ("y.npy", "y.npz", "y.npy"):
        run = ("--inputs", files / "in.npz", "--outputs", tmp_path / name)
        tool("qopt-run", tmp_path / "m.qopt", *run)
    one, several = np.load(tmp_path / "y.npy"), np.load(tmp_path / "y.npz")
    assert one.dtype == np.float32 and np.array_equal(one, -X) and np.array_equal(several["y"], -X)
    shutil.copy(tmp_path / "y.npz", tmp_path / "other.npy")
    run = ("--inputs", files / "in.npz", "--outputs", tmp_path / "other.npy")
    done = tool("qopt-run", tmp_path / "m.qopt", *run, check=False)
    assert done.returncode == USAGE and "will not replace" in done.stderr
