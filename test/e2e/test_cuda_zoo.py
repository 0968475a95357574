"""Real exports compiled for GPUs and run by the emulator with every check: kernel families where they fit, generic
kernels for everything else, against the outputs that PyTorch or onnxruntime computed."""

import re

import numpy as np
import pytest
from test_zoo import continuations, largest_difference, load, valid_rows

UNSUPPORTED = 4
LIMIT = 3e-3  # of the largest golden value: values of 16 bits between kernels
LOOSER = {"t5-dynamo": 4e-3}  # scores without a scale: twelve attentions whose queries are rounded to 16 bits

# One exporter a family, and both of those that most models resemble.
GRAPHS = [
    *("bert-dynamo", "bert-optimum", "gpt2-dynamo", "gpt2-optimum", "gpt2-ortfused", "llama-dynamo", "llama-optimum"),
    *("llama-genai-fp16-cuda", "llama-genai-int4-cuda", "bloom-optimum", "cohere-dynamo", "distilbert-optimum"),
    "deberta-v2-dynamo",
    *("gemma2-optimum", "gpt-neox-dynamo", "gptj-optimum", "granite-dynamo", "llama3-rope-optimum", "mistral-dynamo"),
    *("mixtral-dynamo", "mpnet-dynamo", "opt-optimum", "qwen2-dynamo", "qwen3-optimum", "roberta-dynamo"),
    *("smollm3-optimum", "stablelm-dynamo", "t5-dynamo", "vit-dynamo", "vit-ortfused"),
    "whisper-dynamo",
]
DECODERS = ["gemma2-dynamo", "gpt2-optimum", "gptj-dynamo", "granite-optimum", "llama-genai-fp32", "qwen3-dynamo"]
# What the error names: the operation that has no kernel, or that no one can lower.
REFUSED = {
    "bert-ortfused": r'node "Attention_0" \(ms.Attention\)',
    "llama-genai-int8": r'node "\S+MatMul_Q8" \(MatMulNBits, .*no GPU kernel reads its weight',
    "llama-genai-int4": r"f32 scales of groups; expected f16",
    "llama-genai-int4-kquant": r"f32 scales of groups; expected f16",
    "llama-genai-int4-qdq": r"f32 scales of groups; expected f16",
    "roberta-ortfused": r'node "Attention_0" \(ms.Attention\)',
}


def family(name):
    return re.sub(r"-(dynamo|optimum|ortfused|genai.*)$", "", name)


def test_every_family_of_the_zoo_runs_or_is_refused(shared):
    families = {family(path.name) for path in (shared / "zoo/families").iterdir() if (path / "model.onnx").exists()}
    runs = {family(name) for name in GRAPHS}
    refused = {family(name) for name in REFUSED} - runs
    assert runs | refused == families
    assert (len(runs), len(refused)) == (24, 0)


def compared(name, golden, got):
    """The rows and keys of real tokens, of an output and of what it should be."""
    value, expected = got[name], golden[f"out.{name}"]
    if name.startswith("present"):
        keys = golden.get("valid", np.ones((expected.shape[0], expected.shape[2]))).astype(bool)
        return value.transpose(0, 2, 1, 3)[keys], expected.transpose(0, 2, 1, 3)[keys]
    if name not in ("logits", "last_hidden_state") or "in.input_ids" not in golden:
        return value, expected
    rows = valid_rows(golden)[:, -expected.shape[1] :]
    return value[:, -expected.shape[1] :][rows], expected[rows]


def compile_graph(tool, shared, name, folder, **options):
    source = shared / "zoo/families" / name
    arguments = (source, "--as", "graph", "--target", "cuda", "-o", folder / "model.qopt")
    return source, tool("qopt-compile", *arguments, **options)


def run_graph(tool, inputs, folder, **options):
    arguments = (folder / "model.qopt", "--inputs", inputs, "--outputs", folder / "out.npz")
    return tool("qopt-run", *arguments, "--device", "emulator", **options)


@pytest.mark.parametrize("name", GRAPHS)
def test_graph(tool, shared, tmp_path, name):
    source, _ = compile_graph(tool, shared, name, tmp_path)
    files = [source / f"golden{call}.npz" for call in ("", "_prefill", "_decode")]
    files = [file for file in files if file.exists()]
    assert files
    for file in files:
        golden = load(file)
        run_graph(tool, file, tmp_path)
        got = load(tmp_path / "out.npz")
        names = [key[4:] for key in golden if key.startswith("out.")]
        assert set(names) <= set(got) and names
        for output in names:
            value, expected = compared(output, golden, got)
            assert value.shape == expected.shape, output
            assert largest_difference(value, expected) <= LOOSER.get(name, LIMIT), f"{file.name}, {output}"


@pytest.mark.parametrize("name", DECODERS)
def test_decoder(tool, shared, tmp_path, name):
    source = shared / "zoo/families" / name
    tool("qopt-compile", source, "--as", "decoder", "--target", "cuda", "-o", tmp_path / "model.qopt")
    calls = set()
    for call, row, ids, golden, step in continuations(source):
        calls.add(call)
        np.save(tmp_path / "t.npy", ids[None].astype(np.int32))
        arguments = (tmp_path / "model.qopt", "--tokens", tmp_path / "t.npy", "--save-logits", tmp_path / "l.npy")
        tool("qopt-eval", *arguments, "--device", "emulator", "--chunk", step)
        difference = largest_difference(np.load(tmp_path / "l.npy")[0, -len(golden) :], golden)
        assert difference <= LIMIT, f"{call}, row {row}"
    assert {"prefill", "decode"} <= calls


@pytest.mark.parametrize("name", REFUSED)
def test_refused(tool, shared, tmp_path, name):
    _, done = compile_graph(tool, shared, name, tmp_path, check=False)
    assert done.returncode == UNSUPPORTED and re.search(REFUSED[name], done.stderr), done.stderr
    assert list(tmp_path.iterdir()) == []


def test_strict_names_what_is_generic(tool, shared, tmp_path):
    """All nodes at once, each with its operator; a model of families alone is no error."""
    source = shared / "zoo/families/bert-dynamo"
    arguments = ("--target", "cuda", "--strict", "-o", tmp_path / "model.qopt")
    done = tool("qopt-compile", source, "--as", "graph", *arguments, check=False)
    assert done.returncode == UNSUPPORTED and "have no kernel family" in done.stderr
    nodes = [line for line in done.stderr.splitlines() if line.startswith('  node "')]
    assert len(nodes) == len(set(nodes)) > 3
    assert all(re.fullmatch(r'  node ".+" \(\w+, opset \d+\)', node) for node in nodes), done.stderr
    tool("qopt-compile", shared / "zoo/families/llama-optimum", "--as", "decoder", *arguments)
