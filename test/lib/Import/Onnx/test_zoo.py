"""Every real model of the zoo is imported, with ranked types everywhere and the sizes that its exporter promised."""

import json
import re

import pytest

# Models whose sizes the compiler relies on: only these names, and sums of them, may occur in results.
NAMED = ["stories260k-optimum", "stories260k-dynamo", "stories260k-dynamo-eager18", "stories260k-genai-fp32"]
NAMED += ["books-llama-28m-genai-int4"]
NAMED += [
    f"families/{family}-{exporter}"
    for family in ("llama", "llama3-rope", "qwen2", "qwen3", "mistral", "gpt2", "bert")
    for exporter in ("optimum", "dynamo")
]


def zoo_files(shared):
    return sorted([*(shared / "zoo").rglob("*.onnx"), *(shared / "models").rglob("*.onnx")])


def test_every_model_is_imported(shared, tool):
    files = zoo_files(shared)
    assert len(files) > 80
    for path in files:
        text = tool("qopt-translate", "--import-onnx", path).stdout
        assert "tensor<*" not in text, path


@pytest.mark.parametrize("name", NAMED)
def test_sizes_are_known(shared, tool, name):
    folder = shared / "zoo" / name
    text = tool("qopt-translate", "--import-onnx", "--sizes", folder).stdout
    entry = next(m for m in json.loads((shared / "zoo/zoo.json").read_text())["models"] if m["name"] == name)
    known = {word for dims in entry["inputs"].values() for dim in dims[1:] for word in str(dim).split(" + ")}
    for sizes in re.findall(r"sizes = \[(.*?)\]\}?", text):
        for word in re.findall(r"[A-Za-z_][\w.]*", sizes.split("=")[0]):
            assert word in known or word in ("min", "max"), f"{sizes}: {word} is not of {sorted(known)}"
    outputs = dict(re.findall(r'onnx.dims = \[([^\]]*)\], qopt.name = "([^"]*)"', text))
    assert len(outputs) >= 1


def test_weights_stay_in_their_file(shared, tool):
    """The books model's weights are byte ranges of the safetensors file beside it."""
    text = tool("qopt-translate", "--import-onnx", shared / "models/books-llama-28m").stdout
    assert len(re.findall(r"onnx.Constant dense_resource<", text)) >= 50
