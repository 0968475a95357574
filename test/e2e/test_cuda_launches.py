"""How many launches a layer of each architecture is at one token, as a stand-in for the driver sees them."""

import re

import pytest
from conftest import NO_ASSEMBLER
from e2e.test_cuda_traffic import decode_step
from e2e.test_zoo import DECODERS

# Norm to append, attention, output, norm to gate or activation, down. Gemma 2's norms behind attention and MLP and the
# sums that follow are ahead of the next norm; the small Llama 3 has a gate whose projections have biases, a launch
# more. Cohere's norms of heads have a scale for each head. Mixtral has four experts of two launches and a router, whose
# weights are generic kernels, as are the products with them.
LAUNCHES = {
    "bloom": 5,
    "cohere": 5,
    "gemma2": 5,
    "gpt-neox": 5,
    "gpt2": 5,
    "gptj": 5,
    "granite": 5,
    "llama": 5,
    "llama3-rope": 6,
    "mistral": 5,
    "opt": 5,
    "mixtral": 22,
    "qwen2": 5,
    "qwen3": 5,
    "smollm3": 5,
    "stablelm": 5,
}
# What the names of a layer's kernels tell, which --report prints, too.
PARTS = {
    "bloom": "_slopes_",
    "cohere": r"_i16_l[0-9A-F]+_f32_heads_q",
    "gemma2": "_sum_norm_paired",
    "gpt2": "_gelu_tanh",
    "gptj": "_add_",
    "granite": r"_scale[0-9A-F]{8}_add_",
    "qwen3": r"_r24_n[0-9A-F]+_f32_q",
    "smollm3": "_r0_c0",
    "stablelm": "_layer_norm_append",
}


def test_every_architecture_has_a_bound():
    families = {name.rsplit("/", 1)[1].rsplit("-", 1)[0] for name in DECODERS if name.startswith("zoo/families")}
    assert {family for family in families if not family.startswith("llama-genai")} == set(LAUNCHES)


@pytest.mark.parametrize("family", LAUNCHES)
def test_launches_of_a_layer(tool, shared, tmp_path, family):
    """From one attention to the next is a layer; each, also the first, is right behind a linear that appends."""
    artifact = tmp_path / "model.qopt"
    source = shared / "zoo/families" / f"{family}-dynamo"
    options = ("--as", "decoder", "--target", "cuda", "-o", artifact)
    tool("qopt-compile", source, *options, environment=NO_ASSEMBLER)
    names = [kernel.name for kernel in decode_step(tool, artifact, tmp_path)]
    first, second = (i for i, name in enumerate(names) if name.startswith("attention_decode"))
    assert second - first == LAUNCHES[family], names[first:second]
    assert all("_append" in names[i - 1] and "linear" in names[i - 1] for i in (first, second)), names
    assert re.search(PARTS.get(family, "_norm"), " ".join(names[first + 1 : second + 1]))
