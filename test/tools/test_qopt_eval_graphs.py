"""qopt-eval of graphs: figures as numpy has them, beside an artifact and beside what onnxruntime wrote, and which layer
is to blame."""

import json

import numpy as np
import onnx
import onnxruntime
import pytest
from graph_inputs import divergence, inputs_of, outputs_of

GATE_FAILED, USAGE, BAD_MODEL = 6, 2, 3


@pytest.fixture(scope="module")
def folder(tool, classifier):
    """m.qopt of 4 bits beside f32.qopt, and a.npz and b.npz of its inputs."""
    words = ("--weights", "int4", "--embedding", "f32", "--activations", "f32")
    tool("qopt-compile", classifier / "model.onnx", *words, "-o", classifier / "m.qopt")
    for name, seed, count in (("a", 11, 24), ("b", 12, 8)):
        np.savez(classifier / f"{name}.npz", **inputs_of("distilbert", seed, count))
    return classifier


def evaluated(tool, folder, *options):
    words = ("--inputs", folder / "a.npz", "--reference", folder / "f32.qopt", "--json", *options)
    return json.loads(tool("qopt-eval", folder / "m.qopt", *words).stdout)


def check(output, ours, theirs):
    found, expected = ours["logits"].astype(np.float64), theirs["logits"].astype(np.float64)
    assert output["error"]["mean"] == pytest.approx(np.sum((found - expected) ** 2) / np.sum(expected**2), rel=1e-5)
    assert output["signal_to_noise_db"] == pytest.approx(-10 * np.log10(output["error"]["mean"]))
    assert output["kl"]["mean"] == pytest.approx(divergence(ours, theirs), rel=1e-4)
    same = 100 * np.mean(found.argmax(-1) == expected.argmax(-1))
    assert output["same_top1_percent"]["mean"] == pytest.approx(same)
    for figure in ("error", "kl"):
        assert output[figure]["low"] < output[figure]["mean"] < output[figure]["high"]


def test_figures_are_those_of_numpy(tool, folder, tmp_path):
    words = ("--inputs", f"second={folder / 'b.npz'}", "--report", tmp_path / "eval.json")
    found = evaluated(tool, folder, *words)
    assert json.loads((tmp_path / "eval.json").read_text()) == found
    assert found["samples"] == 32 and [(f["samples"]) for f in found["files"]] == [24, 8]
    assert found["files"][1]["name"] == "second"
    arrays = [dict(np.load(folder / f"{name}.npz")) for name in "ab"]
    both = {name: np.concatenate([each[name] for each in arrays]) for name in arrays[0]}
    for part, inputs in zip([found, *found["files"]], [both, *arrays], strict=True):
        ours, theirs = (outputs_of(folder / name, inputs) for name in ("m.qopt", "f32.qopt"))
        check(part["outputs"][0], ours, theirs)
        assert part["loss"] == pytest.approx(part["outputs"][0]["kl"]["mean"])


def test_what_is_no_prediction_has_an_error_alone(tool, graphs, tmp_path):
    model, source = graphs("bert", "dynamo")
    tool("qopt-compile", model, "--weights", "int8", "--activations", "f32", "-o", tmp_path / "m.qopt")
    words = ("--inputs", source / "calib.npz", "--reference", source / "f32.qopt")
    found = json.loads(tool("qopt-eval", tmp_path / "m.qopt", *words, "--json").stdout)
    assert len(found["outputs"]) == 2 and all("kl" not in output for output in found["outputs"])
    inputs = dict(np.load(source / "calib.npz"))
    ours, theirs = (outputs_of(path, inputs) for path in (tmp_path / "m.qopt", source / "f32.qopt"))
    errors = {name: np.sum((ours[name] - y) ** 2) / np.sum(y**2) for name, y in theirs.items()}
    for output in found["outputs"]:
        assert output["error"]["mean"] == pytest.approx(errors[output["name"]], rel=1e-4)
    assert found["loss"] == pytest.approx(np.mean(list(errors.values())) / 2, rel=1e-4)
    done = tool("qopt-eval", tmp_path / "m.qopt", *words, "--max-kl", 1, check=False)
    assert done.returncode == USAGE and "--max-kl is of predictions, and no output of the graph" in done.stderr


def test_the_reference_may_be_what_onnxruntime_wrote(tool, folder, tmp_path):
    """Rows of one batch, and batches of one."""
    session = onnxruntime.InferenceSession(folder / "model.onnx", providers=["CPUExecutionProvider"])
    inputs = dict(np.load(folder / "a.npz"))
    (logits,) = session.run(["logits"], inputs)
    for name, saved in (("rows", logits), ("batches", logits[:, None])):
        np.savez(tmp_path / f"{name}.npz", logits=saved)
        words = ("--inputs", folder / "a.npz", "--reference", tmp_path / f"{name}.npz", "--json")
        found = json.loads(tool("qopt-eval", folder / "m.qopt", *words).stdout)
        check(found["outputs"][0], outputs_of(folder / "m.qopt", inputs), {"logits": logits})
    np.savez(tmp_path / "few.npz", logits=logits[:5])
    words = ("--inputs", folder / "a.npz", "--reference", tmp_path / "few.npz")
    done = tool("qopt-eval", folder / "m.qopt", *words, check=False)
    assert done.returncode == USAGE and '"logits" as [5, 24]; expected 24 samples along the first axis' in done.stderr
    np.savez(tmp_path / "other.npz", other=logits)
    words = ("--inputs", folder / "a.npz", "--reference", tmp_path / "other.npz")
    done = tool("qopt-eval", folder / "m.qopt", *words, check=False)
    assert done.returncode == USAGE and 'the reference has no output "logits", which the model has' in done.stderr


