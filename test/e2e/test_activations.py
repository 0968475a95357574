"""Codes of activations with a scale a token or one for all: beside a NumPy model that rounds the same, and with scales
of channels that are searched on a text."""

import json
import re

import numpy as np
import onnx
import pytest
from e2e.llama_reference import Llama
from e2e.test_calibration import stories_of
from onnx import helper, numpy_helper
from round_to_nearest import round_to_e4m3, round_to_nearest

USAGE = 2
# Only linears of the blocks are quantized.
REST = ("--lm-head", "f32", "--embedding", "f32", "--kv", "f32")


def int8_rows(x):
    """x [rows, columns] by codes of int8 with one scale a row."""
    scale = np.abs(x).max(-1, keepdims=True) / np.float32(127)
    return np.rint(x / np.where(scale > 0, scale, 1)).astype(np.float32) * scale


def fp8_rows(x):
    return round_to_e4m3(x, x.shape[1], np.float32)[2]


def rounded_weight(weight, name):
    if name == "fp8_e4m3":
        return fp8_rows(weight)
    return round_to_nearest(weight, "int8", weight.shape[1], None, np.float32)[3]


def quantized_model(folder, weights, read):
    """The blocks' linears rounded; the embedding, which is the head, as it is."""
    model = Llama(folder, read=read)
    for name, weight in model.weights.items():
        if "proj" in name:
            model.weights[name] = rounded_weight(weight, weights)
    return model


@pytest.fixture(scope="module")
def text(tool, stories_artifact, tmp_path_factory):
    """calib.txt and valid.txt."""
    folder = tmp_path_factory.mktemp("text")
    (folder / "calib.txt").write_text(stories_of(tool, stories_artifact, range(24)))
    (folder / "valid.txt").write_text(stories_of(tool, stories_artifact, range(100, 108)))
    return folder


def divergence(tool, artifact, text, reference):
    options = ("--text", text / "valid.txt", "--reference", reference, "--json")
    return json.loads(tool("qopt-eval", artifact, *options).stdout)["kl"]["mean"]


def distance(a, b):
    return np.sqrt(np.mean((a - b) ** 2))


@pytest.mark.parametrize(("weights", "read"), [("int8", int8_rows), ("fp8_e4m3", fp8_rows)])
def test_logits_are_those_of_a_model_that_rounds_the_same(tool, stories, tmp_path, weights, read):
    """Some codes are others, where sums in another order lie on both sides of a tie, and then others behind them: less
    than the rounding itself, which activations in f32 do not have."""
    tokens = np.random.default_rng(5).integers(3, 500, (2, 200), dtype=np.int32)
    np.save(tmp_path / "t.npy", tokens)

    def logits(activations, *options):
        command = ("--weights", weights, "--activations", activations, *REST)
        tool("qopt-compile", stories, *command, "-o", tmp_path / "m.qopt")
        saved = ("--save-logits", tmp_path / "l.npy", *options)
        tool("qopt-eval", tmp_path / "m.qopt", "--tokens", tmp_path / "t.npy", *saved)
        return np.load(tmp_path / "l.npy")

    def expected(read):
        model = quantized_model(stories, weights, read)
        return np.stack([model.logits(window) for window in tokens])

    same, exact = expected(read), expected(lambda x: x)
    rounding = distance(same, exact)
    found = logits(weights)
    assert distance(found, same) < 0.5 * rounding
    assert distance(logits("f32"), exact) < 0.01 * rounding
    # A token has the same logits alone: no scale comes from a neighbour.
    assert distance(logits(weights, "--chunk", 1), found) < 0.5 * rounding


