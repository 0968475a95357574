"""Decoders whose linears multiply int8 activations by int8 weights on a GPU, run by the emulator with every check.

The reference is onnxruntime running the model in f32 with the same rounding written out: weights to the nearest of 255
levels a row, ahead of every linear x to the nearest of 255 levels a token, and f16 wherever kernels exchange values.
"""

import json

import numpy as np
import onnx
import pytest
from conftest import NO_ASSEMBLER, PTX_ONLY
from distributions import choice_gaps
from e2e.test_cuda import launches
from e2e.test_fake_quant import fake_quantized_copy
from onnx import helper, numpy_helper

USAGE = 2
CODES = ("--weights", "int8", "--activations", "int8")


def generated(tool, artifact, tokens, count, device="emulator"):
    """What follows `tokens`, greedily."""
    prompt = ("--tokens", ",".join(map(str, tokens)))
    done = tool("qopt-run", artifact, *prompt, "--max-tokens", count, "--json", "--device", device)
    return json.loads(done.stdout)["tokens"]


def widened(model):
    """The model in f32 where it is f16."""
    f16, f32 = onnx.TensorProto.FLOAT16, onnx.TensorProto.FLOAT
    for initializer in model.graph.initializer:
        if initializer.data_type == f16:
            wide = numpy_helper.to_array(initializer).astype(np.float32)
            initializer.CopyFrom(numpy_helper.from_array(wide, initializer.name))
    for value in [*model.graph.input, *model.graph.output]:
        if value.type.tensor_type.elem_type == f16:
            value.type.tensor_type.elem_type = f32
    for node in model.graph.node:
        for attribute in node.attribute:
            if node.op_type == "Cast" and attribute.name == "to" and attribute.i == f16:
                attribute.i = f32
    del model.graph.value_info[:]
    return model


def is_linear(node):
    return node is not None and node.op_type == "MatMul" and node.name.startswith("node_linear")


def f16_results(graph):
    """What kernels leave in f16: embedding, linears with their residual, rotated heads, attention, gates; no norm."""
    nodes = graph.node
    producers = {name: node for node in nodes for name in node.output}
    residual_sums, rotated = set(), set()
    for node in nodes:
        sources = [producers.get(name) for name in node.input]
        if node.op_type == "Add" and any(map(is_linear, sources)):
            residual_sums.add(node.output[0])
        if node.op_type == "Add" and all(source is not None and source.op_type == "Mul" for source in sources):
            rotated.add(node.output[0])
    in_sums = {name for node in nodes if node.output[0] in residual_sums for name in node.input}
    alone = {node.output[0] for node in nodes if is_linear(node) and node.output[0] not in in_sums | {"logits"}}
    others = {n.output[0] for n in nodes if n.op_type in ("Gather", "RotaryEmbedding", "Attention")}
    sources = [(node.input[0], producers.get(node.input[0])) for node in nodes if is_linear(node)]
    gates = {name for name, source in sources if source is not None and source.op_type == "Mul"}
    assert len(residual_sums) == 2 * len(gates) > 0
    return residual_sums | rotated | alone | others | gates


def rounded_activations(model, path):
    """Rounds what every linear of an exported model reads to scale · rint(x / scale), scale = max|x| / 127 a token."""
    model = widened(onnx.load(model))
    halves = f16_results(model.graph)
    numbers = {"axis": np.array([-1]), "levels": np.float32(127), "least": np.float32(1e-30)}
    for name, value in numbers.items():
        model.graph.initializer.append(numpy_helper.from_array(np.asarray(value), f"rounding_{name}"))
    made, nodes = {}, []
    for node in model.graph.node:
        if node.op_type == "MatMul" and node.name.startswith("node_linear"):
            x = node.input[0]
            if x not in made:
                made[x] = f"{x}_rounded"
                steps = [
                    ("Abs", [x], "abs"),
                    ("ReduceMax", [f"{x}_abs", "rounding_axis"], "max"),
                    ("Div", [f"{x}_max", "rounding_levels"], "step"),
                    ("Max", [f"{x}_step", "rounding_least"], "scale"),
                    ("Div", [x, f"{x}_scale"], "ratio"),
                    ("Round", [f"{x}_ratio"], "code"),
                    ("Mul", [f"{x}_code", f"{x}_scale"], "rounded"),
                ]
                nodes += [helper.make_node(op, inputs, [f"{x}_{to}"]) for op, inputs, to in steps]
            node.input[0] = made[x]
        nodes.append(node)
        for name in [name for name in node.output if name in halves]:
            node.output[list(node.output).index(name)] = f"{name}_wide"
            nodes.append(helper.make_node("Cast", [f"{name}_wide"], [f"{name}_half"], to=onnx.TensorProto.FLOAT16))
            nodes.append(helper.make_node("Cast", [f"{name}_half"], [name], to=onnx.TensorProto.FLOAT))
    assert len(made) >= 4 * 5 + 1
    del model.graph.node[:]
    model.graph.node.extend(nodes)
    onnx.save(model, path)


