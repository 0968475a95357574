"""`--sum-order sm_90a`: the host sums in the order of a GPU's kernels, so that it and the emulator, which runs these,
give the same logits and the same greedy tokens: with weights of every kind and of several in a launch, caches with and
without scales and with keys in groups, one token, few and many.
"""

import json

import numpy as np
import pytest
from conftest import NO_ASSEMBLER

PROMPT = ("--prompt", "Once upon a time")


def compiled(tool, source, folder, target, *options, activations="f16"):
    order = ("--sum-order", "sm_90a") if target == "ordered" else ()
    artifact = folder / f"{target}.qopt"
    kind = "cuda" if target == "cuda" else "host"
    options = ("--target", kind, "--activations", activations, *order, *options)
    tool("qopt-compile", source, *options, "-o", artifact, environment=NO_ASSEMBLER)
    return artifact


def generated(tool, artifact, count, *options):
    return json.loads(tool("qopt-run", artifact, *PROMPT, "--max-tokens", count, "--json", *options).stdout)["tokens"]


def logits_of(tool, artifact, tokens, folder, *options):
    np.save(folder / "t.npy", tokens)
    tool("qopt-eval", artifact, "--tokens", folder / "t.npy", "--save-logits", folder / "l.npy", *options)
    return np.load(folder / "l.npy")


# Down projections have 172 columns, which groups of 32 do not divide.
DOWN = "re:^node_linear_(6|13|20|27|34)$"
FORMATS = {
    "f16": (),
    "int4": ("--weights", "int4_g32", "--format", f"{DOWN}=int8"),
    "int8": ("--weights", "int8", "--kv", "int8"),
    "asymmetric": ("--weights", "int4_asym_g32", "--format", f"{DOWN}=int4", "--kv", "int4"),
    "zero points of rows": (
        "--weights",
        "int4_asym",
        "--format",
        f"{DOWN}=int8_asym_zf",
        "--lm-head",
        "int6_asym_tensor",
    ),
    "groups of 16": ("--weights", "int4_asym_g16", "--format", f"{DOWN}=int8"),
    "floats": (
        *("--weights", "mxfp4", "--format", f"{DOWN}=fp8_e5m2", "--format", "re:^node_linear_(3|17)$=nf4_g64"),
        *("--format", "re:^node_linear_(10|24)$=nvfp4"),
    ),
    # Rows of several formats in a launch: queries, keys and values in all layers; gate and up in most.
    "several": (
        *("--weights", "int4_g32", "--format", f"{DOWN}=int8", "--format", "re:^node_linear_(1|8|15|22|29)$=int8"),
        *("--format", "re:^node_linear_(2|16|30)$=f16", "--format", "re:^node_linear_(9|23)$=int4_asym_g16"),
        *("--format", "re:^node_linear_(4|12|18)$=fp8_e4m3", "--format", "re:^node_linear_(25)$=int3_g64"),
    ),
    "groups of keys": ("--weights", "int8", "--kv", "int4_asym_g32_zf,int8"),
    "fp8": ("--weights", "fp8_e4m3", "--kv", "fp8_e4m3"),
}
TOKENS = np.random.default_rng(5).integers(3, 512, (1, 70)).astype(np.int32)


# Tokens that are written: 200 in two formats whose tokens no other test compares with the host's, else few: the logits
# of single tokens go past a page in every kind of cache.
WRITTEN = {"int4": 200, "int8": 200}
FEW = 12


def cache_of(formats):
    options = FORMATS[formats]
    return options[options.index("--kv") + 1] if "--kv" in options else "f16"


@pytest.mark.parametrize("formats", FORMATS)
def test_host_and_emulator_have_the_same_bits(tool, stories, tmp_path, formats):
    """Greedy tokens, the prompt in one step; logits by one and by seven tokens a step, which go past a page where the
    cache is not f16, or the weights are f16, too: pages are the cache's alone; in gemm's order, for 70 tokens and for
    200 at once. qopt-inspect says which GPU's order it is."""
    host = compiled(tool, stories, tmp_path, "ordered", *FORMATS[formats])
    gpu = compiled(tool, stories, tmp_path, "cuda", *FORMATS[formats])
    assert "sum-order" in tool("qopt-inspect", host).stdout
    count = WRITTEN.get(formats, FEW)
    assert generated(tool, host, count) == generated(tool, gpu, count, "--device", "emulator")
    tokens = np.tile(TOKENS, (1, 3))
    single = 16 if formats in WRITTEN or cache_of(formats) == "f16" else 70
    several = 21 if formats != "f16" and cache_of(formats) == "f16" else 70
    for length, chunk in ((single, 1), (several, 7), (70, 70), (200, 200)):
        found = logits_of(tool, host, tokens[:, :length], tmp_path, "--chunk", chunk)
        expected = logits_of(tool, gpu, tokens[:, :length], tmp_path, "--chunk", chunk, "--device", "emulator")
        np.testing.assert_array_equal(found, expected)


# Biases, layer norms, GELU, windows, norms of heads, other divisions of heads; caps of scores and logits (Gemma 2),
# multipliers (Granite).
FAMILIES = [
    *(
        "cohere-dynamo",
        "gemma2-dynamo",
        "gpt2-optimum",
        "granite-dynamo",
        "gptj-dynamo",
        "mistral-dynamo",
        "qwen2-dynamo",
        "qwen3-dynamo",
    ),
    *("smollm3-optimum", "stablelm-dynamo"),
]