@pytest.mark.parametrize("weights", ["int8", "fp8_e4m3"])
def test_scales_of_channels_bring_it_closer_to_the_model(tool, stories, stories_artifact, text, tmp_path, weights):
    options = ("--weights", weights, "--activations", weights, *REST)
    tool("qopt-eval", stories_artifact, "--text", text / "valid.txt", "--save-logits", text / "l.npy")
    tool("qopt-compile", stories, *options, "-o", tmp_path / "plain.qopt")
    calibrate = ("--calibrate", text / "calib.txt", "--algorithm", "rtn", "--store", tmp_path / "store")
    tool("qopt-compile", stories, *options, *calibrate, "-o", tmp_path / "scaled.qopt")
    before, after = (divergence(tool, tmp_path / f"{n}.qopt", text, text / "l.npy") for n in ("plain", "scaled"))
    assert after < (0.9 if weights == "int8" else 1.02) * before, (before, after)
    # The scales are in the store: another run takes them, to the same bytes.
    tool("qopt-compile", stories, *options, *calibrate, "-o", tmp_path / "again.qopt")
    assert (tmp_path / "again.qopt").read_bytes() == (tmp_path / "scaled.qopt").read_bytes()


def test_a_gpu_and_the_host_compute_the_same_of_scaled_channels(tool, stories, text, tmp_path):
    """Greedy tokens; and what --validate measures of a GPU's artifact is measured with its codes."""
    calibrate = ("--calibrate", text / "calib.txt", "--algorithm", "rtn")
    gpu = ("--target", "cuda", "--weights", "int8", "--activations", "int8", *calibrate)
    done = tool("qopt-compile", stories, *gpu, "--validate", text / "valid.txt", "--json", "-o", tmp_path / "g.qopt")
    validation = json.loads(done.stdout)["validation"]
    assert "activations in f16,int8" in validation["device"]
    assert 0 < validation["slices"][0]["kl"]["mean"] < 0.02
    host = ("--weights", "int8", "--activations", "f16,int8", *calibrate)
    tool("qopt-compile", stories, *host, "-o", tmp_path / "h.qopt")
    prompt = ("--prompt", "Once upon a time", "--max-tokens", 10)
    texts = [
        tool("qopt-run", tmp_path / name, "--device", device, *prompt).stdout
        for name, device in (("g.qopt", "emulator"), ("h.qopt", "host"))
    ]
    assert texts[0] == texts[1]


def test_awq_is_closer_than_rounding(tool, stories, stories_artifact, text, tmp_path):
    tool("qopt-eval", stories_artifact, "--text", text / "valid.txt", "--save-logits", text / "l.npy")
    found = {}
    for algorithm in ("rtn", "awq"):
        options = ("--weights", "int4", "--activations", "f32", *REST, "--algorithm", algorithm)
        artifact = tmp_path / f"{algorithm}.qopt"
        tool("qopt-compile", stories, *options, "--calibrate", text / "calib.txt", "-o", artifact)
        found[algorithm] = divergence(tool, artifact, text, text / "l.npy")
    assert found["awq"] < 0.95 * found["rtn"], found


@pytest.mark.parametrize("weights", ["int8", "fp8_e4m3"])
def test_one_scale_for_all_tokens_is_measured(tool, stories, stories_artifact, text, tmp_path, weights):
    """Each tensor has its own, and the artifact computes with them."""
    options = ("--weights", weights, "--activations", f"{weights}_tensor", *REST)
    calibrate = ("--calibrate", text / "calib.txt", "--algorithm", "rtn")
    ir = tool("qopt-compile", stories, *options, *calibrate, "--emit", "quantized").stdout
    scales = re.findall(rf"-> !qopt.quantized<\?x\d+, {weights}_tensor, scale = ([^>]+)>", ir)
    # Of four tensors in each of five layers; two may end at the same bin of their histograms.
    assert len(scales) == 20 and len(set(scales)) > 15
    tool("qopt-eval", stories_artifact, "--text", text / "valid.txt", "--save-logits", text / "l.npy")
    tool("qopt-compile", stories, *options, *calibrate, "-o", tmp_path / "m.qopt")
    dynamic = ("--weights", weights, "--activations", weights, *REST)
    tool("qopt-compile", stories, *dynamic, "-o", tmp_path / "dynamic.qopt")
    ours, plain = (divergence(tool, tmp_path / f"{n}.qopt", text, text / "l.npy") for n in ("m", "dynamic"))
    assert plain / 2 < ours < 12 * plain, (plain, ours)