def inputs_of(model, tokens):
    """Of one sequence, whose cache is empty."""
    inputs = {
        "input_ids": np.array([tokens], np.int64),
        "attention_mask": np.ones((1, len(tokens)), np.int64),
        "position_ids": np.arange(len(tokens), dtype=np.int64)[None],
    }
    for entry in model.graph.input:
        sizes = [size.dim_value for size in entry.type.tensor_type.shape.dim]
        if entry.name.startswith("past"):
            inputs[entry.name] = np.zeros((1, sizes[1], 0, sizes[3]), np.float32)
    names = {entry.name for entry in model.graph.input}
    return {name: array for name, array in inputs.items() if name in names}


def reference(folder, path):
    """From the tokens of one sequence to its logits, [tokens, vocabulary]."""
    runtime = pytest.importorskip("onnxruntime")
    fake_quantized_copy(folder / "model.onnx", "int8", path)
    rounded_activations(path, path)
    session, model = runtime.InferenceSession(path), onnx.load(path)
    return lambda tokens: session.run(["logits"], inputs_of(model, tokens))[0][0]


def gaps_of(folder, tokens, first, path):
    """By how much the reference prefers its own choices."""
    logits = reference(folder, path)(tokens)
    return choice_gaps(logits[first - 1 : len(tokens) - 1], tokens[first:])


def prompt_tokens(folder):
    return json.loads((folder / "generate.json").read_text())["prompt_ids"]


@pytest.fixture(scope="module")
def stories_codes(tool, stories, tmp_path_factory):
    path = tmp_path_factory.mktemp("codes") / "s.qopt"
    tool("qopt-compile", stories, "--target", "cuda", *CODES, "-o", path, environment=NO_ASSEMBLER)
    return path


WRITTEN = 200  # past two pages, and with the prompt past the longest step of skinny_linear


# A value that is a little above the middle of two levels on one side and a little below on the other is a code more or
# less. Attention sums in f16 on a GPU, so such values are some of a hundred, and logits differ by parts of a hundred.
NEAR_TIE = 0.02


def test_stories_write_what_the_reference_does(tool, stories, stories_codes, tmp_path):
    """Token by token; and gemm's codes of a long prompt, and others of a few tokens, let the same story go on."""
    prompt = prompt_tokens(stories)
    story = [*prompt, *generated(tool, stories_codes, prompt, WRITTEN)]
    assert len(story) == len(prompt) + WRITTEN
    gaps = gaps_of(stories, story, len(prompt), tmp_path / "m.onnx")
    assert gaps.max() <= NEAR_TIE and (gaps == 0).mean() >= 0.9, gaps
    assert generated(tool, stories_codes, story[:100], 15) == story[100:115]
    assert generated(tool, stories_codes, story[:40], 8) == story[40:48]


@PTX_ONLY
def test_books_write_what_the_reference_does(tool, shared, tmp_path):
    folder = shared / "models/books-llama-28m"
    tool("qopt-compile", folder, "--target", "cuda", *CODES, "-o", tmp_path / "m.qopt")
    prompt = prompt_tokens(folder)
    tokens = generated(tool, tmp_path / "m.qopt", prompt, 16)
    gaps = gaps_of(folder, [*prompt, *tokens], len(prompt), tmp_path / "m.onnx")
    assert gaps.max() == 0, gaps


@pytest.mark.parametrize("chunk", [1, 2])
def test_tokens_alone_have_the_logits_of_the_formula(tool, stories, stories_codes, tmp_path, chunk):
    """A token that attends to nothing but itself: what is left is norms, codes, products and gates, and they agree.
    In steps of one token blocks make the codes, in steps of two launches do."""
    tokens = np.arange(3, 3 + 16 * chunk, dtype=np.int32)
    np.save(tmp_path / "t.npy", np.stack([tokens, tokens[::-1]], 1))
    options = ("--tokens", tmp_path / "t.npy", "--save-logits", tmp_path / "l.npy", "--device", "emulator")
    tool("qopt-eval", stories_codes, *options, "--chunk", chunk)
    found = np.load(tmp_path / "l.npy")[:, 0].astype(np.float64)
    logits_of = reference(stories, tmp_path / "m.onnx")
    expected = [logits_of([int(token)])[0] for token in tokens]
    error = np.abs(found - expected).max(-1) / np.ptp(expected, axis=-1)
    assert (error <= 1e-6).mean() >= 0.9 and error.max() <= NEAR_TIE, error


