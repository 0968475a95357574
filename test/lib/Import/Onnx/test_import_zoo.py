"""Every real model of the zoo is imported: all types are ranked, sizes are those of the inputs' dimensions."""

import re

import pytest

# The models whose sizes must all be sums and products of the inputs' dimensions.
EXACT = ["stories260k-optimum", "stories260k-dynamo", "stories260k-dynamo-eager18", "stories260k-genai-fp32"]
EXACT += ["books-llama-28m-genai-int4"]
EXACT += [
    f"families/{family}-{exporter}"
    for family in ("llama", "llama3-rope", "qwen2", "qwen3", "mistral", "gpt2")
    for exporter in ("optimum", "dynamo")
]


def sizes_and_names(text):
    """The words in the results' sizes, and the dimension names of the inputs."""
    arguments = text.split("\n")[1].split(") -> (")[0]
    names = set(re.findall(r"[A-Za-z_][\w.]*", " ".join(re.findall(r"onnx.dims = \[([^\]]*)\]", arguments))))
    sizes = [s.split("=")[0] for s in re.findall(r"sizes = \[(.*?)\]\}?", text)]
    return {word for size in sizes for word in re.findall(r"[A-Za-z_][\w.]*", size)}, names


def test_every_model_is_imported(shared, tool):
    files = sorted([*(shared / "zoo").rglob("*.onnx"), *(shared / "models").rglob("*.onnx")])
    assert len(files) > 80
    for path in files:
        text = tool("qopt-translate", "--import-onnx", "--sizes", path).stdout
        assert "tensor<*" not in text, path
        words, names = sizes_and_names(text)
        # min and max: a table of positions shorter than the sequence may be; nonzero: a count of elements.
        assert words <= names | {"min", "max", "nonzero"}, f"{path}: {words - names}"


@pytest.mark.parametrize("name", EXACT)
def test_sizes_are_exact(shared, tool, name):
    text = tool("qopt-translate", "--import-onnx", "--sizes", shared / "zoo" / name).stdout
    words, names = sizes_and_names(text)
    assert words <= names and "batch" in " ".join(words)


def test_weights_stay_in_their_file(shared, tool):
    """The books model's weights are byte ranges of the safetensors file beside it."""
    text = tool("qopt-translate", "--import-onnx", shared / "models/books-llama-28m").stdout
    assert len(re.findall(r"onnx.Constant dense_resource<", text)) >= 50
