"""bench/synthetic.py: valid models of the shapes that were asked for, the same bytes for the same seed."""

import json
import subprocess
import sys

import conftest
import numpy as np
import onnx
import pytest
from onnx import numpy_helper

UNSUPPORTED = 4
SMALL = ["--layers=2", "--hidden=256", "--heads=4", "--kv-heads=2", "--ffn=512", "--vocabulary=512", "--context=256"]


def write(folder, *options):
    command = [sys.executable, conftest.SOURCE / "bench/synthetic.py", folder, *SMALL, *options]
    subprocess.run([str(word) for word in command], check=True)
    return folder / "model.onnx"


def compiled(tool, folder, *options):
    return json.loads(tool("qopt-compile", folder, "-o", folder / "m.qopt", "--json", *options).stdout)


@pytest.mark.parametrize("precision", ["f16", "int4"])
@pytest.mark.parametrize("model", ["llama-3-8b", "llama-3.2-1b", "qwen3-8b"])
def test_decoders(tool, tmp_path, model, precision):
    path = write(tmp_path, "--model", model, "--precision", precision)
    onnx.checker.check_model(str(path), full_check=True)
    summary = compiled(tool, tmp_path)
    assert summary["kind"] == "decoder" and summary["layers"] == summary["raised_layers"] == 2
    weights = {weight["name"] for weight in summary["weights"]}
    assert any("qkv_proj" in name for name in weights) == (model != "qwen3-8b")
    if precision == "f16":
        compiled(tool, tmp_path, "--target", "cuda")


def test_experts(tool, tmp_path):
    """A model of experts is a decoder, with a weight for each projection of each expert."""
    path = write(tmp_path, "--model", "mixtral-like", "--experts", 4)
    onnx.checker.check_model(str(path), full_check=True)
    (gate,) = (t for t in onnx.load(path).graph.initializer if t.name == "model.layers.1.moe.experts.gate")
    assert numpy_helper.to_array(gate, str(tmp_path)).shape == (4, 512, 256)
    summary = compiled(tool, tmp_path)
    assert summary["kind"] == "decoder" and summary["layers"] == summary["raised_layers"] == 2
    names = {name for weight in summary["weights"] for name in weight["name"].split("+")}
    assert {f"model.layers.1.moe.experts.{part}.{i}" for part in ("gate", "up", "down") for i in range(4)} <= names


def test_a_hole_compiles_like_data(tool, tmp_path):
    """--sparse: the same model but for its numbers, and nothing of the weights is stored."""
    dense, sparse = tmp_path / "dense", tmp_path / "sparse"
    for folder, options in ((dense, ()), (sparse, ("--sparse",))):
        write(folder, *options)
    assert (dense / "model.onnx").read_bytes() == (sparse / "model.onnx").read_bytes()
    sizes = [(folder / "model.onnx.data").stat() for folder in (dense, sparse)]
    assert sizes[0].st_size == sizes[1].st_size and sizes[1].st_blocks < sizes[0].st_blocks / 4
    found = compiled(tool, sparse, "--target", "cuda", "--weights", "int4_g128")
    assert found["weight_bytes"] == compiled(tool, dense, "--target", "cuda", "--weights", "int4_g128")["weight_bytes"]


@pytest.mark.parametrize("precision", ["f16", "int4"])
def test_rows_that_repeat(tool, tmp_path, precision):
    """--repeat-rows: the artifact is as large, for no two matrices are equal, and most of its blocks come again."""
    sys.path.insert(0, str(conftest.SOURCE / "bench"))
    from gpu import folding

    parts, sizes = {}, {}
    for rows in (0, 128):
        folder = tmp_path / str(rows)
        write(folder, "--ffn=8192", "--vocabulary=8192", "--precision", precision, "--repeat-rows", rows)
        compiled(tool, folder, *(("--weights", "int4_g32") if precision == "f16" else ()))
        sizes[rows] = (folder / "m.qopt").stat().st_size
        parts[rows] = folding.fold(folder / "m.qopt", tmp_path / "folded.npz")
    assert sizes[0] == sizes[128] and parts[0] > 0.9 and parts[128] < 0.3, (parts, sizes)


@pytest.mark.parametrize("options", [[], ["--precision=int4"], ["--model=qwen3-8b"], ["--model=llama-3.2-1b"]])
def test_says_how_much_it_writes(tmp_path, options):
    program = conftest.SOURCE / "bench/synthetic.py"
    done = started(sys.executable, program, tmp_path / "m", *SMALL, *options)
    size = (tmp_path / "m/model.onnx.data").stat().st_size
    assert done.returncode == 0 and done.stdout == ""
    assert done.stderr == f"writing {size / 1e9:.3g} GB ({size} bytes) to '{tmp_path}/m/model.onnx.data'\n"


