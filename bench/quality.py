#!/usr/bin/env python3
"""How far quantized models are from the unquantized one, at equal stored bits: the table of docs/quantization.md.

    bench/quality.py BUILD MODEL --calibrate TEXT --valid TEXT [ROW…] [--tokens 65536]

A ROW is one of
    linear=BITS     --bits for the linears of the blocks alone; head and embedding stay as the file has them
    file=BITS       --bits for all weights
    FORMAT          one format for the linears, calibrated; FORMAT:rtn rounds it to nearest
    kv=FORMAT       a cache in this format, weights as the file has them
    ort=BLOCK       onnxruntime's 4-bit quantizer with zero points and blocks of so many columns (pip install onnx-ir)

Without rows: those of the table. Printed are the stored bits of the weights that are quantized, the mean KL divergence on 32
windows of 512 tokens, spread evenly over TEXT, which is tokenized in pieces of 20,000 characters, and the seconds of the
compilation. All models compute in f32.
"""

import argparse
import json
import logging
import pathlib
import shutil
import tempfile
import time

import numpy as np
from plans import run

ROWS = (
    "int4_asym_g128:rtn int4_asym_g128 lut4_g128 lut4_g32_s6 lut3_g64_s6 int2_g32_s6 linear=3.15 linear=3.7 linear=4.16 "
    "linear=4.3 linear=4.8 linear=6 file=3 file=3.5 file=4 file=4.5 kv=int8 kv=fp8_e4m3 "
    "kv=int4_asym_g32_zf,int4_asym_g32_zf,recent=32"
).split()
WINDOWS, LENGTH, PIECE = 32, 512, 20000


def windows(model, text):
    from tokenizers import Tokenizer

    tokenizer = Tokenizer.from_file(str(model / "tokenizer.json"))
    characters = text.read_text(encoding="utf-8")
    pieces = [characters[i : i + PIECE] for i in range(0, len(characters), PIECE)]
    ids = [i for encoded in tokenizer.encode_batch(pieces, add_special_tokens=False) for i in encoded.ids]
    count = len(ids) // LENGTH
    starts = [i * count // WINDOWS * LENGTH for i in range(WINDOWS)]
    return np.array([ids[start : start + LENGTH] for start in starts], np.int32)


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


def quantize_by_onnxruntime(model, block, folder):
    import onnx
    from onnxruntime.quantization import matmul_nbits_quantizer as nbits

    logging.disable(logging.INFO)
    graph = fold_transposes(onnx.load(str(model / "model.onnx")))
    head = [node.name for node in graph.graph.node if node.op_type == "MatMul"][-1]
    how = nbits.DefaultWeightOnlyQuantConfig(block_size=block, is_symmetric=False)
    quantizer = nbits.MatMulNBitsQuantizer(graph, nodes_to_exclude=[head], algo_config=how)
    quantizer.process()
    folder.mkdir()
    onnx.save(quantizer.model.model, str(folder / "model.onnx"))
    for name in ("config.json", "generation_config.json", "tokenizer.json"):
        shutil.copy(model / name, folder)


class Harness:
    def __init__(self, arguments, folder):
        self.bin, self.model, self.folder = arguments.build / "bin", arguments.model, folder
        self.calibrate = ("--calibrate", arguments.calibrate, "--calibrate-tokens", arguments.tokens)
        np.save(folder / "valid.npy", windows(arguments.model, arguments.valid))
        self.compile("f32.qopt", "--weights", "f32", "--kv", "f32")
        reference = ("--tokens", folder / "valid.npy", "--save-logits", folder / "logits.npy")
        run(self.bin / "qopt-eval", folder / "f32.qopt", *reference)

    def compile(self, name, *options, model=None):
        start = time.monotonic()
        activations = ("--activations", "f32", "-o", self.folder / name)
        run(self.bin / "qopt-compile", model or self.model, *options, *activations)
        return time.monotonic() - start

    def weights(self, name):
        """Stored bits of the weights that are quantized, and the share of all elements that they are."""
        found = json.loads(run(self.bin / "qopt-inspect", self.folder / name, "--json"))["weights"]
        quantized = [entry for format, entry in found["formats"].items() if format not in ("f32", "f16", "bf16")]
        elements = sum(entry["parameters"] for entry in quantized)
        size = sum(entry["bytes"] for entry in quantized)
        return (8 * size / elements if elements else 16.0), elements / found["parameters"]

    def bits_of_all(self, bits):
        """The mean over all weights with which the linears have `bits`."""
        self.compile("share.qopt", "--weights", "int8", *self.kept())
        _, share = self.weights("share.qopt")
        return bits * share + 16 * (1 - share)

    def kept(self):
        return ("--lm-head", "f16", "--embedding", "f16")

    def measure(self, row):
        kind, _, value = row.partition("=")
        options, model = (), None
        if kind == "linear":
            options = ("--bits", f"{self.bits_of_all(float(value)):.4f}", *self.kept(), *self.calibrate)
        elif kind == "file":
            options = ("--bits", value, *self.calibrate)
        elif kind == "kv":
            options = ("--kv", value)
        elif kind == "ort":
            model = self.folder / f"ort{value}"
            quantize_by_onnxruntime(self.model, int(value), model)
        else:
            format, _, rounded = row.partition(":")
            options = ("--weights", format, *self.kept(), *(() if rounded else self.calibrate))
        seconds = self.compile("m.qopt", *options, model=model)
        against = ("--tokens", self.folder / "valid.npy", "--reference", self.folder / "logits.npy", "--json")
        kl = json.loads(run(self.bin / "qopt-eval", self.folder / "m.qopt", *against))["kl"]
        return self.weights("m.qopt")[0], kl, seconds


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("build", type=pathlib.Path)
    parser.add_argument("model", type=pathlib.Path, help="a folder with model.onnx in f16, and tokenizer.json")
    parser.add_argument("rows", nargs="*", metavar="ROW", default=ROWS)
    parser.add_argument("--calibrate", type=pathlib.Path, required=True)
    parser.add_argument("--valid", type=pathlib.Path, required=True)
    parser.add_argument("--tokens", type=int, default=65536, help="of the calibration text")
    arguments = parser.parse_args()
    print("| weights or cache | stored bits | KL (95 %) | seconds |\n|---|---|---|---|", flush=True)
    with tempfile.TemporaryDirectory() as name:
        harness = Harness(arguments, pathlib.Path(name))
        for row in arguments.rows:
            bits, kl, seconds = harness.measure(row)
            shown = f"{kl['mean']:.5f} ({kl['low']:.5f}–{kl['high']:.5f})"
            print(f"| {row} | {bits:.3f} | {shown} | {seconds:.0f} |", flush=True)


if __name__ == "__main__":
    main()