def test_a_model_is_equal_to_itself(tool, folder):
    words = ("--inputs", folder / "a.npz", "--reference", folder / "m.qopt", "--json")
    (output,) = json.loads(tool("qopt-eval", folder / "m.qopt", *words).stdout)["outputs"]
    assert output["error"]["mean"] == 0 and output["signal_to_noise_db"] is None
    assert output["kl"]["max"] < 1e-12 and output["same_top1_percent"]["mean"] == 100


@pytest.mark.parametrize(
    ("limit", "value", "message"),
    [
        ("--max-kl", 1e-6, 'mean KL of "logits" '),
        ("--max-error", 1e-6, 'error of "logits" '),
        ("--min-same-top1", 100, 'same-top-1 percentage of "logits" '),
    ],
)
def test_a_missed_limit_has_its_exit_code(tool, folder, tmp_path, limit, value, message):
    words = ("--weights", "int2_asym_g32", "-o", tmp_path / "m.qopt")
    tool("qopt-compile", folder / "model.onnx", *words)
    words = ("--inputs", folder / "a.npz", "--reference", folder / "f32.qopt")
    done = tool("qopt-eval", tmp_path / "m.qopt", *words, limit, value, check=False)
    assert done.returncode == GATE_FAILED and message in done.stderr and "the limit" in done.stderr
    assert "all: logits" in done.stdout  # figures are printed all the same
    loose = 0 if limit == "--min-same-top1" else 100
    tool("qopt-eval", tmp_path / "m.qopt", *words, limit, loose)


def test_the_layer_with_fewest_bits_is_to_blame(tool, folder, tmp_path):
    found = json.loads(tool("qopt-inspect", folder / "f32.qopt", "--json").stdout)
    name = next(w["name"] for w in found["weights"]["list"] if "+" not in w["name"] and w["rows"] == 64)
    words = ("--weights", "int8", "--format", f"{name}=int2_asym_g32", "-o", tmp_path / "m.qopt")
    tool("qopt-compile", folder / "model.onnx", *words)
    words = ("--inputs", folder / "a.npz", "--reference", folder / "f32.qopt")
    blame = ("--blame", folder / "model.onnx", "--json")
    said = json.loads(tool("qopt-eval", tmp_path / "m.qopt", *words, *blame).stdout)
    first = said["blame"]["layers"][0]
    assert name in [weight["name"] for weight in first["weights"]]
    assert first["kl_recovered"] > 0.5 * said["loss"] > 0
    assert said["blame"]["kl"] == pytest.approx(said["loss"], rel=1e-4)
    other = tmp_path / "other.qopt"  # of another model
    tool("qopt-compile", folder / "model.onnx", "--weights", "int8", "-o", other)
    graph = folder.parent / "shifted.onnx"
    model = onnx.load(folder / "model.onnx")
    bias = next(t for t in model.graph.initializer if t.name == "classes.bias")
    bias.CopyFrom(onnx.numpy_helper.from_array(np.ones(24, np.float32), "classes.bias"))
    onnx.save(model, graph)
    done = tool("qopt-eval", other, *words, "--blame", graph, check=False)
    assert done.returncode == USAGE and "make is another model: its output size is" in done.stderr


@pytest.mark.parametrize(
    ("options", "message"),
    [
        (("--reference", "f32.qopt", "--text", "t.txt"), "--text is for decoders, and --inputs for graphs"),
        (("--reference", "f32.qopt", "--html", "x.html"), "--html is for decoders, and --inputs for graphs"),
        ((), "--inputs compares the outputs of a graph with a reference; give an artifact or saved outputs (.npz)"),
    ],
)
def test_options_of_decoders_are_refused(tool, folder, options, message):
    words = [folder / word if "." in word else word for word in options]
    done = tool("qopt-eval", folder / "m.qopt", "--inputs", folder / "a.npz", *words, check=False)
    assert done.returncode == USAGE and message in done.stderr, done.stderr


def test_decoders_and_graphs_are_told_apart(tool, folder, stories_artifact, tmp_path):
    words = ("--inputs", folder / "a.npz", "--reference", folder / "f32.qopt")
    done = tool("qopt-eval", stories_artifact, *words, check=False)
    assert done.returncode == USAGE and "is a decoder, which is evaluated on text" in done.stderr
    (tmp_path / "t.txt").write_text("Once upon a time")
    done = tool("qopt-eval", folder / "m.qopt", "--max-error", 1, "--text", tmp_path / "t.txt", check=False)
    assert done.returncode == USAGE and "--max-error requires --reference" in done.stderr
