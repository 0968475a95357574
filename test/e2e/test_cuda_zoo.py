"""Real exports compiled for GPUs and run by the emulator with every check: kernel families where they fit, generic
kernels for everything else, against the outputs that PyTorch or onnxruntime computed."""

import re

import numpy as np
import onnx
import pytest
from conftest import PTX_ONLY
from test_cache_formats import gaps_of
from test_zoo import continuations, largest_difference, load, valid_rows

UNSUPPORTED = 4
LIMIT = 3e-3  # of the largest golden value: values of 16 bits between kernels
LOOSER = {
    "t5-dynamo": 4e-3,  # scores without a scale: twelve attentions whose queries are rounded to 16 bits
    "stories260k-matmulnbits2": 5e-3,  # as far as the host is with values of 16 bits
}

# One exporter a family, and both of those that most models resemble.
GRAPHS = [
    *("bert-ortfused", "roberta-ortfused"),
    *("bert-dynamo", "bert-optimum", "gpt2-dynamo", "gpt2-optimum", "gpt2-ortfused", "llama-dynamo", "llama-optimum"),
    *("llama-genai-fp16-cuda", "llama-genai-int4-cuda", "bloom-optimum", "cohere-dynamo", "distilbert-optimum"),
    "deberta-v2-dynamo",
    *("gemma2-optimum", "gpt-neox-dynamo", "gptj-optimum", "granite-dynamo", "llama3-rope-optimum", "mistral-dynamo"),
    *("mixtral-dynamo", "mpnet-dynamo", "opt-optimum", "qwen2-dynamo", "qwen3-optimum", "roberta-dynamo"),
    *("smollm3-optimum", "stablelm-dynamo", "t5-dynamo", "vit-dynamo", "vit-ortfused"),
    "whisper-dynamo",
]
DECODERS = [
    *(
        "cohere-dynamo",
        "cohere-optimum",
        "gemma2-dynamo",
        "gpt2-optimum",
        "gpt2-ortfused",
        "gptj-dynamo",
        "granite-optimum",
        "llama-genai-fp32",
        "qwen3-dynamo",
    ),
    *("smollm3-optimum", "stablelm-dynamo"),
]
# Files of the zoo whose groups have f32 scales, with and without zero points, some of them fractions, in 2, 4 and 8
# bits, of 16 to 128 columns, embeddings, too. Of those that onnxruntime's session options made, goldens have int8
# activations.
F32_SCALES = [
    *(f"stories260k-genai-{kind}" for kind in ("int4", "int4-kquant", "int8")),
    *(f"stories260k-matmulnbits{kind}" for kind in ("2", "4-gather", "4-hqq", "8")),
    *("stories260k-qdq-int4", "stories260k-qdq-uint4-asym", "stories260k-matmulnbits4-asym16"),
]
F32_SCALES_GOLDEN_IN_CODES = [
    *(f"families/llama-genai-{kind}" for kind in ("int4", "int4-kquant", "int4-qdq", "int8")),
    *("books-llama-28m-genai-int4", "stories260k-matmulnbits4"),
]


def family(name):
    return re.sub(r"-(dynamo|optimum|ortfused|genai.*)$", "", name)


def test_every_family_of_the_zoo_runs_or_is_refused(shared):
    families = {family(path.name) for path in (shared / "zoo/families").iterdir() if (path / "model.onnx").exists()}
    runs = {family(name) for name in GRAPHS}
    assert runs == families
    assert len(runs) == 24


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
    """`name` below the zoo, or one of its families."""
    source = shared / "zoo" / name
    if not source.exists():
        source = shared / "zoo/families" / name
    arguments = (source, "--as", "graph", "--target", "cuda", "-o", folder / "model.qopt")
    return source, tool("qopt-compile", *arguments, **options)


def run_graph(tool, inputs, folder, **options):
    arguments = (folder / "model.qopt", "--inputs", inputs, "--outputs", folder / "out.npz")
    return tool("qopt-run", *arguments, "--device", "emulator", **options)


