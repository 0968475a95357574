"""Limits of quality of graphs: the figures are those of onnxruntime and numpy, what misses a limit is not written, what
was measured stays in the artifact, and the layer that lost most is found."""

import json

import numpy as np
import onnxruntime
import pytest
import qopt
from graph_inputs import divergence, inputs_of, outputs_of

GATE_FAILED, USAGE = 6, 2
FORMAT = ("--weights", "int4", "--embedding", "f32")


def session_outputs(model, arrays):
    session = onnxruntime.InferenceSession(model, providers=["CPUExecutionProvider"])
    names = [output.name for output in session.get_outputs()]
    return dict(zip(names, session.run(names, arrays), strict=True))


def error(found, expected):
    found, expected = found.astype(np.float64), expected.astype(np.float64)
    return np.sum((found - expected) ** 2) / np.sum(expected**2)


@pytest.fixture(scope="module")
def samples(classifier):
    """a.npz and b.npz, which no calibration saw."""
    for name, seed, count in (("a", 11, 24), ("b", 12, 8)):
        np.savez(classifier / f"{name}.npz", **inputs_of("distilbert", seed, count))
    return classifier


def compiled(tool, folder, *options, check=True):
    return tool("qopt-compile", folder / "model.onnx", *FORMAT, *options, "-o", folder / "gated.qopt", check=check)


def validated(tool, folder, *options):
    files = ("--validate", f"first={folder / 'a.npz'}", "--validate", folder / "b.npz")
    return json.loads(compiled(tool, folder, *files, *options, "--json").stdout)["validation"]


def test_the_figures_are_those_of_numpy(tool, samples):
    """The artifact that was written, with its int8 activations, beside the file's own model run by onnxruntime."""
    found = validated(tool, samples)
    assert found["slices"] == [] and found["gates"] == []
    assert [(o["slice"], o["output"], o["samples"], o["rows"]) for o in found["outputs"]] == [
        ("all", "logits", 32, 32),
        ("first", "logits", 24, 24),
        ("b.npz", "logits", 8, 8),
    ]
    arrays = [dict(np.load(samples / f"{name}.npz")) for name in "ab"]
    both = {name: np.concatenate([each[name] for each in arrays]) for name in arrays[0]}
    for output, inputs in zip(found["outputs"], [both, *arrays], strict=True):
        ours = outputs_of(samples / "gated.qopt", inputs)
        theirs = session_outputs(samples / "model.onnx", inputs)
        assert output["error"]["mean"] == pytest.approx(error(ours["logits"], theirs["logits"]), rel=1e-3)
        assert output["error"]["low"] < output["error"]["mean"] < output["error"]["high"]
        assert output["kl"]["mean"] == pytest.approx(divergence(ours, theirs), rel=1e-3)
        assert output["kl"]["low"] < output["kl"]["mean"] < output["kl"]["high"] < output["kl"]["max"] * 1.01
        same = np.mean(ours["logits"].argmax(-1) == theirs["logits"].argmax(-1))
        assert output["same_top1_percent"] == pytest.approx(100 * same)


@pytest.mark.parametrize(("limit", "value"), [("--max-kl", 1e-5), ("--min-top1", 100), ("--max-error", 1e-6)])
def test_a_missed_limit_writes_nothing(tool, samples, tmp_path, limit, value):
    outputs = ("--save-plan", tmp_path / "plan.json", "-o", tmp_path / "m.qopt")
    words = ("--weights", "int2_asym_g32", "--validate", samples / "a.npz", limit, value, *outputs)
    done = tool("qopt-compile", samples / "model.onnx", *words, check=False)
    assert done.returncode == GATE_FAILED, done.stderr
    assert "1 of 1 limits of quality are missed; nothing is written" in done.stderr
    (row,) = [line.split() for line in done.stderr.splitlines() if line.endswith("  missed")]
    assert row[:3] == ["all:", "logits", limit[2:]]
    assert list(tmp_path.iterdir()) == []


def test_what_was_measured_is_in_the_artifact(tool, samples):
    limits = ("--max-kl", 1, "--min-top1", 10, "--max-error", 0.5)
    found = validated(tool, samples, *limits)
    assert len(found["gates"]) == 9 and all(gate["met"] for gate in found["gates"])
    kept = json.loads(tool("qopt-inspect", samples / "gated.qopt", "--json").stdout)["validation"]
    assert kept == found
    said = tool("qopt-inspect", samples / "gated.qopt").stdout
    assert "first: logits" in said and said.count("  met\n") == 9


def test_keep_writes_all_the_same(tool, samples, tmp_path):
    words = ("--validate", samples / "b.npz", "--max-error", 0, "--keep", "-o", tmp_path / "m.qopt")
    done = tool("qopt-compile", samples / "model.onnx", *FORMAT, *words, check=False)
    assert done.returncode == GATE_FAILED and "is written all the same" in done.stderr
    assert qopt.load(tmp_path / "m.qopt").outputs


def test_without_a_file_the_held_out_samples_are_measured(tool, samples, tmp_path):
    np.savez(tmp_path / "c.npz", **inputs_of("distilbert", 3, 19))
    words = ("--calibrate", tmp_path / "c.npz", "--algorithm", "rtn", "--max-error", 0.9, "--json")
    found = json.loads(compiled(tool, samples, *words).stdout)["validation"]
    assert [(o["slice"], o["samples"]) for o in found["outputs"]] == [("all", 2)]
    assert found["texts"][0]["name"] == "held out"
    np.savez(tmp_path / "c.npz", **inputs_of("distilbert", 3, 7))
    done = compiled(tool, samples, *words, check=False)
    assert done.returncode == USAGE and 'no sample of "c.npz" is held out; expected 8' in done.stderr


