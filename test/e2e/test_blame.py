"""Which layers lose most: what is found for a layer is what an artifact with that layer's own weights has."""

import json
import shutil

import numpy as np
import onnx
import pytest
import qopt
from test_calibration import stories_of

USAGE, UNSUPPORTED = 2, 4
WORST = "node_linear_21 to node_linear_27"
MIXED = ("--weights", "int8", "--format", "re:^node_linear_2[1-7]$=int3", "--activations", "f32")


@pytest.fixture(scope="module")
def folder(tool, stories, stories_artifact, tmp_path_factory):
    """calib.txt and valid.txt, the model in f32, and one that loses most in one layer."""
    folder = tmp_path_factory.mktemp("blame")
    (folder / "calib.txt").write_text(stories_of(tool, stories_artifact, range(12)))
    (folder / "valid.txt").write_text(stories_of(tool, stories_artifact, range(100, 104)))
    plain = ("--weights", "f32", "--activations", "f32", "--kv", "f32")
    tool("qopt-compile", stories, *plain, "-o", folder / "f32.qopt")
    tool("qopt-compile", stories, *MIXED, "-o", folder / "mixed.qopt")
    return folder


def blamed(tool, model, folder, *options):
    validate = ("--validate", folder / "valid.txt")
    return json.loads(tool("qopt-compile", model, *options, *validate, "--blame", "--json").stdout)["blame"]


def divergence(tool, artifact, folder):
    options = ("--text", folder / "valid.txt", "--reference", folder / "f32.qopt", "--json")
    return json.loads(tool("qopt-eval", artifact, *options).stdout)["kl"]["mean"]


def test_a_restored_layer_is_the_artifact_without_its_format(tool, stories, folder):
    found = blamed(tool, stories, folder, *MIXED)
    assert found["kl"] == pytest.approx(divergence(tool, folder / "mixed.qopt", folder), rel=1e-4)
    first = found["layers"][0]
    assert first["name"] == WORST and {weight["format"] for weight in first["weights"]} == {"int3"}
    restored = ("--weights", "int8", "--format", "re:^node_linear_2[1-7]$=f32", "--activations", "f32")
    tool("qopt-compile", stories, *restored, "-o", folder / "restored.qopt")
    assert first["kl"] == pytest.approx(divergence(tool, folder / "restored.qopt", folder), rel=1e-3)
    for layer in found["layers"]:
        assert layer["kl_recovered"] == pytest.approx(found["kl"] - layer["kl"], abs=1e-12)
    recovered = [layer["kl_recovered"] for layer in found["layers"]]
    assert recovered == sorted(recovered, reverse=True) and recovered[0] > 0.5 * found["kl"]
    ordered = sorted(found["layers"], key=lambda layer: layer["place"])
    assert ordered[-1]["kl_added"] == found["kl"]
    worst = ordered.index(first)
    assert ordered[worst]["kl_added"] - ordered[worst - 1]["kl_added"] > 0.5 * found["kl"]
    # Every quantized weight belongs to one layer.
    weights = [weight["name"] for layer in found["layers"] for weight in layer["weights"]]
    assert len(weights) == len(set(weights)) and len(found["layers"]) >= 5
    assert 0 <= found["kl_floor"] < 1e-6 and 0 <= found["kl_restored"] < 0.01 * found["kl"]


