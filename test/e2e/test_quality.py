"""Quality of quantized artifacts on text that the model never saw, against onnxruntime and a NumPy model."""

import json

import numpy as np
import onnx
import pytest
from e2e.llama_reference import Llama
from round_to_nearest import round_to_nearest, two_level_scales

LENGTH = 512


@pytest.fixture(scope="module")
def tokens(shared):
    """16 windows of 512 tokens of novels that books-llama-28m was not trained on, int32."""
    tokenizers = pytest.importorskip("tokenizers")
    tokenizer = tokenizers.Tokenizer.from_file(str(shared / "models/books-llama-28m/tokenizer.json"))
    text = (shared / "corpora/books_valid.txt").read_text()[:200_000]
    ids = tokenizer.encode(text, add_special_tokens=False).ids
    return np.array(ids[: 16 * LENGTH], np.int32).reshape(16, LENGTH)


def saved(array, path):
    np.save(path, array)
    return path


def evaluate(tool, artifact, tokens_file, *options):
    return json.loads(tool("qopt-eval", artifact, "--tokens", tokens_file, "--json", *options).stdout)


def onnxruntime_logits(folder, windows):
    """[windows, length, vocabulary] of MatMulNBits computed with f32 activations (accuracy level 1)."""
    runtime = pytest.importorskip("onnxruntime")
    model = onnx.load(folder / "model.onnx")
    for node in model.graph.node:
        for attribute in node.attribute:
            if attribute.name == "accuracy_level":
                attribute.i = 1
    session = runtime.InferenceSession(model.SerializeToString())
    empty = {
        i.name: np.zeros((1, i.shape[1], 0, 64), np.float32) for i in session.get_inputs() if i.name.startswith("past")
    }
    mask = np.ones((1, LENGTH), np.int64)
    rows = [
        session.run(["logits"], {"input_ids": w[None].astype(np.int64), "attention_mask": mask, **empty})[0][0]
        for w in windows
    ]
    return np.stack(rows)


def test_int4_of_the_file_as_onnxruntime_runs_it(shared, tool, tokens, tmp_path):
    folder = shared / "zoo/books-llama-28m-genai-int4"
    artifact = tmp_path / "m.qopt"
    tool("qopt-compile", folder, "--activations", "f32", "-o", artifact)
    golden = saved(onnxruntime_logits(folder, tokens), tmp_path / "golden.npy")
    report = evaluate(tool, artifact, saved(tokens, tmp_path / "t.npy"), "--reference", golden)
    assert report["same_top1_percent"]["mean"] >= 99.5
    assert report["kl"]["mean"] <= 0.0005


@pytest.mark.parametrize(
    ("weights", "activations", "most"),
    [
        ("int8", "f32", 0.002),
        ("int8", "int8_g32_sf32", 0.002),
        ("int8", "int8", 0.0035),
        ("fp8_e4m3", "f32", 0.006),
        ("fp8_e4m3", "fp8_e4m3", 0.009),
    ],
)
def test_eight_bit_weights_are_close_to_the_model(shared, tool, tokens, tmp_path, weights, activations, most):
    folder = shared / "models/books-llama-28m"
    tool("qopt-compile", folder, "-o", tmp_path / "f.qopt")
    tool("qopt-compile", folder, "--weights", weights, "--activations", activations, "-o", tmp_path / "q.qopt")
    tokens_file = saved(tokens, tmp_path / "t.npy")
    report = evaluate(tool, tmp_path / "q.qopt", tokens_file, "--reference", tmp_path / "f.qopt")
    assert report["windows"] == 16
    assert report["kl"]["mean"] <= most


@pytest.mark.parametrize(
    ("name", "element", "group", "scales"),
    [
        ("int4_g32", "int4", 32, np.float16),
        ("int8", "int8", None, np.float32),
        ("int3_g128", "int3", 128, np.float16),
        ("int4_g32_s6", "int4", 32, lambda exact: two_level_scales(exact, 6, True, 8)[2]),
        ("lut4_g128", "lut4", 128, np.float16),
    ],
)
def test_round_to_nearest_equals_the_formula(shared, tool, tokens, tmp_path, name, element, group, scales):
    """Both read the same four windows, so that only what is computed otherwise is between them."""
    tokens = tokens[:4]
    folder = shared / "models/books-llama-28m"
    artifact = tmp_path / "q.qopt"
    tool("qopt-compile", folder, "--weights", name, "--activations", "f32", "-o", artifact)
    model = Llama(folder, lambda weight: round_to_nearest(weight, element, group or weight.shape[1], None, scales)[3])
    losses = []
    for window in tokens:
        logits = model.logits(window).astype(np.float64)
        highest = logits.max(-1, keepdims=True)
        log_sum = np.log(np.exp(logits - highest).sum(-1)) + highest[:, 0]
        losses.append((log_sum[:-1] - logits[np.arange(LENGTH - 1), window[1:]]).mean())
    expected = np.exp(np.mean(losses))
    report = evaluate(tool, artifact, saved(tokens, tmp_path / "t.npy"))
    assert abs(report["perplexity"] / expected - 1) <= 0.002