@PTX_ONLY
def test_a_graph_has_the_logits_of_the_formula(tool, stories, tmp_path):
    """Attention in graphs sums in f32, as the reference does: nothing is left that differs."""
    tokens = np.random.default_rng(7).integers(3, 512, 24).tolist()
    model = stories / "model.onnx"
    tool("qopt-compile", model, "--as", "graph", "--target", "cuda", *CODES, "-o", tmp_path / "g.qopt")
    np.savez(tmp_path / "in.npz", **inputs_of(onnx.load(model), tokens))
    arrays = ("--inputs", tmp_path / "in.npz", "--outputs", tmp_path / "out.npz")
    tool("qopt-run", tmp_path / "g.qopt", "--device", "emulator", *arrays)
    found = np.load(tmp_path / "out.npz")["logits"][0]
    expected = reference(stories, tmp_path / "m.onnx")(tokens)
    error = np.abs(found - expected).max(-1) / np.ptp(expected, axis=-1)
    assert (error <= 1e-6).mean() >= 0.9 and error.max() <= NEAR_TIE, error


def test_the_rounding_is_that_of_tokens(tool, stories, stories_codes, tmp_path):
    """Of a text, logits are nearer to the reference than the reference is to the model without rounding."""
    tokens = np.random.default_rng(7).integers(3, 512, 96).astype(np.int32)
    np.save(tmp_path / "t.npy", tokens[None])
    options = ("--tokens", tmp_path / "t.npy", "--save-logits", tmp_path / "l.npy")
    tool("qopt-eval", stories_codes, *options, "--device", "emulator")
    found = np.load(tmp_path / "l.npy")[0]
    tool("qopt-compile", stories, "-o", tmp_path / "f.qopt")
    tool("qopt-eval", tmp_path / "f.qopt", *options)
    exact = np.load(tmp_path / "l.npy")[0]
    expected = reference(stories, tmp_path / "m.onnx")(tokens.tolist())
    near, far = (np.square(a - expected).mean() for a in (found, exact))
    assert near <= 0.8 * far


@PTX_ONLY
def test_values_may_be_bf16_elsewhere(tool, stories, stories_codes, tmp_path):
    """The text begins as in f16, on the host, too."""
    command = ("--target", "cuda", *CODES[:3], "bf16,int8")
    kernels = tool("qopt-compile", stories, *command, "--emit", "kernels").stdout
    assert "skinny_linear_sm_90a_int8_int8_bf16_m1_from_bf16_norm" in kernels and "_f16_int8" not in kernels
    tool("qopt-compile", stories, *command, "-o", tmp_path / "b.qopt")
    prompt = prompt_tokens(stories)
    assert generated(tool, tmp_path / "b.qopt", prompt, 12) == generated(tool, stories_codes, prompt, 12)
    tool("qopt-compile", stories, *CODES[:3], "bf16,int8", "-o", tmp_path / "h.qopt")
    assert generated(tool, tmp_path / "h.qopt", prompt, 12, device="host") == generated(tool, stories_codes, prompt, 12)


def test_launches_of_a_layer(tool, stories_codes):
    """At one token: norm, codes, linear and append; attention; codes and output; norm, codes and gate; codes, and down,
    whose rows are not eight by eight. Beside the layers: embedding, rotary table, rows of the logits, head with its
    norm, and one that chooses the token. With more tokens norms, codes and appends are launches."""
    layers = 5
    assert launches(tool, stories_codes, 1) == 5 + 6 * layers
    assert launches(tool, stories_codes, 8) == 5 + 10 * layers


@PTX_ONLY
def test_the_report_names_the_families(tool, stories, tmp_path):
    kernels = tool("qopt-compile", stories, "--target", "cuda", *CODES, "--emit", "kernels").stdout
    for kernel in (
        "quantize_sm_90a_f16_int8_64: quantize ",
        "norm_sm_90a_f16_f32_int8_rms64",
        "quantize_sm_90a_f16_int8_172: quantize ",
        "skinny_linear_sm_90a_int8_int8_f16_m1_from_f16_norm_paired_silu_344x64",
        "skinny_linear_sm_90a_int8_int8_f16_m1_64x172_residual: skinny_linear ",
        "skinny_linear_sm_90a_int8_int8_f16_m1_from_f16_64x64_residual: skinny_linear ",
        "skinny_linear_sm_90a_int8_int8_f32_m64_512x64: skinny_linear ",
        "gemm_sm_90a_int8_int8_f16_64x128_64x172_residual: gemm ",
    ):
        assert kernel in kernels, kernel
    report = tool("qopt-compile", stories, "--target", "cuda", *CODES, "--report", "-o", tmp_path / "m.qopt").stdout
    assert "quantize_sm_90a_f16_int8_64: quantize " in report


@pytest.mark.parametrize(
    ("options", "code", "messages"),
    [
        (("--weights", "int4"), USAGE, ("but no linear has a weight of int8 with one scale a row", "--weights int8")),
        ((), USAGE, ('--activations is "int8", but no linear has a weight of int8', "--weights int8")),
    ],
)
def test_refused(tool, stories, tmp_path, options, code, messages):
    command = ("--target", "cuda", "--activations", "int8", *options, "-o", tmp_path / "m.qopt")
    refused = tool("qopt-compile", stories, *command, check=False)
    assert refused.returncode == code, refused.stderr
    assert all(message in refused.stderr for message in messages), refused.stderr
    assert list(tmp_path.iterdir()) == []
