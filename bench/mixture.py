#!/usr/bin/env python3
"""What a layer of a mixture of experts takes on one thread, beside onnxruntime's.

    PYTHONPATH=build/python bench/mixture.py [--experts 8] [--taken 2] [--weights int8]

com.microsoft's MoE with SwiGLU, 1024 channels and 2816 inside an expert, random weights and scores. Printed are the
least of some runs in milliseconds: qopt with `--weights`, with f32, with `--weights` where a token takes all experts
(what a layer costs that computes what no token takes), and onnxruntime with f32.
"""

import argparse
import pathlib
import tempfile
import time

import numpy as np
import onnx
import onnxruntime
import qopt
from onnx import TensorProto, helper, numpy_helper

CHANNELS, INNER = 1024, 2816


def mixture(experts, taken):
    """The model of one layer: x [t, CHANNELS] and scores r [t, experts] to y."""
    numbers = np.random.default_rng(0)
    shapes = {
        "w1": (experts, 2 * INNER, CHANNELS),
        "b1": (experts, 2 * INNER),
        "w2": (experts, CHANNELS, INNER),
        "b2": (experts, CHANNELS),
    }
    weights = [
        numpy_helper.from_array((numbers.standard_normal(shape) / 32).astype(np.float32), name)
        for name, shape in shapes.items()
    ]
    how = {"k": taken, "activation_type": "swiglu", "swiglu_fusion": 1}
    node = helper.make_node("MoE", ["x", "r", *shapes], ["y"], domain="com.microsoft", **how)
    values = [
        helper.make_tensor_value_info(name, TensorProto.FLOAT, ["t", size])
        for name, size in (("x", CHANNELS), ("r", experts), ("y", CHANNELS))
    ]
    graph = helper.make_graph([node], "mixture", values[:2], values[2:], weights)
    opsets = [helper.make_opsetid("", 21), helper.make_opsetid("com.microsoft", 1)]
    return helper.make_model(graph, opset_imports=opsets, ir_version=10)


def milliseconds(run, feeds, repeats):
    best = float("inf")
    for _ in range(repeats):
        start = time.perf_counter()
        run(feeds)
        best = min(best, time.perf_counter() - start)
    return 1e3 * best


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--experts", type=int, default=8)
    parser.add_argument("--taken", type=int, default=2, help="experts of a token")
    parser.add_argument("--weights", default="int8")
    parser.add_argument("--tokens", type=int, nargs="*", default=[1, 16, 256])
    arguments = parser.parse_args()
    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads = 1
    with tempfile.TemporaryDirectory() as made:
        folder = pathlib.Path(made)

        def model(taken, weights):
            onnx.save(mixture(arguments.experts, taken), folder / "mixture.onnx")
            qopt.compile(folder / "mixture.onnx", folder / "mixture.qopt", weights=weights)
            return qopt.load(folder / "mixture.qopt", threads=1).run

        runs = {
            f"qopt {arguments.weights}": model(arguments.taken, arguments.weights),
            "qopt f32": model(arguments.taken, "f32"),
            f"qopt {arguments.weights}, all experts": model(arguments.experts, arguments.weights),
        }
        bytes_of = mixture(arguments.experts, arguments.taken).SerializeToString()
        session = onnxruntime.InferenceSession(bytes_of, options, providers=["CPUExecutionProvider"])
        runs["onnxruntime f32"] = lambda feeds: session.run(None, feeds)
        print("| tokens | " + " | ".join(runs) + " |\n" + "|---" * (len(runs) + 1) + "|")
        numbers = np.random.default_rng(1)
        for tokens in arguments.tokens:
            sizes = {"x": CHANNELS, "r": arguments.experts}
            feeds = {name: numbers.standard_normal((tokens, size)).astype(np.float32) for name, size in sizes.items()}
            times = [milliseconds(run, feeds, 30 if tokens < 64 else 8) for run in runs.values()]
            print(f"| {tokens} | " + " | ".join(f"{time:.3g}" for time in times) + " |", flush=True)


if __name__ == "__main__":
    main()