@pytest.mark.parametrize("family", FAMILIES)
def test_other_architectures_have_the_same_bits(tool, shared, tmp_path, family):
    source = shared / "zoo/families" / family
    host, gpu = (compiled(tool, source, tmp_path, target) for target in ("ordered", "cuda"))
    tokens = TOKENS[:, :24] % 60
    found = logits_of(tool, host, tokens, tmp_path, "--chunk", 5)
    np.testing.assert_array_equal(found, logits_of(tool, gpu, tokens, tmp_path, "--chunk", 5, "--device", "emulator"))


@pytest.mark.parametrize("formats", ["f16", "several", "groups of keys"])
def test_the_hosts_own_order_differs(tool, stories, tmp_path, formats):
    found = logits_of(tool, compiled(tool, stories, tmp_path, "ordered", *FORMATS[formats]), TOKENS, tmp_path)
    other = logits_of(tool, compiled(tool, stories, tmp_path, "host", *FORMATS[formats]), TOKENS, tmp_path)
    assert (found != other).mean() > 0.1


def test_bfloat16_of_a_larger_model(tool, shared, tmp_path):
    """A real model of another width, in bf16."""
    source = shared / "models/books-llama-28m"
    options = ("--weights", "int4_g32")
    host = compiled(tool, source, tmp_path, "ordered", *options, activations="bf16")
    gpu = compiled(tool, source, tmp_path, "cuda", *options, activations="bf16")
    found = logits_of(tool, host, TOKENS[:, :5], tmp_path, "--chunk", 2)
    np.testing.assert_array_equal(
        found, logits_of(tool, gpu, TOKENS[:, :5], tmp_path, "--chunk", 2, "--device", "emulator")
    )


def test_keys_wait_for_their_group_in_bfloat16(tool, stories, tmp_path):
    """The host's f16 holds all but the smallest; a warning says so."""
    options, tokens = ("--weights", "int8", "--kv", "int4_asym_g32_zf,int8"), TOKENS[:, :40]
    order = ("--sum-order", "sm_90a", "--activations", "bf16")
    done = tool("qopt-compile", stories, *order, *options, "-o", tmp_path / "host.qopt")
    assert "keys wait for the scales of their group in bf16 on a GPU, in f16 on the host" in done.stderr
    gpu = compiled(tool, stories, tmp_path, "cuda", *options, activations="bf16")
    found = logits_of(tool, tmp_path / "host.qopt", tokens, tmp_path, "--chunk", 9)
    np.testing.assert_array_equal(found, logits_of(tool, gpu, tokens, tmp_path, "--chunk", 9, "--device", "emulator"))


# Weights of integers in groups read no codes: keys in the first two layers, gates in the next two.
HALVES = ("--format", "re:^node_linear_(1|8|18|25)$=int4_g32")
CODES = [("f16,int8", (1, 7, 70), ()), ("bf16,int8", (5, 70), HALVES)]


@pytest.mark.parametrize("activations, chunks, options", CODES)
def test_codes_of_activations_have_the_same_bits(tool, stories, tmp_path, activations, chunks, options):
    """Sums of codes are exact in i32; scales, bias and residual follow in one order. One token, several, many."""
    options = ("--weights", "int8", "--kv", "int8", *options)
    host, gpu = (compiled(tool, stories, tmp_path, t, *options, activations=activations) for t in ("ordered", "cuda"))
    for chunk in chunks:
        tokens = TOKENS[:, : max(chunk, 21)]
        found = logits_of(tool, host, tokens, tmp_path, "--chunk", chunk)
        expected = logits_of(tool, gpu, tokens, tmp_path, "--chunk", chunk, "--device", "emulator")
        np.testing.assert_array_equal(found, expected)


# What generated kernels of graphs sum and approximate, which the host does in its own way.
GENERATED = {
    "bert-dynamo": "2 qopt.attention",
    "t5-dynamo": "2 onnx.Log, 6 qopt.attention",
    "vit-dynamo": "1 onnx.Conv, 2 qopt.attention",
}
BOUND = 2.0**-10  # of the largest element: a unit in the last place of f16


@pytest.mark.parametrize("name, generated", GENERATED.items())
def test_graphs_say_what_is_not_followed_and_stay_within_the_bound(tool, shared, tmp_path, name, generated):
    source, results = shared / "zoo/families" / name, []
    for device, options in (("host", ("--sum-order", "sm_90a")), ("emulator", ("--target", "cuda"))):
        artifact = tmp_path / f"{device}.qopt"
        options = ("--as", "graph", "--activations", "f16", *options)
        done = tool("qopt-compile", source, *options, "-o", artifact, environment=NO_ASSEMBLER)
        assert (f"the sums and functions of {generated} in" in done.stderr) == (device == "host")
        files = ("--inputs", source / "golden.npz", "--outputs", tmp_path / "out.npz")
        tool("qopt-run", artifact, "--device", device, *files)
        results.append(dict(np.load(tmp_path / "out.npz")))
    for output, expected in results[1].items():
        assert np.abs(results[0][output] - expected).max() <= BOUND * np.abs(expected).max(), output


# What a GPU does not have, or the host does not follow, is refused.
REFUSED = {
    "latest positions": (
        ("--activations", "f16", "--kv", "int4_g32,int4,recent=32"),
        "latest positions have no order of a GPU's sums on the host",
    ),
    "codes of fp8": (
        ("--activations", "f16,fp8_e4m3", "--weights", "fp8_e4m3"),
        "int8 activations need weights in int8 with one scale a row",
    ),
}


@pytest.mark.parametrize("options, message", REFUSED.values(), ids=REFUSED)
def test_what_is_not_followed_is_refused(tool, stories, tmp_path, options, message):
    done = tool("qopt-compile", stories, "--sum-order", "sm_90a", *options, "-o", tmp_path / "x.qopt", check=False)
    assert done.returncode != 0 and message in done.stderr
    assert not (tmp_path / "x.qopt").exists()
