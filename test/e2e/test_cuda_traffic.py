"""A decode step reads weights, cache and activations once: bytes of every access that its kernels make, as counted by
the emulator behind a stand-in for the driver.

An activation is read by each block that multiplies it, for blocks share no memory but the GPU's.
"""

import json
import re
from collections import namedtuple

import pytest
from conftest import NO_ASSEMBLER
from e2e.test_cuda import launches
from runtime.cuda.test_standin import environment

Kernel = namedtuple("Kernel", "name blocks read written")
PROMPT = list(range(100, 160))
F16, F32 = 2, 4


def decode_step(tool, artifact, folder):
    """The kernels of the last of three steps, the first of which reads the prompt."""
    log = folder / "traffic"
    prompt = ("--tokens", ",".join(map(str, PROMPT)), "--max-tokens", 3, "--ignore-end", "--json")
    tool("qopt-run", artifact, *prompt, environment=environment("checks=0", QOPT_STANDIN_TRAFFIC=str(log)))
    lines = [line.split() for line in log.read_text().splitlines()]
    return [Kernel(name, *map(int, counts)) for name, *counts in lines][-launches(tool, artifact, 1) :]


def weight_bytes(weights, rows, columns):
    if weights == "f16":
        return rows * columns * F16
    if weights == "int8":  # a scale a row
        return rows * (columns + F32)
    return rows * (columns // 2 + columns // int(weights.partition("_g")[2]) * F16)


def cache_bytes(cache, heads, size):
    """Of a token and layer, keys and values, a scale for each head where there are codes of integers."""
    bits = {"f16": 16, "fp8_e4m3": 8, "int8": 8, "int4": 4}[cache]
    return 2 * heads * (size * bits // 8 + (F16 if cache.startswith("int") else 0))


def needed(kernel, weights, cache, config):
    """Bytes of weights, of the cache and of activations that a kernel has to read."""
    heads, size = config["num_key_value_heads"], config["head_dim"]
    if kernel.name.startswith("attention_decode"):
        # The step's own token is among them.
        query = config["num_attention_heads"] * size * F16
        return 0, (len(PROMPT) + 2) * cache_bytes(cache, heads, size), query
    shape = re.search(r"_m1(?:_[a-z]+)*_(\d+)x(\d+)", kernel.name)
    if kernel.name.startswith("argmax"):
        return 0, 0, config["vocab_size"] * F32
    if not shape:
        return 0, 0, 0
    rows, columns = map(int, shape.groups())
    x = columns * F16 * (2 if "_norm" in kernel.name else 1)
    return weight_bytes(weights, rows, columns), 0, kernel.blocks * x + (rows * F16 if "residual" in kernel.name else 0)


@pytest.mark.parametrize(
    "weights, cache",
    [("f16", "f16"), ("int8", "f16"), ("int4_g32", "f16"), ("int4_g128", "f16")]
    + [("int4_g128", cache) for cache in ("fp8_e4m3", "int8", "int4")],
)
def test_a_decode_step_reads_what_it_must(tool, shared, tmp_path, weights, cache):
    model = shared / "models/books-llama-28m"
    if not model.is_dir():
        pytest.skip(f"{model} is not there")
    config = json.loads((model / "config.json").read_text())
    options = ("--weights", weights, "--kv", cache, "--context", 256, "-o", tmp_path / "b.qopt")
    tool("qopt-compile", model, "--target", "cuda", *options, environment=NO_ASSEMBLER)
    step = decode_step(tool, tmp_path / "b.qopt", tmp_path)
    parts = [needed(kernel, weights, cache, config) for kernel in step]
    weighed, cached, activated = (sum(each) for each in zip(*parts, strict=True))
    read = sum(kernel.read for kernel in step)
    print(f"{weights} {cache}: {read} of {weighed} + {cached} + {activated}")
    for kernel, (_, stored, query) in zip(step, parts, strict=True):
        if stored:
            assert stored < kernel.read <= 1.05 * stored + 12 * query, kernel  # each warp reads the queries
    assert weighed + cached < read <= 1.05 * (weighed + cached + activated)
