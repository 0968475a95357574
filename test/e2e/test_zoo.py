"""Real exports, compiled as decoders and as graphs, against outputs that PyTorch computed for them."""

import numpy as np
import pytest
import qopt

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
    "zoo/families/mixtral-dynamo": F32,
}
# Of families that are no decoders, what every export is compared as.
GRAPH_FAMILIES = [
    f"zoo/families/{family}-{exporter}"
    for family in ("bert", "roberta", "distilbert", "mpnet", "deberta-v2", "vit", "t5", "whisper")
    for exporter in ("optimum", "dynamo")
]
# Files whose graphs are further from their goldens than F32, by a part of their path, and why.
GRAPHS = {
    "fp16-cuda": (F16, "f16 arithmetic"),
    "int4-cuda": (F16, "f16 arithmetic"),
    "llama-genai-int": (3e-2, "the golden has int8 activations (accuracy_level 4)"),
    "books-llama-28m-genai-int4": (3e-2, "the golden has int8 activations (accuracy_level 4)"),
    "stories260k-matmulnbits4/": (3e-2, "the golden has int8 activations (accuracy_level 4)"),
    "ort-dynamic-uint8": (1e-2, "a sum that ends beside the middle of two codes is one code more or less"),
    "stories260k-qdq-int8/": (
        1.2e-2,
        "the same, as in onnxruntime's fusion: the golden sums dequantized numbers in f32",
    ),
}
# Files that are refused, and with which words.
REFUSED = {
    "families/t5-optimum/decoder_model_merged.onnx": "as with input use_cache_branch=true",
    "families/whisper-optimum/decoder_model_merged.onnx": "as with input use_cache_branch=true",
    "stories260k-qdq-int8-optimum/model.onnx": "has the value infinity at element 0",
}
GOLDENS = {
    "encoder_model": ["golden_encoder"],
    "decoder_model": ["golden_decoder"],
    "decoder_with_past_model": ["golden_decoder_with_past"],
    "decoder_model_merged": ["golden_merged_prefill", "golden_merged_decode"],
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
    return np.abs(got.astype(np.float64) - golden).max(initial=0) / max(np.abs(golden).max(initial=0), 1e-30)


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


def goldens_of(file):
    """A folder with one model has goldens for it alone."""
    names = GOLDENS.get(file.stem)
    return [path for path in sorted(file.parent.glob("golden*.npz")) if names is None or path.stem in names]


def difference_from(golden, outputs):
    """The largest difference of one call, relative to the largest value of its output, and which that is."""
    worst = (0.0, "")
    for key in (key for key in golden if key.startswith("out.")):
        value, expected = outputs[key[4:]], golden[key]
        if key == "out.logits":
            value = value[:, -expected.shape[1] :]
        assert value.shape == expected.shape, key
        if "valid" in golden:  # what stands at padding is nobody's
            valid = golden["valid"].astype(bool)
            if key in ("out.logits", "out.last_hidden_state"):
                rows = valid[:, -expected.shape[1] :]
                value, expected = value[rows], expected[rows]
            elif key.startswith("out.present") and valid.shape[1] == expected.shape[2]:
                value, expected = value.transpose(0, 2, 1, 3)[valid], expected.transpose(0, 2, 1, 3)[valid]
        worst = max(worst, (largest_difference(value, expected), key))
    return worst


@pytest.mark.parametrize("part", range(4))
def test_every_file_is_its_golden_or_refused(part, shared, tmp_path):
    zoo = shared / "zoo"
    files = sorted(zoo.rglob("*.onnx"))
    assert len(files) >= 88
    assert {shared / family for family in GRAPH_FAMILIES} <= {file.parent for file in files}
    wrong = []
    for file in files[part::4]:
        name = str(file.relative_to(zoo))
        limit = next((limit for piece, (limit, _) in GRAPHS.items() if piece in name), F32)
        try:
            qopt.compile(file, tmp_path / "model.qopt", as_="graph", activations="f32")
        except qopt.Error as error:
            if name not in REFUSED or REFUSED[name] not in str(error):
                wrong.append(f"{name}: {error}")
            continue
        if name in REFUSED:
            wrong.append(f"{name} compiles; the list says that it is refused")
        model = qopt.load(tmp_path / "model.qopt")
        calls = goldens_of(file)
        assert calls, name
        for call in calls:
            golden = load(call)
            inputs = {key[3:]: value for key, value in golden.items() if key.startswith("in.")}
            difference, output = difference_from(golden, model.run(inputs))
            if not difference <= limit:
                wrong.append(f"{name}, {call.stem}: {output} is {difference:.2g} away, at most {limit:.2g}")
    assert not wrong, "\n".join(wrong)


@pytest.mark.parametrize("family", ["t5", "whisper"])
@pytest.mark.parametrize(("branch", "call"), [("false", "prefill"), ("true", "decode")])
def test_a_branch_of_a_merged_decoder(shared, tmp_path, family, branch, call):
    """A value of `use_cache_branch` that is given at compile time leaves the branch that PyTorch's golden is of."""
    folder = shared / "zoo/families" / f"{family}-optimum"
    merged = folder / "decoder_model_merged.onnx"
    done = qopt.compile(
        merged, tmp_path / "branch.qopt", as_="graph", activations="f32", input=f"use_cache_branch={branch}"
    )
    assert done.layers == done.raised_layers == 4  # self and cross attention of two blocks, of one branch
    model = qopt.load(tmp_path / "branch.qopt")
    golden = load(folder / f"golden_merged_{call}.npz")
    inputs = {key[3:]: value for key, value in golden.items() if key.startswith("in.")}
    assert inputs["use_cache_branch"].item() == (branch == "true")
    # What only the other branch reads is no input either; of the past the golden has tensors of another shape there.
    taken = {spec.name for spec in model.inputs}
    assert inputs.keys() - taken == {"use_cache_branch"} | {
        name for name in inputs if name.startswith("past_key_values" if branch == "false" else "encoder_hidden_states")
    }
    inputs = {name: value for name, value in inputs.items() if name in taken}
    difference, output = difference_from(golden, model.run(inputs))
    assert difference <= F32, output