def expect_outputs(tool, source, folder, expected_of=load):
    """Every call of a folder gives what `expected_of` the file of its inputs has."""
    name = source.name
    files = [source / f"golden{call}.npz" for call in ("", "_prefill", "_decode")]
    files = [file for file in files if file.exists()]
    assert files
    for file in files:
        golden = expected_of(file)
        run_graph(tool, file, folder)
        got = load(folder / "out.npz")
        names = [key[4:] for key in golden if key.startswith("out.")]
        assert set(names) <= set(got) and names
        for output in names:
            value, expected = compared(output, golden, got)
            assert value.shape == expected.shape, output
            assert largest_difference(value, expected) <= LOOSER.get(name, LIMIT), f"{file.name}, {output}"


@PTX_ONLY
@pytest.mark.parametrize("name", GRAPHS)
def test_graph(tool, shared, tmp_path, name):
    source, _ = compile_graph(tool, shared, name, tmp_path)
    expect_outputs(tool, source, tmp_path)


def has_f32_scales(file):
    """Whether groups of a file's weights have f32 scales."""
    graph = onnx.load(file, load_external_data=False).graph
    types = {array.name: array.data_type for array in graph.initializer}
    places = {"MatMulNBits": 2, "GatherBlockQuantized": 2, "DequantizeLinear": 1}
    return any(
        types.get(node.input[places[node.op_type]]) == onnx.TensorProto.FLOAT
        for node in graph.node
        if node.op_type in places and any(a.name == "block_size" and a.i for a in node.attribute)
    )


def test_every_file_with_f32_scales_is_here(shared):
    zoo = shared / "zoo"
    files = {file for folder in (zoo, zoo / "families") for file in folder.glob("*/model.onnx") if has_f32_scales(file)}
    runs = F32_SCALES + F32_SCALES_GOLDEN_IN_CODES
    assert {str(file.parent.relative_to(zoo)) for file in files} == set(runs)
    assert len(runs) == 16


@PTX_ONLY
@pytest.mark.parametrize("name", F32_SCALES)
def test_f32_scales(tool, shared, tmp_path, name):
    source, _ = compile_graph(tool, shared, name, tmp_path)
    expect_outputs(tool, source, tmp_path)


@PTX_ONLY
@pytest.mark.parametrize("name", F32_SCALES_GOLDEN_IN_CODES)
def test_f32_scales_as_onnxruntime_multiplies_f32(tool, shared, tmp_path, name):
    runtime = pytest.importorskip("onnxruntime")
    source, _ = compile_graph(tool, shared, name, tmp_path)
    model = onnx.load(source / "model.onnx")
    for node in model.graph.node:
        for attribute in node.attribute:
            if attribute.name == "accuracy_level":
                attribute.i = 1
    options = runtime.SessionOptions()
    options.graph_optimization_level = runtime.GraphOptimizationLevel.ORT_DISABLE_ALL
    session = runtime.InferenceSession(model.SerializeToString(), options)
    names = [output.name for output in session.get_outputs()]

    def expected_of(file):
        golden = load(file)
        inputs = {key[3:]: value for key, value in golden.items() if key.startswith("in.")}
        outputs = session.run(names, inputs)
        return golden | {f"out.{name}": value for name, value in zip(names, outputs, strict=True)}

    expect_outputs(tool, source, tmp_path, expected_of)


@PTX_ONLY
@pytest.mark.parametrize(
    "name", ["families/llama-genai-int4-kquant", "stories260k-genai-int4", "stories260k-qdq-uint4-asym"]
)
def test_f32_scales_write_what_the_host_does(tool, shared, tmp_path, name):
    source = shared / "zoo" / name
    prompt = load(source / "golden_prefill.npz")["in.input_ids"][0].tolist()
    gaps = gaps_of(tool, source, tmp_path, (), 24, prompt)
    assert gaps.max() <= 0.01, gaps


@PTX_ONLY
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


@PTX_ONLY
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