def test_python_tells_the_same(tool, stories, folder):
    found = blamed(tool, stories, folder, *MIXED)
    options = dict(zip(MIXED[::2], MIXED[1::2], strict=True))
    options = {name.lstrip("-").replace("-", "_"): value for name, value in options.items()}
    summary = qopt.blame(stories, **options, validate=folder / "valid.txt")
    assert [layer.name for layer in summary.layers] == [layer["name"] for layer in found["layers"]]
    assert (summary.kl, summary.perplexity, summary.device) == (found["kl"], found["perplexity"], found["device"])
    for layer, expected in zip(summary.layers, found["layers"], strict=True):
        pairs = [(weight["name"], weight["format"]) for weight in expected["weights"]]
        assert (layer.place, layer.kl, layer.kl_added, layer.weights) == (
            expected["place"],
            expected["kl"],
            expected["kl_added"],
            pairs,
        )
    with pytest.raises(qopt.Error, match="measured on a text"):
        qopt.blame(stories, weights="int8")
    with pytest.raises(qopt.Error, match="leave out save_plan"):
        qopt.blame(stories, weights="int8", validate=folder / "valid.txt", save_plan=folder / "p.json")


def test_nothing_is_written(tool, stories, folder, tmp_path):
    options = (*MIXED, "--validate", folder / "valid.txt", "--blame")
    table = tool("qopt-compile", stories, *options).stdout.splitlines()
    assert table[0].startswith("KL(unquantized || model) ") and table[2].startswith(WORST)
    done = tool("qopt-compile", stories, *options, "-o", tmp_path / "m.qopt", check=False)
    assert done.returncode == USAGE and "--blame writes nothing; leave out -o" in done.stderr
    assert list(tmp_path.iterdir()) == []


def test_an_artifact_brings_its_plan(tool, stories, folder):
    options = ("--text", folder / "valid.txt", "--blame", stories)
    html = folder / "eval.html"
    found = json.loads(tool("qopt-eval", folder / "mixed.qopt", *options, "--json", "--html", html).stdout)
    assert found["blame"]["layers"][0]["name"] == WORST
    assert found["blame"]["perplexity"] == pytest.approx(found["perplexity"], rel=1e-6)
    assert "Which layers lose most" in html.read_text()
    printed = tool("qopt-eval", folder / "mixed.qopt", *options).stdout
    assert f"\n{WORST} " in printed


def test_codes_of_a_calibration_stay(tool, stories, folder):
    """The layers that are not restored have the codes that were fitted to the text, not rounded ones."""
    artifact = folder / "calibrated.qopt"
    calibrate = ("--calibrate", folder / "calib.txt", "--calibrate-tokens", 2048, "--algorithm", "gptq")
    tool("qopt-compile", stories, "--weights", "int4", *calibrate, "-o", artifact)
    options = ("--text", folder / "valid.txt", "--blame", stories, "--calibrate", folder / "calib.txt")
    found = json.loads(tool("qopt-eval", artifact, *options, "--json").stdout)["blame"]
    assert found["kl"] == pytest.approx(divergence(tool, artifact, folder), rel=1e-4)
    rounded = blamed(tool, stories, folder, "--weights", "int4")
    assert found["kl"] < 0.95 * rounded["kl"]


def test_tuned_scales_and_norms_stay(tool, stories, folder):
    """Those of layers that are not restored, and of the head, which is f16; with all others restored, little is
    left."""
    sources = [{"path": "calib.txt"}]
    manifest = {"schema": "qopt-calibration-1", "window": 128, "sources": sources}
    (folder / "calib.json").write_text(json.dumps(manifest))
    artifact = folder / "tuned.qopt"
    calibrate = ("--calibrate", folder / "calib.json", "--algorithm", "gptq", "--tune", 8, "--activations", "f32")
    formats = ("--weights", "int3", "--lm-head", "f16", "--embedding", "f16", "--save-plan", folder / "tuned.json")
    tool("qopt-compile", stories, *formats, *calibrate, "-o", artifact)
    assert json.loads((folder / "tuned.json").read_text())["tuning"]["kept"] > 0
    options = ("--text", folder / "valid.txt", "--blame", stories, "--calibrate", folder / "calib.json")
    found = json.loads(tool("qopt-eval", artifact, *options, "--json").stdout)["blame"]
    assert found["kl"] == pytest.approx(divergence(tool, artifact, folder), rel=1e-4)
    assert found["kl_restored"] < 0.1 * found["kl"]


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ((), 'the artifact was calibrated on "calib.txt"; give it as --calibrate'),
        (("--calibrate", "valid.txt"), "is not what the artifact was calibrated on (SHA-256 "),
    ],
)
def test_the_text_of_calibration_is_needed(tool, stories, folder, options, message):
    artifact = folder / "hqq.qopt"
    calibrate = ("--calibrate", folder / "calib.txt", "--calibrate-tokens", 512, "--algorithm", "rtn")
    tool("qopt-compile", stories, "--weights", "int4", *calibrate, "-o", artifact)
    options = [folder / word if word.endswith(".txt") else word for word in options]
    words = ("--text", folder / "valid.txt", "--blame", stories, *options)
    done = tool("qopt-eval", artifact, *words, check=False)
    assert done.returncode == USAGE and message in done.stderr