def test_refuses_what_the_disk_has_no_room_for(tmp_path):
    """35 TB, of which no number is made; as a hole it would be for the file system to say."""
    largest = ["--layers=1", "--hidden=262144", "--vocabulary=16777216", "--precision=f32", "--context=4194304"]
    program = conftest.SOURCE / "bench/synthetic.py"
    done = started(sys.executable, program, tmp_path / "m", *SMALL, *largest, "--heads=64", timeout=60)
    assert done.returncode == 2 and not (tmp_path / "m").exists()
    assert done.stderr.startswith(f"error: '{tmp_path}/m/model.onnx.data' would have 3.5")
    assert " GB free; give another folder, fewer --layers, or --sparse" in done.stderr


def test_the_seed_decides(tmp_path):
    bytes_of = []
    for name, seed in (("a", 1), ("b", 1), ("c", 2)):
        write(tmp_path / name, "--seed", seed)
        bytes_of.append((tmp_path / name / "model.onnx.data").read_bytes())
    assert bytes_of[0] == bytes_of[1] and bytes_of[0] != bytes_of[2]


def test_precisions_have_the_same_weights(tmp_path):
    """The 4-bit blocks are those of the f16 matrix, within half a step."""
    arrays = {}
    for precision in ("f16", "int4"):
        model = onnx.load(write(tmp_path / precision, "--precision", precision))
        for tensor in model.graph.initializer:
            arrays[tensor.name] = numpy_helper.to_array(tensor, str(tmp_path / precision))
    name = "model.layers.1.mlp.down_proj.MatMul.weight"
    codes, scales = arrays[name + "_Q4"], arrays[name + "_scales"]
    values = np.stack([codes & 15, codes >> 4], -1).reshape(*codes.shape[:2], 32).astype(np.float32) - 8
    found = (values * scales[..., None]).reshape(256, 512)
    steps = np.repeat(np.abs(scales), 32, axis=1)
    # The block's largest number is a code of its own; on the other side of zero the codes end at 7.
    assert (np.abs(found - arrays[name].T.astype(np.float32)) <= 1.01 * steps).all()
    assert np.mean(np.abs(found - arrays[name].T.astype(np.float32)) / steps) < 0.3


def started(interpreter, *options, **keywords):
    command = [interpreter, *options]
    return subprocess.run([str(word) for word in command], capture_output=True, text=True, **keywords)


@pytest.mark.parametrize(
    ("options", "says"),
    [
        (["--heads=3"], "--hidden 256 is no multiple of --heads 3; give --head-size"),
        (["--heads=0"], "--heads is 0; expected 1 to 4096"),
        (["--hidden=-256"], "--hidden is -256; expected 8 to 262144"),
        (["--head-size=0"], "--head-size is 0; expected 2 to 4096"),
        (["--layers=1000000"], "--layers is 1000000; expected 1 to 2048"),
        (["--kv-heads=3"], "4 heads cannot share 3 key heads evenly; expected --kv-heads to divide --heads"),
        (["--experts=1"], "--experts is 1; expected 0 or at least the 2 that a token has"),
        (["--repeat-rows=-1"], "--repeat-rows is -1; expected 0 or more"),
        (["--ffn=520", "--precision=int4"], "--ffn is 520; expected a multiple of 32, the block of --precision int4"),
    ],
)
def test_sizes_of_no_model(tmp_path, options, says):
    """One line names the size, what it is and what was expected; nothing is written."""
    program = conftest.SOURCE / "bench/synthetic.py"
    done = started(sys.executable, program, tmp_path / "m", *SMALL, *options)
    assert (done.returncode, done.stderr) == (2, f"error: {says}\n") and not (tmp_path / "m").exists()


def test_smallest_sizes(tmp_path):
    """What is let through is written: every size at its least, rows that repeat and all else."""
    least = ["--layers=1", "--hidden=8", "--heads=1", "--kv-heads=1", "--head-size=2", "--ffn=8", "--vocabulary=3"]
    for name, options in (("a", []), ("b", ["--repeat-rows=1"]), ("c", ["--sparse"])):
        path = write(tmp_path / name, *least, "--context=1", *options)
        onnx.checker.check_model(str(path), full_check=True)


def test_a_folder_that_cannot_be(tmp_path):
    (tmp_path / "file").write_text("")
    done = started(sys.executable, conftest.SOURCE / "bench/synthetic.py", tmp_path / "file" / "m", *SMALL)
    assert (done.returncode, done.stderr) == (2, f"error: cannot write to '{tmp_path}/file/m': Not a directory\n")


def test_starts_by_itself(tmp_path):
    """By whichever Python is there: help, or one line that says what to run (-S -I: as one without any packages)."""
    program = conftest.SOURCE / "bench/synthetic.py"
    plain = started(program, "--help")
    assert "--repeat-rows" in plain.stdout or " has no module " in plain.stderr, plain.stderr
    bare = started(sys.executable, "-S", "-I", program, tmp_path)
    assert bare.returncode == 1 and len(bare.stderr.splitlines()) == 1
    assert " has no module numpy; run synthetic.py by " in bare.stderr and "build/venv/bin/python" in bare.stderr
    assert bare.stderr.rstrip().endswith("-m pip install numpy onnx")
