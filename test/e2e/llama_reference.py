"""A Llama in NumPy, f32, one window at a time, with no code of qopt's: the oracle for quantized weights and keys."""

import json

import numpy as np
import onnx
from safetensors.numpy import load_file


def exported_tensors(path):
    """The weights of an export of transformers, whose products are in the order of the model."""
    arrays = {tensor.name: onnx.numpy_helper.to_array(tensor) for tensor in onnx.load(path).graph.initializer}
    tensors = {name[2:]: array for name, array in arrays.items() if name.startswith("m.model.")}
    tensors["model.embed_tokens.weight"] = arrays["m.lm_head.weight"]
    products = [a for name, a in sorted(arrays.items(), key=lambda pair: (len(pair[0]), pair[0])) if a.ndim == 2]
    products = iter([a for a in products if a is not arrays["m.lm_head.weight"]])
    for layer in range(sum(name.endswith("input_layernorm.weight") for name in tensors)):
        for name in ("self_attn.q", "self_attn.k", "self_attn.v", "self_attn.o", "mlp.gate", "mlp.up", "mlp.down"):
            tensors[f"model.layers.{layer}.{name}_proj.weight"] = next(products).T
    return tensors


class Llama:
    def __init__(
        self, folder, quantize=lambda weight: weight, stored=lambda keys: keys, read=lambda x: x, ahead=(), kept=None
    ):
        """`stored`: what a cache makes of the keys [heads, tokens, size] of the tokens so far, by layer where it is a
        dictionary; `ahead`: layers that have them ahead of their rotation; `kept`: by layer the numbers of latest and
        of first positions of which each query reads keys and values in f16; `read`: what the linears of the blocks make
        of their inputs [tokens, columns]."""
        self.stored = stored
        self.read = read
        self.ahead = ahead
        self.kept = kept or {}
        self.config = json.loads((folder / "config.json").read_text())
        file = folder / "model.safetensors"
        tensors = load_file(file) if file.exists() else exported_tensors(folder / "model.onnx")
        self.weights = {
            name: quantize(t.astype(np.float32)) if t.ndim == 2 else t.astype(np.float32) for name, t in tensors.items()
        }
        self.heads = self.config["num_attention_heads"]
        self.kv_heads = self.config["num_key_value_heads"]
        self.size = self.config["head_dim"]

    def norm(self, x, name):
        scale = 1 / np.sqrt((x * x).mean(-1, keepdims=True) + self.config["rms_norm_eps"])
        return x * scale * self.weights[name]

    def rotate(self, x, start):
        """x [heads, tokens, size], positions start, start + 1, …"""
        half = self.size // 2
        theta = self.config.get("rope_parameters", self.config)["rope_theta"]
        angles = np.outer(start + np.arange(x.shape[1]), theta ** (-np.arange(half) / half))
        cos, sin = np.cos(angles).astype(np.float32), np.sin(angles).astype(np.float32)
        a, b = x[..., :half], x[..., half:]
        return np.concatenate([a * cos - b * sin, b * cos + a * sin], -1)

    def attention(self, x, prefix, past):
        x = self.read(x)

        def project(name, heads):
            return (x @ self.weights[f"{prefix}.{name}_proj.weight"].T).reshape(len(x), heads, -1).transpose(1, 0, 2)

        start = past[prefix][0].shape[1] if prefix in past else 0
        q, k, v = project("q", self.heads), project("k", self.kv_heads), project("v", self.kv_heads)
        layer = int(prefix.split(".")[2])
        ahead = layer in self.ahead
        q, k = self.rotate(q, start), k if ahead else self.rotate(k, start)
        if start:
            k, v = (np.concatenate(pair, 1) for pair in zip(past[prefix], (k, v), strict=True))
        past[prefix] = k, v
        codes = self.stored.get(layer, lambda keys: keys)(k) if isinstance(self.stored, dict) else self.stored(k)
        half = k.astype(np.float16).astype(np.float32), v.astype(np.float16).astype(np.float32)

        def read_so(k, v):
            k = self.rotate(k, 0) if ahead else k
            k, v = (np.repeat(t, self.heads // self.kv_heads, 0) for t in (k, v))
            return q @ k.transpose(0, 2, 1) * self.size**-0.5, v

        (scores, values), (near, near_values) = read_so(codes, v), read_so(*half)
        recent, first = self.kept.get(layer, (0, 0))
        key, query = np.arange(k.shape[1]), start + np.arange(len(x))[:, None]
        is_near = (recent > 0) & ((key > query - recent) | (key < first))
        scores = np.where(is_near, near, scores)
        scores += np.triu(np.full(scores.shape[1:], -np.inf, np.float32), 1 + start)
        p = np.exp(scores - scores.max(-1, keepdims=True))
        p /= p.sum(-1, keepdims=True)
        y = np.where(is_near, 0, p) @ values + np.where(is_near, p, 0) @ near_values
        return self.read(y.transpose(1, 0, 2).reshape(len(x), -1)) @ self.weights[f"{prefix}.o_proj.weight"].T

    def logits(self, tokens, step=None):
        """[tokens, vocabulary]; the cache grows by `step` tokens at a time, or by all at once."""
        past = {}
        parts = [tokens[i : i + (step or len(tokens))] for i in range(0, len(tokens), step or len(tokens))]
        return np.concatenate([self.step(part, past) for part in parts])

    def step(self, tokens, past):
        x = self.weights["model.embed_tokens.weight"][tokens]
        for i in range(self.config["num_hidden_layers"]):
            prefix = f"model.layers.{i}"
            x = x + self.attention(self.norm(x, f"{prefix}.input_layernorm.weight"), f"{prefix}.self_attn", past)
            h = self.read(self.norm(x, f"{prefix}.post_attention_layernorm.weight"))
            gate = h @ self.weights[f"{prefix}.mlp.gate_proj.weight"].T
            up = h @ self.weights[f"{prefix}.mlp.up_proj.weight"].T
            x = x + self.read(gate / (1 + np.exp(-gate)) * up) @ self.weights[f"{prefix}.mlp.down_proj.weight"].T
        return self.norm(x, "model.norm.weight") @ self.weights["model.embed_tokens.weight"].T