@pytest.mark.usefixtures("ptx_only")
def test_a_gpu_is_stood_for_by_the_same_codes(tool, samples, tmp_path):
    words = ("--target", "cuda", *FORMAT, "--validate", samples / "b.npz", "--json", "-o", tmp_path / "m.qopt")
    found = json.loads(tool("qopt-compile", samples / "model.onnx", *words).stdout)["validation"]
    assert "activations in f16" in found["device"]
    arrays = ("--inputs", samples / "b.npz", "--outputs", tmp_path / "out.npz")
    tool("qopt-run", tmp_path / "m.qopt", "--device", "emulator", *arrays)
    ours = dict(np.load(tmp_path / "out.npz"))
    theirs = session_outputs(samples / "model.onnx", dict(np.load(samples / "b.npz")))
    assert found["outputs"][0]["error"]["mean"] == pytest.approx(error(ours["logits"], theirs["logits"]), rel=0.05)


@pytest.mark.parametrize(
    ("options", "message"),
    [
        (
            ("--max-kl", 1),
            '--max-kl is of predictions, and no output of the graph is called logits (it has "last_hidden_state"); ',
        ),
        (("--min-top1", 1), "--min-top1 is of predictions, and no output of the graph is called logits"),
        (("--max-perplexity-increase", 1), "--max-perplexity-increase is of a decoder's predictions of a text"),
    ],
)
def test_limits_that_no_output_has_are_refused(tool, graphs, tmp_path, options, message):
    model, folder = graphs("distilbert")
    words = (*options, "--validate", folder / "calib.npz", "-o", tmp_path / "m.qopt")
    done = tool("qopt-compile", model, "--weights", "int8", *words, check=False)
    assert done.returncode == USAGE and message in done.stderr, done.stderr
    assert not (tmp_path / "m.qopt").exists()


def test_texts_and_arrays_are_not_mixed_up(tool, graphs, stories, tmp_path):
    model, folder = graphs("distilbert")
    (tmp_path / "t.txt").write_text("Once upon a time")
    done = tool("qopt-compile", model, "--validate", tmp_path / "t.txt", "-o", tmp_path / "m.qopt", check=False)
    assert done.returncode == USAGE and "is given for a graph, which reads no text" in done.stderr
    words = ("--validate", folder / "calib.npz", "-o", tmp_path / "m.qopt")
    done = tool("qopt-compile", stories, *words, check=False)
    assert done.returncode == USAGE and "has inputs of a graph, but the model is a decoder" in done.stderr
    words = ("--validate", tmp_path / "t.txt", "--max-error", 1, "-o", tmp_path / "m.qopt")
    done = tool("qopt-compile", stories, *words, check=False)
    assert done.returncode == USAGE and "--max-error is of the outputs of a graph" in done.stderr


def test_the_layer_with_fewest_bits_is_to_blame(tool, samples):
    """One linear in 2 bits, all others in 8: restoring its layer takes nearly all of the loss away."""
    found = json.loads(tool("qopt-inspect", samples / "f32.qopt", "--json").stdout)
    name = next(w["name"] for w in found["weights"]["list"] if w["name"].count("+") == 0 and w["rows"] == 64)
    words = ("--weights", "int8", "--format", f"{name}=int2_asym_g32", "--activations", "f32")
    blame = ("--validate", samples / "a.npz", "--blame", "--json")
    said = json.loads(tool("qopt-compile", samples / "model.onnx", *words, *blame).stdout)["blame"]
    first = said["layers"][0]
    assert name in [weight["name"] for weight in first["weights"]]
    assert first["kl_recovered"] > 0.9 * said["kl"] > 0
    assert said["kl_restored"] == pytest.approx(0, abs=1e-9) and "perplexity" not in said
    assert len(said["layers"]) >= 2


def test_python_has_the_same_figures(samples):
    """Of outputs, of gates, and of layers."""
    words = {"weights": "int4", "embedding": "f32", "validate": str(samples / "b.npz")}
    done = qopt.compile(samples / "model.onnx", samples / "p.qopt", **words, max_kl=1, max_error=0.5)
    (output,) = done.validation.outputs
    assert done.validation.slices == [] and (output.slice, output.output, output.samples) == ("all", "logits", 8)
    inputs = dict(np.load(samples / "b.npz"))
    ours, theirs = outputs_of(samples / "p.qopt", inputs), session_outputs(samples / "model.onnx", inputs)
    assert output.error == pytest.approx(error(ours["logits"], theirs["logits"]), rel=1e-3)
    assert output.kl == pytest.approx(divergence(ours, theirs), rel=1e-3)
    assert [(gate.option, gate.output, gate.met) for gate in done.validation.gates] == [
        ("max-error", "logits", True),
        ("max-kl", "logits", True),
    ]
    blamed = qopt.blame(samples / "model.onnx", **words)
    assert blamed.perplexity is None and blamed.kl == pytest.approx(output.kl, rel=1e-4)
    with pytest.raises(qopt.Error, match="limits of quality are missed"):
        qopt.compile(samples / "model.onnx", samples / "p.qopt", **words, max_error=1e-9)
