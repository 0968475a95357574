"""Every kernel of the artifacts runs: steps of all lengths that have kernels of their own, in every pair of formats of
weights and cache, beside the host with the same formats. The model has one layer of the shapes of books-llama-28m, so
that its kernels are that model's, and random weights.
"""

import itertools
import json
import subprocess
import sys

import conftest
import numpy as np
import pytest
from runtime.cuda.test_standin import environment

SHAPES = {
    "layers": 1,
    "hidden": 512,
    "heads": 8,
    "kv-heads": 4,
    "head-size": 64,
    "ffn": 1408,
    "vocabulary": 8192,
    "context": 1024,
}
# The head is half of the work of a long step: it has all words in the pair of int4_g128, some in
# the other pairs of partners, few where nobody looks for its kernels.
SOME_WORDS, FEW_WORDS = 2048, 512
WEIGHTS = ("f16", "int8", "int4_g32", "int4_g128")
CACHES = ("f16", "fp8_e4m3", "int8", "int4")
# Tokens of a step, one for each bucket of the kernels.
FEW, MANY = (1, 5, 48), (12, 24, 64, 128, 136, 264, 513)
# Most and median distance of a token's logits from the host's, in parts of their spread: f16 sums, and codes of the
# cache that are a level more or less. Logits of few words spread less than those of many.
BOUNDS = {"f16": (0.0015, 0.0008), "int8": (0.007, 0.004), "fp8_e4m3": (0.03, 0.008), "int4": (0.06, 0.02)}


def write_model(folder, **shapes):
    sizes = [word for name, size in (SHAPES | shapes).items() for word in (f"--{name}", str(size))]
    subprocess.run([sys.executable, str(conftest.SOURCE / "bench/synthetic.py"), str(folder), *sizes], check=True)
    return folder


@pytest.fixture(scope="module")
def one_layer(tmp_path_factory):
    return write_model(tmp_path_factory.mktemp("one-layer"))


@pytest.fixture(scope="module")
def with_words(one_layer, tmp_path_factory):
    """with_words(2048): the model, or one of so many words."""
    made = {SHAPES["vocabulary"]: one_layer}

    def write_once(words):
        if words not in made:
            made[words] = write_model(tmp_path_factory.mktemp(f"words-{words}"), vocabulary=words)
        return made[words]

    return write_once


def options_of(weights, cache):
    return "--weights", weights, "--kv", cache, "--embedding", weights, "--context", SHAPES["context"]


def symbols_of(tool, artifact):
    return {kernel["symbol"] for kernel in json.loads(tool("qopt-inspect", artifact, "--json").stdout)["kernels"]}


class Runner:
    """Runs artifacts, those for GPUs with the stand-in for the driver, and keeps the kernels that were launched."""

    def __init__(self, tool, folder):
        self.tool, self.folder, self.launched = tool, folder, set()

    def run(self, name, artifact, *options):
        log = self.folder / "launches"
        log.unlink(missing_ok=True)
        self.tool(name, artifact, *options, environment=environment(QOPT_STANDIN_TRAFFIC=str(log)))
        if log.exists():
            self.launched |= {line.split()[0] for line in log.read_text().splitlines()}

    def logits(self, artifact, tokens, step):
        """[tokens, vocabulary] of one sequence that is read in steps of so many tokens."""
        np.save(self.folder / "t.npy", tokens[None])
        arrays = ("--tokens", self.folder / "t.npy", "--save-logits", self.folder / "l.npy")
        self.run("qopt-eval", artifact, *arrays, "--chunk", step)
        return np.load(self.folder / "l.npy")[0].astype(np.float64)

    def choose(self, artifact):
        """The largest logit of few and of many sequences, and a sample."""
        prompt = ("--tokens", "5,6,7", "--max-tokens", 2, "--ignore-end")
        self.run("qopt-run", artifact, *prompt, "--temperature", 1, "--seed", 3)
        for batch in (1, 65):
            self.run("qopt-bench", artifact, "--prompt", 1, "--tokens", 0, "--repeats", 1, "--batch", batch)


@pytest.mark.parametrize(("weights", "cache"), [*itertools.product(WEIGHTS, CACHES), ("int4_asym", "f16")])
def test_every_kernel_runs(tool, with_words, tmp_path, weights, cache):
    """All of them where weights and cache are each other's partner, so that every format of each is in one such pair;
    beside these pairs those that know both formats, as linears do that append to the cache: with f16 in steps of all
    lengths, else of many tokens in the longest alone."""
    device, host = tmp_path / "gpu.qopt", tmp_path / "host.qopt"
    options = options_of(weights, cache)
    partners = weights not in WEIGHTS or WEIGHTS.index(weights) == CACHES.index(cache)
    all_steps = partners or cache == "f16"
    words = SHAPES["vocabulary"] if cache == "int4" else SOME_WORDS
    words = words if partners else FEW_WORDS
    model = with_words(words)
    tool("qopt-compile", model, "--target", "cuda", *options, "-o", device, environment=conftest.NO_ASSEMBLER)
    tool("qopt-compile", model, *options, "--activations", "f32", "-o", host)
    runner = Runner(tool, tmp_path)
    for step in FEW + (MANY if all_steps else MANY[-1:]):
        tokens = np.random.default_rng(step).integers(3, words, max(2, step)).astype(np.int32)
        expected, found = (runner.logits(artifact, tokens, step) for artifact in (host, device))
        error = np.abs(found - expected).max(-1) / np.ptp(expected, axis=-1)
        assert np.all((error.max(), np.median(error)) <= np.array(BOUNDS[cache])), (step, error.max(), np.median(error))
    if partners:
        runner.choose(device)
    # No tool draws for more than 64 sequences: SamplingTest.cpp runs that kernel.
    many = {f"sampling_sm_90a_f32_{words}"}
    left = symbols_of(tool, device) - runner.launched - many
    assert not (left if partners else {symbol for symbol in left if "append" in symbol}), left


@pytest.mark.parametrize("weights", WEIGHTS)
def test_they_are_the_kernels_of_a_real_model(tool, one_layer, shared, weights):
    """The eight layers of books-llama-28m launch what the one layer does."""
    made = []
    for model in (one_layer, shared / "models/books-llama-28m"):
        options = ("--target", "cuda", *options_of(weights, "int8"), "--emit", "kernels")
        table = tool("qopt-compile", model, *options, environment=conftest.NO_ASSEMBLER).stdout
        made.append({line.split()[-1].split(":")[0] for line in table.splitlines() if "sm_90a" in line})
    assert made[0] and made[0] == made[1]
