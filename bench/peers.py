"""Measures one peer on one model in a process of its own and prints JSON: what `./x bench` compares qopt with.

`genai` runs a folder with genai_config.json through onnxruntime-genai, `onnxruntime` a model.onnx with past and present
tensors through onnxruntime, with its caches kept where the session left them. Both measure what qopt-bench does: tokens
per second of a prompt, and of greedy tokens after a context.
"""

import argparse
import json
import pathlib
import statistics
import time

import numpy as np


class Genai:
    """A folder of onnxruntime-genai's model builder."""

    def __init__(self, folder, threads):
        import onnxruntime_genai as genai

        self.genai = genai
        config = genai.Config(str(folder))
        options = {"intra_op_num_threads": threads, "inter_op_num_threads": 1}
        config.overlay(json.dumps({"model": {"decoder": {"session_options": options}}}))
        self.model = genai.Model(config)
        self.vocabulary = json.loads((folder / "genai_config.json").read_text())["model"]["vocab_size"]

    def start(self, prompt, more):
        """A state that has read the prompt and chosen a token."""
        parameters = self.genai.GeneratorParams(self.model)
        length = len(prompt) + more + 2
        parameters.set_search_options(max_length=length, min_length=length, do_sample=False)
        generator = self.genai.Generator(self.model, parameters)
        generator.append_tokens(np.array(prompt, np.int32))
        generator.generate_next_token()
        return generator

    def step(self, generator):
        generator.generate_next_token()
        return generator


class Onnxruntime:
    """A decoder with input_ids, attention_mask, perhaps position_ids, and a past and present tensor for each cache."""

    def __init__(self, path, threads):
        import onnxruntime

        self.ort = onnxruntime
        options = onnxruntime.SessionOptions()
        options.intra_op_num_threads, options.inter_op_num_threads = threads, 1
        self.session = onnxruntime.InferenceSession(str(path), options, providers=["CPUExecutionProvider"])
        inputs = {value.name: value for value in self.session.get_inputs()}
        self.past = [value for name, value in inputs.items() if name.startswith("past_key_values.")]
        self.positions = "position_ids" in inputs
        self.vocabulary = self.session.get_outputs()[0].shape[-1]

    def forward(self, ids, length, caches):
        """The next token and the caches after `ids`, which end at position `length`."""
        binding = self.session.io_binding()
        binding.bind_cpu_input("input_ids", np.array([ids], np.int64))
        binding.bind_cpu_input("attention_mask", np.ones((1, length), np.int64))
        if self.positions:
            binding.bind_cpu_input("position_ids", np.arange(length - len(ids), length, dtype=np.int64)[None])
        for value, cache in zip(self.past, caches, strict=True):
            binding.bind_ortvalue_input(value.name, cache)
        binding.bind_output("logits")
        for value in self.past:
            binding.bind_output(value.name.replace("past_key_values", "present"))
        self.session.run_with_iobinding(binding)
        logits, *caches = binding.get_outputs()
        return int(logits.numpy()[0, -1].argmax()), length, caches

    def start(self, prompt, more):
        caches = [
            self.ort.OrtValue.ortvalue_from_numpy(
                np.zeros((1, v.shape[1], 0, v.shape[3]), np.float16 if "16" in v.type else np.float32)
            )
            for v in self.past
        ]
        return self.forward(prompt, len(prompt), caches)

    def step(self, state):
        token, length, caches = state
        return self.forward([token], length + 1, caches)


def measure(peer, options):
    """Tokens per second of each repeat, after one that is not counted."""
    random = np.random.default_rng(options.seed)
    speeds = {"prefill": [], "decode": []}
    for _ in range(options.repeats + 1):
        if options.prompt:
            prompt = random.integers(0, peer.vocabulary, options.prompt).tolist()
            start = time.perf_counter()
            peer.start(prompt, 0)
            speeds["prefill"].append(options.prompt / (time.perf_counter() - start))
        if options.tokens:
            state = peer.start(random.integers(0, peer.vocabulary, options.context).tolist(), options.tokens)
            start = time.perf_counter()
            for _ in range(options.tokens):
                state = peer.step(state)
            speeds["decode"].append(options.tokens / (time.perf_counter() - start))
            del state
    return {
        what: {"tokens_per_second": statistics.median(values[1:]), "repeats": values[1:]}
        for what, values in speeds.items()
        if values
    }


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("peer", choices=["genai", "onnxruntime"])
    parser.add_argument("model", type=pathlib.Path, help="folder (genai) or .onnx file (onnxruntime)")
    for name, value in {"threads": 2, "prompt": 512, "context": 128, "tokens": 64, "repeats": 3, "seed": 0}.items():
        parser.add_argument(f"--{name}", type=int, default=value, help=f"default {value}")
    options = parser.parse_args()
    peer = (Genai if options.peer == "genai" else Onnxruntime)(options.model, options.threads)
    print(json.dumps(measure(peer, options)))


if __name__ == "__main__":
    main()
