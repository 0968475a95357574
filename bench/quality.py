#!/usr/bin/env python3
"""How far quantized models are from the unquantized one, at equal stored bits: the table of docs/quantization.md.

    bench/quality.py BUILD MODEL --calibrate TEXT --valid TEXT [ROW…] [--tokens 65536] [--seeds 0 1 2]

A ROW is one of
    linear=BITS     --bits for the linears of the blocks alone; head and embedding stay as the file has them
    file=BITS       --bits for all weights
    FORMAT          one format for the linears, calibrated; FORMAT:rtn rounds it to nearest, FORMAT:gptq takes GPTQ
                    alone, FORMAT:original has layers read what they read in the unquantized model, FORMAT:tune=STEPS
                    tunes scales and norms behind that
    codes=FORMAT/ACTIVATIONS   the linears' weights rounded to nearest, and activations in codes, with scaled channels
    all=FORMAT      one format for all weights, head and embedding included, calibrated
    rule=LOW+HIGH   LOW for all weights, but HIGH for projections of values, down projections and the head, calibrated
    kv=FORMAT       a cache in this format, weights as the file has them
    ort=NAME:BLOCK  onnxruntime's 4-bit quantizer of that name (default, rtn, hqq, gptq, k_quant), with zero points and
                    blocks of so many columns, for the linears (pip install onnx-ir; hqq: torch)

Without rows: those of the table. Printed are the stored bits of the weights that are quantized and of all, the mean KL
divergence on 32 windows of 512 tokens, spread evenly over TEXT, which is tokenized in pieces of 20,000 characters, the
loss, which is perplexity less that of the model in f32, and the seconds of the compilation. All other models compute in
f32. With seeds, the text of calibration is so many windows drawn from it for each seed. Behind rows of file=BITS: what
`all` and `rule` have at the same bits, log KL interpolated between the formats around.
"""

import argparse
import json
import logging
import math
import pathlib
import shutil
import tempfile
import time
from typing import NamedTuple

import numpy as np
from plans import run

ROWS = [
    *("int4_asym_g128:rtn", "int4_asym_g128", "lut4_g128", "lut4_g32_s6", "lut3_g64_s6", "int2_g32_s6"),
    *("linear=3.15", "linear=3.7", "linear=4.16", "linear=4.3", "linear=4.8", "linear=6"),
    *("file=3", "file=3.5", "file=4", "file=4.5"),
    *("all=int2_g32_s6", "all=lut3_g64_s6", "all=lut3_g32_s6", "all=lut4_g128", "all=lut4_g32_s6", "all=int5_g32_s6"),
    *("rule=int2_g32_s6+lut4_g32_s6", "rule=lut3_g32_s6+lut4_g32_s6", "rule=lut3_g32_s6+int5_g32_s6"),
    *("rule=lut4_g32_s6+int5_g32_s6", "kv=int8", "kv=fp8_e4m3", "kv=int4_asym_g32_zf,int4_asym_g32_zf,recent=32"),
]
WINDOWS, LENGTH, PIECE = 32, 512, 20000


def tokens_of(model, text):
    """All token ids of `text`, int32, tokenized in pieces."""
    from tokenizers import Tokenizer

    tokenizer = Tokenizer.from_file(str(model / "tokenizer.json"))
    characters = text.read_text(encoding="utf-8")
    pieces = [characters[i : i + PIECE] for i in range(0, len(characters), PIECE)]
    encoded = tokenizer.encode_batch(pieces, add_special_tokens=False)
    return np.array([i for piece in encoded for i in piece.ids], np.int32)