def test_a_file_with_scales_of_activations_keeps_them(tool, tmp_path):
    """Q/DQ pairs around integer weights, as quantization-aware training exports them: no rounding beside the file's."""
    runtime = pytest.importorskip("onnxruntime")
    rng = np.random.default_rng(11)
    codes = rng.integers(-127, 128, (64, 48), dtype=np.int8)
    constants = {
        "step": np.array(0.03, np.float32),
        "offset": np.array(3, np.int8),
        "codes": codes,
        "scales": rng.uniform(0.01, 0.02, 48).astype(np.float32),
        "zeros": np.zeros(48, np.int8),
    }
    node = helper.make_node
    nodes = [
        node("QuantizeLinear", ["x", "step", "offset"], ["q"]),
        node("DequantizeLinear", ["q", "step", "offset"], ["d"]),
        node("DequantizeLinear", ["codes", "scales", "zeros"], ["w"], axis=1),
        node("MatMul", ["d", "w"], ["y"]),
    ]
    graph = helper.make_graph(
        nodes,
        "qdq",
        [helper.make_tensor_value_info("x", onnx.TensorProto.FLOAT, ["n", 64])],
        [helper.make_tensor_value_info("y", onnx.TensorProto.FLOAT, ["n", 48])],
        [numpy_helper.from_array(value, name) for name, value in constants.items()],
    )
    model = helper.make_model(graph, opset_imports=[helper.make_opsetid("", 21)], ir_version=10)
    onnx.save(model, tmp_path / "model.onnx")
    x = rng.standard_normal((5, 64)).astype(np.float32) * 2  # some beyond the largest code
    options = runtime.SessionOptions()
    options.graph_optimization_level = runtime.GraphOptimizationLevel.ORT_DISABLE_ALL
    (expected,) = runtime.InferenceSession(model.SerializeToString(), options).run(None, {"x": x})
    tool("qopt-compile", tmp_path / "model.onnx", "-o", tmp_path / "m.qopt")  # int8 activations, where nothing is asked
    np.savez(tmp_path / "in.npz", x=x)
    tool("qopt-run", tmp_path / "m.qopt", "--inputs", tmp_path / "in.npz", "--outputs", tmp_path / "out.npz")
    np.testing.assert_allclose(np.load(tmp_path / "out.npz")["y"], expected, rtol=1e-5, atol=1e-4)


def test_a_plan_with_measured_scales_wants_a_text(tool, stories, tmp_path):
    options = ("--weights", "int8", "--activations", "f32", "--save-plan", tmp_path / "p.json")
    tool("qopt-compile", stories, *options, "-o", tmp_path / "m.qopt")
    plan = json.loads((tmp_path / "p.json").read_text())
    (tmp_path / "p.json").write_text(json.dumps(plan | {"activations": "int8_tensor"}))
    done = tool("qopt-compile", stories, "--plan", tmp_path / "p.json", "-o", tmp_path / "n.qopt", check=False)
    assert done.returncode == USAGE and "the plan names none; give one as --calibrate" in done.stderr


@pytest.mark.parametrize(
    ("options", "words"),
    [
        (("--activations", "int8_tensor"), ("measured on a text", "--calibrate")),
        (("--activations", "int4"), ("expected f32, f16, bf16, int8, fp8_e4m3, int8_tensor",)),
        (("--activations", "f16,"), ("expected f32, f16",)),
        (("--activations", "fp8_e4m3"), ("no linear has a weight of fp8_e4m3 with one scale a row",)),
        (("--algorithm", "awq"), ("--calibrate",)),
    ],
)
def test_what_does_not_fit_is_refused(tool, stories, tmp_path, options, words):
    done = tool("qopt-compile", stories, "--weights", "int8", *options, "-o", tmp_path / "m.qopt", check=False)
    assert done.returncode == USAGE
    for word in words:
        assert word in done.stderr
    assert not (tmp_path / "m.qopt").exists()
