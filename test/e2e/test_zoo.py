"""Real exports, compiled as decoders and as graphs, against outputs that PyTorch computed for them."""

import numpy as np
import pytest

# Folder below shared/, and how far the largest difference may be from the largest golden value.
F32, F16 = 1e-5, 3e-3
DECODERS = {
    "zoo/stories260k-optimum": F32,
    "zoo/stories260k-dynamo": F32,
    "zoo/stories260k-dynamo-eager18": F32,
    "zoo/stories260k-genai-fp32": F32,
    "models/books-llama-28m": F16,
    "zoo/stories260k-genai-fp16-cuda": F16,
    "zoo/families/llama-genai-fp16-cuda": F16,
    **{
        f"zoo/families/{family}-{exporter}": F32
        for family in (
            "llama",
            "llama3-rope",
            "qwen2",
            "qwen3",
            "mistral",
            "gpt2",
            "gemma2",
            "granite",
            "smollm3",
            "gptj",
            "stablelm",
            "opt",
            "gpt-neox",
            "cohere",
            "bloom",
        )
        for exporter in ("optimum", "dynamo")
    },
}
ENCODERS = {
    f"zoo/families/{family}-{exporter}": F32 for family in ("bert", "deberta-v2") for exporter in ("optimum", "dynamo")
}
# Files that are quantized already: their own codes, scales and zero points, multiplied in f32. Their goldens are
# onnxruntime's with f32 activations; the pasts of most are another model's, so they are compared as graphs only.
QUANTIZED = {
    f"zoo/stories260k-{name}": 1e-4
    for name in (
        *("genai-int4", "qdq-int4", "qdq-uint4-asym"),
        *("matmulnbits8", "matmulnbits4-gather", "matmulnbits4-hqq", "matmulnbits4-asym16"),
    )
}
CALLS = ("prefill", "decode", "chunk")


def load(path):
    return dict(np.load(path)) if path.exists() else None


def valid_rows(golden):
    """[batch, new tokens]: which rows belong to real tokens."""
    new = golden["in.input_ids"].shape[1]
    if "valid" not in golden:
        return np.ones(golden["in.input_ids"].shape, bool)
    return golden["valid"][:, -new:].astype(bool)


def continuations(folder):
    """For each row of the batch: token ids from the first on, the golden logits of the last, and tokens a step.

    A decode goes token by token through the cache; what a chunk has at once, the tokens before it have too.
    """
    prefill = load(folder / "golden_prefill.npz")
    for call in CALLS:
        golden = load(folder / f"golden_{call}.npz")
        if golden is None:
            continue
        rows = valid_rows(golden)
        for row in range(rows.shape[0]):
            ids = golden["in.input_ids"][row][rows[row]]
            step = ids.size
            kept = golden["out.logits"].shape[1]  # some goldens keep the last positions only
            logits = golden["out.logits"][row][rows[row][-kept:]]
            if call != "prefill":
                ids = np.concatenate([prefill["in.input_ids"][row][valid_rows(prefill)[row]], ids])
            yield call, row, ids, logits, step


def largest_difference(got, golden):
    return np.abs(got.astype(np.float64) - golden).max() / np.abs(golden).max()


@pytest.mark.parametrize("model", DECODERS)
def test_decoder(model, shared, tool, tmp_path):
    artifact = tmp_path / "model.qopt"
    tool("qopt-compile", shared / model, "--as", "decoder", "-o", artifact)
    compared = set()
    for call, row, ids, golden, step in continuations(shared / model):
        assert call != "decode" or step == 1
        compared.add(call)
        tokens = tmp_path / "tokens.npy"
        np.save(tokens, ids[None].astype(np.int32))
        logits = tmp_path / "logits.npy"
        tool("qopt-eval", artifact, "--tokens", tokens, "--chunk", step, "--save-logits", logits)
        difference = largest_difference(np.load(logits)[0, -len(golden) :], golden)
        assert difference <= DECODERS[model], f"{call}, row {row}"
    assert {"prefill", "decode"} <= compared


@pytest.mark.parametrize("model", DECODERS | ENCODERS | QUANTIZED)
def test_graph(model, shared, tool, tmp_path):
    artifact = tmp_path / "model.qopt"
    tool("qopt-compile", shared / model, "--as", "graph", "--activations", "f32", "-o", artifact)
    limit = (DECODERS | ENCODERS | QUANTIZED)[model]
    files = ["golden.npz"] if model in ENCODERS else [f"golden_{call}.npz" for call in CALLS]
    files = [name for name in files if (shared / model / name).exists()]
    assert len(files) >= (1 if model in ENCODERS else 2)
    for name in files:
        golden = load(shared / model / name)
        outputs = tmp_path / "outputs.npz"
        tool("qopt-run", artifact, "--inputs", shared / model / name, "--outputs", outputs)
        got = np.load(outputs)
        rows = valid_rows(golden)
        for key in golden:
            if not key.startswith("out."):
                continue
            value, expected = got[key[4:]], golden[key]
            if key == "out.logits":
                value = value[:, -expected.shape[1] :]
            if key in ("out.logits", "out.last_hidden_state"):
                mask = rows[:, -expected.shape[1] :]
                value, expected = value[mask], expected[mask]
            elif key.startswith("out.present"):
                keys = golden.get("valid", np.ones((expected.shape[0], expected.shape[2]), bool)).astype(bool)
                value, expected = value.transpose(0, 2, 1, 3)[keys], expected.transpose(0, 2, 1, 3)[keys]
            assert value.shape == expected.shape, key
            assert largest_difference(value, expected) <= limit, f"{name}, {key}"
