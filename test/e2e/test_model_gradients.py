"""Gradients of a whole language model's loss: embedding, all layers, the head, and cross entropy behind it.

The model is compiled as its graph, with past keys and values of length 0, and compared with a NumPy tape in f64.
"""

import json

import gradient_reference as tape
import numpy as np
import pytest

TOKENS = 40


class Llama:
    """Forward in f64 on a tape; `noted` has what each linear reads and gives, by the names of the results."""

    def __init__(self, folder):
        load_file = pytest.importorskip("safetensors.numpy").load_file
        self.config = json.loads((folder / "config.json").read_text())
        self.weights = {name: t.astype(np.float64) for name, t in load_file(folder / "model.safetensors").items()}
        self.noted = {}

    def linear(self, x, name):
        y = tape.linear(x, self.weights[name])
        self.noted[f"{name}.output_gradient"] = y
        self.noted.setdefault(f"{name}.input", x)
        return y

    def norm(self, x, name):
        return tape.rms_norm(x, self.weights[name], self.config["rms_norm_eps"])

    def layer(self, x, prefix, number, table):
        heads, kv = self.config["num_attention_heads"], self.config["num_key_value_heads"]
        size = self.config["head_dim"]
        n = self.norm(x, f"{prefix}.input_layernorm.weight")
        q, k, v = (self.linear(n, f"{prefix}.self_attn.{name}_proj.weight") for name in "qkv")
        q = tape.rotary(q.reshape(-1, heads, size), *table)
        k = tape.rotary(k.reshape(-1, kv, size), *table).transpose(1, 0, 2)
        v = v.reshape(-1, kv, size).transpose(1, 0, 2)
        for kind, values in ("key", k), ("value", v):
            self.noted[f"attention{number}.{kind}"] = self.noted[f"attention{number}.{kind}_gradient"] = values
        mixed = tape.attention(q, k, v, size**-0.5).reshape(-1, heads * size)
        x = x + self.linear(mixed, f"{prefix}.self_attn.o_proj.weight")
        n = self.norm(x, f"{prefix}.post_attention_layernorm.weight")
        gate, up = (self.linear(n, f"{prefix}.mlp.{name}_proj.weight") for name in ("gate", "up"))
        return x + self.linear(tape.ACTIVATIONS["silu"](gate) * up, f"{prefix}.mlp.down_proj.weight")

    def logits(self, tokens):
        half = self.config["head_dim"] // 2
        frequencies = self.config["rope_parameters"]["rope_theta"] ** (-np.arange(half) / half)
        angles = np.outer(np.arange(len(tokens)), frequencies)
        x = tape.Value(self.weights["model.embed_tokens.weight"][tokens])
        for number in range(self.config["num_hidden_layers"]):
            x = self.layer(x, f"model.layers.{number}", number, (np.cos(angles), np.sin(angles)))
        return self.linear(self.norm(x, "model.norm.weight"), "model.embed_tokens.weight")


def test_gradients_of_a_language_model(tool, shared, tmp_path):
    folder = shared / "models/books-llama-28m"
    model = Llama(folder)
    tokens = np.random.default_rng(5).integers(3, model.config["vocab_size"], TOKENS + 1)
    tokens[0] = model.config["bos_token_id"]
    logits = model.logits(tokens[:-1])
    # The model's logits are f16, and so is their gradient: what is given is exactly what the tape gets.
    given = (tape.cross_entropy_gradient(logits.array, tokens[1:]) * 1024).astype(np.float16)
    logits.backward(given.astype(np.float64))

    tool("write-gradients", folder / "model.onnx", tmp_path / "model.qopt", timeout=1200)
    kv, size = model.config["num_key_value_heads"], model.config["head_dim"]
    inputs = {
        "input_ids": tokens[None, :-1].astype(np.int64),
        "attention_mask": np.ones((1, TOKENS), np.int64),
        "position_ids": np.arange(TOKENS)[None],
        "logits.gradient": given[None],
    }
    for number in range(model.config["num_hidden_layers"]):
        for kind in "key", "value":
            inputs[f"past_key_values.{number}.{kind}"] = np.zeros((1, kv, 0, size), np.float16)
            inputs[f"present.{number}.{kind}.gradient"] = np.zeros((1, kv, TOKENS, size), np.float16)
    np.savez(tmp_path / "in.npz", **inputs)
    tool("qopt-run", tmp_path / "model.qopt", "--inputs", tmp_path / "in.npz", "--outputs", tmp_path / "out.npz")
    found = np.load(tmp_path / "out.npz")

    compared = 0
    for name in found.files:
        # One weight is embedding and head; the tape notes what linears and attention read.
        name, array = name.removesuffix("#1"), found[name]
        value = model.noted.get(name)
        if name.startswith("model.embed_tokens.weight.") and (
            value is None or array.shape[-1] != value.array.shape[-1]
        ):
            continue
        if value is None:
            assert name.startswith("past_key_values") and array.size == 0
            continue
        expected = value.gradient if name.endswith("gradient") else value.array
        error = np.linalg.norm(array.reshape(expected.shape) - expected) / np.linalg.norm(expected)
        assert error < 2e-5, f"{name}: {error}"
        compared += 1
    # Each layer: four inputs, seven linears, keys and values and their gradients; and the head's two.
    assert compared == model.config["num_hidden_layers"] * 15 + 2