def test_another_model_is_noticed(tool, stories, folder, tmp_path):
    shutil.copytree(stories, tmp_path / "other")
    model = onnx.load(tmp_path / "other/model.onnx")
    weight = next(w for w in model.graph.initializer if len(w.dims) == 2 and w.data_type == onnx.TensorProto.FLOAT)
    array = onnx.numpy_helper.to_array(weight)
    noise = np.random.default_rng(0).normal(scale=0.1 * array.std(), size=array.shape)
    weight.CopyFrom(onnx.numpy_helper.from_array((array + noise).astype(array.dtype), weight.name))
    onnx.save(model, tmp_path / "other/model.onnx")
    options = ("--text", folder / "valid.txt", "--blame", tmp_path / "other")
    done = tool("qopt-eval", folder / "mixed.qopt", *options, check=False)
    assert done.returncode == USAGE and "make is another model: its perplexity is" in done.stderr


@pytest.mark.parametrize(
    ("options", "message"),
    [
        (("--weights", "f32", "--validate"), "no weight of the model is quantized, and no layer to blame"),
        (("--weights", "int8", "--max-kl", 1, "--validate"), "limits of quality are for artifacts"),
        (("--weights", "int8"), "--blame is measured on a text, or on inputs of a graph; give them as --validate"),
    ],
)
def test_what_cannot_be_blamed(tool, stories, folder, options, message):
    text = [folder / "valid.txt"] if options[-1] == "--validate" else []
    done = tool("qopt-compile", stories, *options, *text, "--blame", check=False)
    assert done.returncode == USAGE and message in done.stderr


def test_a_weight_of_two_formats_is_refused(tool, stories, folder):
    options = ("--weights", "int8", "--embedding", "f32", "--validate", folder / "valid.txt", "--blame")
    done = tool("qopt-compile", stories, *options, check=False)
    assert done.returncode == UNSUPPORTED and "is stored twice, in f32 and in int8" in done.stderr


def test_a_gpu_artifact_is_measured_on_the_host(tool, stories, folder):
    found = blamed(tool, stories, folder, "--target", "cuda", "--weights", "int8")
    assert found["device"].startswith("the host, for the GPU's artifact") and len(found["layers"]) >= 5


def test_an_error_of_the_compiler_is_one(tool, stories, folder, tmp_path):
    """The compiler tells of a calibration's memory before it fails; of the tool there is one error."""
    artifact = folder / "hqq.qopt"
    calibrate = ("--calibrate", folder / "calib.txt", "--calibrate-tokens", 512, "--algorithm", "rtn")
    tool("qopt-compile", stories, "--weights", "int4", *calibrate, "-o", artifact)
    shutil.copytree(stories, tmp_path / "m")
    (tmp_path / "m/tokenizer.json").unlink()
    words = ("--text", folder / "valid.txt", "--blame", tmp_path / "m", "--calibrate", folder / "calib.txt")
    done = tool("qopt-eval", artifact, *words, check=False)
    assert done.returncode == USAGE and done.stderr.startswith("error: --calibrate is text, but no tokenizer.json")