def spread_windows(ids):
    """[WINDOWS, LENGTH], evenly over the tokens."""
    count = len(ids) // LENGTH
    return np.stack([ids[start : start + LENGTH] for start in (i * count // WINDOWS * LENGTH for i in range(WINDOWS))])


def drawn_windows(ids, seed, tokens):
    """[tokens / LENGTH, LENGTH], no window twice, in the order of the text."""
    drawn = np.random.default_rng(seed).permutation(len(ids) // LENGTH)[: tokens // LENGTH]
    return ids[: len(ids) // LENGTH * LENGTH].reshape(-1, LENGTH)[np.sort(drawn)]


def fold_transposes(model):
    """onnxruntime quantizes products with a constant; exporters transpose it first."""
    from onnx import numpy_helper

    graph = model.graph
    constants = {tensor.name: tensor for tensor in graph.initializer}
    nodes = []
    for node in graph.node:
        if node.op_type != "Transpose" or node.input[0] not in constants:
            nodes.append(node)
            continue
        (axes,) = [attribute.ints for attribute in node.attribute if attribute.name == "perm"]
        turned = numpy_helper.to_array(constants[node.input[0]]).transpose(axes)
        graph.initializer.append(numpy_helper.from_array(np.ascontiguousarray(turned), node.output[0]))
    del graph.node[:]
    graph.node.extend(nodes)
    used = {name for node in nodes for name in node.input}
    kept = [tensor for tensor in graph.initializer if tensor.name in used]
    del graph.initializer[:]
    graph.initializer.extend(kept)
    return model


class WindowReader:
    """What onnxruntime's GPTQ reads: a decoder's inputs, one window after the other."""

    def __init__(self, model, windows):
        from onnx import helper

        self.windows, self.names, self.empty = windows, set(), {}
        for value in model.graph.input:
            dims = value.type.tensor_type.shape.dim
            self.names.add(value.name)
            if value.name.startswith("past"):
                shape = (1, dims[1].dim_value, 0, dims[3].dim_value)
                element = helper.tensor_dtype_to_np_dtype(value.type.tensor_type.elem_type)
                self.empty[value.name] = np.zeros(shape, element)

    def __iter__(self):
        for window in self.windows:
            ids = window[None].astype(np.int64)
            given = {"input_ids": ids, "attention_mask": np.ones_like(ids), "position_ids": np.arange(ids.size)[None]}
            yield {name: value for name, value in given.items() if name in self.names} | self.empty


def quantize_by_onnxruntime(model, name, block, windows, folder):
    import onnx
    from onnxruntime.quantization import matmul_nbits_quantizer as nbits

    logging.disable(logging.INFO)
    graph = fold_transposes(onnx.load(str(model / "model.onnx")))
    head = [node.name for node in graph.graph.node if node.op_type == "MatMul"][-1]
    how = {
        "default": lambda: nbits.DefaultWeightOnlyQuantConfig(block_size=block, is_symmetric=False),
        "rtn": nbits.RTNWeightOnlyQuantConfig,
        "hqq": lambda: nbits.HQQWeightOnlyQuantConfig(block_size=block),
        "gptq": lambda: nbits.GPTQWeightOnlyQuantConfig(WindowReader(graph, windows), mse=True, actorder=True),
        "k_quant": nbits.KQuantWeightOnlyQuantConfig,
    }[name]()
    quantizer = nbits.MatMulNBitsQuantizer(graph, block_size=block, nodes_to_exclude=[head], algo_config=how)
    quantizer.process()
    folder.mkdir()
    onnx.save(quantizer.model.model, str(folder / "model.onnx"))
    for file in ("config.json", "generation_config.json", "tokenizer.json"):
        shutil.copy(model / file, folder)


class Row(NamedTuple):
    name: str
    seed: int | None
    bits: float  # of the weights that are quantized
    bits_of_all: float
    kl: dict  # mean, low, high
    loss: float  # perplexity
    seconds: float

    def __str__(self):
        kl = f"{self.kl['mean']:.5f} ({self.kl['low']:.5f}–{self.kl['high']:.5f})"
        seed = "" if self.seed is None else self.seed
        bits = f"{self.bits:.3f} | {self.bits_of_all:.3f}"
        return f"| {self.name} | {seed} | {bits} | {kl} | {self.loss:.4f} | {self.seconds:.0f} |"


class Harness:
    def __init__(self, arguments, folder):
        self.bin, self.model, self.folder = arguments.build / "bin", arguments.model, folder
        self.tokens, self.text = arguments.tokens, arguments.calibrate
        self.ids = tokens_of(self.model, self.text)
        np.save(folder / "valid.npy", spread_windows(tokens_of(self.model, arguments.valid)))
        self.use(None)
        self.compile("f32.qopt", "--weights", "f32", "--kv", "f32")
        reference = ("--tokens", folder / "valid.npy", "--save-logits", folder / "logits.npy")
        run(self.bin / "qopt-eval", folder / "f32.qopt", *reference)

    def use(self, seed):
        """Calibrates on windows drawn with `seed`, or on the text as the compiler reads it."""
        self.seed, text = seed, self.text
        if seed is not None:
            text = self.folder / f"calibrate-{seed}.npy"
            np.save(text, drawn_windows(self.ids, seed, self.tokens))
        self.calibrate = ("--calibrate", text, "--calibrate-tokens", self.tokens)

    def compile(self, name, *options, model=None, activations="f32"):
        start = time.monotonic()
        output = ("--activations", activations, "-o", self.folder / name)
        run(self.bin / "qopt-compile", model or self.model, *options, *output)
        return time.monotonic() - start

    def weights(self, name):
        """Stored bits of the weights that are quantized and of all, and the share of all elements that the former
        are."""
        found = json.loads(run(self.bin / "qopt-inspect", self.folder / name, "--json"))["weights"]
        quantized = [entry for format, entry in found["formats"].items() if format not in ("f32", "f16", "bf16")]
        elements = sum(entry["parameters"] for entry in quantized)
        size = sum(entry["bytes"] for entry in quantized)
        of_all = 8 * sum(entry["bytes"] for entry in found["formats"].values()) / found["parameters"]
        return (8 * size / elements if elements else of_all), of_all, elements / found["parameters"]

    def bits_of_all(self, bits):
        """The mean over all weights with which the linears have `bits`."""
        self.compile("share.qopt", "--weights", "int8", *self.kept())
        *_, share = self.weights("share.qopt")
        return bits * share + 16 * (1 - share)

    def kept(self):
        return ("--lm-head", "f16", "--embedding", "f16")

    def options(self, kind, value, row):
        """Of qopt-compile, for a row that is not onnxruntime's."""
        if kind == "linear":
            return ("--bits", f"{self.bits_of_all(float(value)):.4f}", *self.kept(), *self.calibrate)
        if kind == "file":
            return ("--bits", value, *self.calibrate)
        if kind == "kv":
            return ("--kv", value)
        if kind == "all":
            return ("--weights", value, "--lm-head", value, "--embedding", value, *self.calibrate)
        if kind == "rule":
            low, high = value.split("+")
            ends = ("--lm-head", high, "--embedding", high)  # one matrix where they are tied
            return ("--weights", low, *ends, "--format", f"re:.*(v_proj|down_proj).*={high}", *self.calibrate)
        format, _, how = row.partition(":")
        chosen = {"": (), "rtn": (), "original": ("--calibrate-inputs", "original")}.get(how, ("--algorithm", how))
        if how.startswith("tune="):
            chosen = ("--tune", how.removeprefix("tune="))
        return ("--weights", format, *self.kept(), *(() if how == "rtn" else self.calibrate), *chosen)

    def measure(self, row):
        kind, _, value = row.partition("=")
        if kind == "ort":
            name, _, block = value.partition(":")
            model = self.folder / f"{name}{block}-{self.seed}"
            windows = drawn_windows(self.ids, self.seed or 0, self.tokens)
            quantize_by_onnxruntime(self.model, name, int(block), windows, model)
            seconds = self.compile("m.qopt", model=model)
        elif kind == "codes":
            format, activations = value.split("/")
            options = ("--weights", format, *self.kept(), *self.calibrate, "--algorithm", "rtn")
            seconds = self.compile("m.qopt", *options, activations=activations)
        else:
            seconds = self.compile("m.qopt", *self.options(kind, value, row))
        against = ("--tokens", self.folder / "valid.npy", "--reference", self.folder / "logits.npy", "--json")
        found = json.loads(run(self.bin / "qopt-eval", self.folder / "m.qopt", *against))
        bits, of_all, _ = self.weights("m.qopt")
        loss = found["perplexity"] - found["reference"]["perplexity"]
        return Row(row, self.seed, bits, of_all, found["kl"], loss, seconds)


def best_at(bits, rows):
    """The least KL at `bits` of all weights on a line between two rows, log KL over bits; None outside of them."""
    points = sorted((row.bits_of_all, math.log(row.kl["mean"])) for row in rows)
    lines = [b + (d - b) * (bits - a) / (c - a) for a, b in points for c, d in points if a < c and a <= bits <= c]
    return math.exp(min(lines)) if lines else None


def compare(rows):
    """Mixed precision over the whole file beside uniform formats and the rule, of each seed."""
    for mixed in (row for row in rows if row.name.startswith("file=")):
        alike = [row for row in rows if row.seed == mixed.seed]
        for kind in ("all", "rule"):
            other = best_at(mixed.bits_of_all, [row for row in alike if row.name.startswith(kind + "=")])
            if other:
                less = 100 * (1 - mixed.kl["mean"] / other)
                beside = f"{kind} ({other:.5f} at {mixed.bits_of_all:.3f} bits)"
                print(f"{mixed.name}, seed {mixed.seed}: {less:.0f} % below {beside}")


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("build", type=pathlib.Path)
    parser.add_argument("model", type=pathlib.Path, help="a folder with model.onnx in f16, and tokenizer.json")
    parser.add_argument("rows", nargs="*", metavar="ROW", default=ROWS)
    parser.add_argument("--calibrate", type=pathlib.Path, required=True)
    parser.add_argument("--valid", type=pathlib.Path, required=True)
    parser.add_argument("--tokens", type=int, default=65536, help="of the calibration text")
    parser.add_argument("--seeds", type=int, nargs="*", default=[None], help="of the windows of calibration")
    arguments = parser.parse_args()
    print("| weights or cache | seed | stored bits | of all | KL (95 %) | loss | seconds |")
    print("|---|---|---|---|---|---|---|", flush=True)
    rows = []
    with tempfile.TemporaryDirectory() as name:
        harness = Harness(arguments, pathlib.Path(name))
        for seed in arguments.seeds:
            harness.use(seed)
            for row in arguments.rows:
                rows.append(harness.measure(row))
                print(rows[-1], flush=True)
    compare(rows)


if __name__ == "__main__":
    main()
