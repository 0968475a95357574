"""Text from compiled models: the tokens that PyTorch writes, whoever exported the model."""

import json
import shutil

import numpy as np
import onnx
import pytest
from onnx import TensorProto, helper, numpy_helper

UNSUPPORTED = 4

EXPORTS = [f"zoo/stories260k-{name}" for name in ("optimum", "dynamo", "dynamo-eager18", "genai-fp32")]


def golden_of(folder):
    return json.loads((folder / "generate.json").read_text())


def generate(tool, artifact, golden, *more):
    prompt = ("--prompt", golden["prompt"], "--max-tokens", len(golden["new_ids"]), "--ignore-end")
    return json.loads(tool("qopt-run", artifact, *prompt, "--json", *more).stdout)


@pytest.mark.parametrize("threads", [1, 2])
def test_stories(tool, stories, stories_artifact, threads):
    golden = golden_of(stories)
    result = generate(tool, stories_artifact, golden, "--threads", threads)
    assert len(golden["new_ids"]) == 200
    assert result["tokens"] == golden["new_ids"] and result["text"] == golden["text"]
    assert result["prompt_tokens"] == len(golden["prompt_ids"]) and result["finish"] == "length"
    assert result["prefill_tokens_per_second"] > 0 and result["decode_tokens_per_second"] > 0


def test_streamed_text_is_the_same(tool, stories, stories_artifact):
    golden = golden_of(stories)
    run = ("qopt-run", stories_artifact, "--max-tokens", 200, "--ignore-end", "--trust")
    assert tool(*run, "--prompt", golden["prompt"]).stdout == golden["text"] + "\n"
    ids = ",".join(map(str, golden["prompt_ids"]))
    assert tool(*run, "--tokens", ids).stdout == golden["text"] + "\n"


def test_prompt_file(tool, stories, stories_artifact, tmp_path):
    (tmp_path / "prompt.txt").write_text(golden_of(stories)["prompt"])
    run = ("qopt-run", stories_artifact, "--prompt-file", tmp_path / "prompt.txt", "--max-tokens", 5, "--json")
    assert json.loads(tool(*run).stdout)["tokens"] == golden_of(stories)["new_ids"][:5]


def test_tokenizer_can_be_given(tool, stories, stories_artifact, tmp_path):
    golden = golden_of(stories)
    for path in (stories, stories / "tokenizer.json"):
        assert generate(tool, stories_artifact, golden, "--tokenizer", path)["tokens"] == golden["new_ids"]


def test_names_of_inputs_do_not_matter(tool, stories, tmp_path):
    """Tokens, positions, mask and caches show what they are."""
    model = onnx.load(stories / "model.onnx")
    names = {value.name: f"in{index}" for index, value in enumerate(model.graph.input)}
    for value in model.graph.input:
        value.name = names[value.name]
    for node in model.graph.node:
        for index, name in enumerate(node.input):
            node.input[index] = names.get(name, name)
    onnx.save(model, tmp_path / "model.onnx")
    shutil.copy(stories / "tokenizer.json", tmp_path)
    tool("qopt-compile", tmp_path, "--as", "decoder", "-o", tmp_path / "m.qopt")
    golden = golden_of(stories)
    assert generate(tool, tmp_path / "m.qopt", golden)["tokens"] == golden["new_ids"]


def test_nothing_is_guessed_of_two_look_ups(tool, tmp_path):
    """Of two unknown inputs that look up tables, none is taken for the tokens: the model stays a graph."""
    nodes = [
        helper.make_node("Gather", [table, ids], [f"{ids}.rows"]) for table, ids in (("words", "a"), ("places", "b"))
    ]
    nodes.append(helper.make_node("Add", ["a.rows", "b.rows"], ["y"]))
    graph = helper.make_graph(
        nodes,
        "two",
        [helper.make_tensor_value_info(name, TensorProto.INT64, ["batch", "sequence"]) for name in "ab"],
        [helper.make_tensor_value_info("y", TensorProto.FLOAT, ["batch", "sequence", 4])],
        [numpy_helper.from_array(np.ones((rows, 4), np.float32), name) for name, rows in (("words", 5), ("places", 9))],
    )
    onnx.save(helper.make_model(graph, opset_imports=[helper.make_opsetid("", 21)], ir_version=10), tmp_path / "m.onnx")
    refused = tool("qopt-compile", tmp_path / "m.onnx", "--as", "decoder", "-o", tmp_path / "m.qopt", check=False)
    assert refused.returncode == UNSUPPORTED and "it has no input of token ids" in refused.stderr


def test_sampling_gives_other_text(tool, stories, stories_artifact):
    golden = golden_of(stories)
    warm = ("--temperature", 1, "--top-p", 0.9)
    first, again, other = (generate(tool, stories_artifact, golden, *warm, "--seed", s)["text"] for s in (1, 1, 2))
    assert first == again != other


@pytest.mark.parametrize("name", EXPORTS)
def test_every_export(tool, shared, tmp_path, name):
    tool("qopt-compile", shared / name, "--tokenizer", shared / "zoo/stories260k-hf", "-o", tmp_path / "m.qopt")
    golden = golden_of(shared / "zoo/stories260k-hf")
    assert generate(tool, tmp_path / "m.qopt", golden)["tokens"] == golden["new_ids"]


def test_books(tool, shared, tmp_path):
    folder = shared / "models/books-llama-28m"
    tool("qopt-compile", folder, "-o", tmp_path / "m.qopt")
    golden = golden_of(folder)
    result = generate(tool, tmp_path / "m.qopt", golden)
    assert result["tokens"] == golden["new_ids"] and result["text"] == golden["text"]
