"""A Llama in NumPy, f32, one window at a time: the oracle for quantized weights, with no code of qopt's in it."""

import json

import numpy as np
from safetensors.numpy import load_file


class Llama:
    def __init__(self, folder, quantize=lambda weight: weight):
        self.config = json.loads((folder / "config.json").read_text())
        tensors = load_file(folder / "model.safetensors")
        self.weights = {
            name: quantize(t.astype(np.float32)) if t.ndim == 2 else t.astype(np.float32) for name, t in tensors.items()
        }
        self.heads = self.config["num_attention_heads"]
        self.kv_heads = self.config["num_key_value_heads"]
        self.size = self.config["head_dim"]

    def norm(self, x, name):
        scale = 1 / np.sqrt((x * x).mean(-1, keepdims=True) + self.config["rms_norm_eps"])
        return x * scale * self.weights[name]

    def rotate(self, x):
        """x [heads, tokens, size], positions 0, 1, …"""
        half = self.size // 2
        theta = self.config["rope_parameters"]["rope_theta"]
        angles = np.outer(np.arange(x.shape[1]), theta ** (-np.arange(half) / half))
        cos, sin = np.cos(angles).astype(np.float32), np.sin(angles).astype(np.float32)
        a, b = x[..., :half], x[..., half:]
        return np.concatenate([a * cos - b * sin, b * cos + a * sin], -1)

    def attention(self, x, prefix):
        def project(name, heads):
            return (x @ self.weights[f"{prefix}.{name}_proj.weight"].T).reshape(len(x), heads, -1).transpose(1, 0, 2)

        q, k = self.rotate(project("q", self.heads)), self.rotate(project("k", self.kv_heads))
        v = project("v", self.kv_heads)
        k, v = (np.repeat(t, self.heads // self.kv_heads, 0) for t in (k, v))
        scores = q @ k.transpose(0, 2, 1) * self.size**-0.5
        scores += np.triu(np.full((len(x), len(x)), -np.inf, np.float32), 1)
        p = np.exp(scores - scores.max(-1, keepdims=True))
        y = (p / p.sum(-1, keepdims=True)) @ v
        return y.transpose(1, 0, 2).reshape(len(x), -1) @ self.weights[f"{prefix}.o_proj.weight"].T

    def logits(self, tokens):
        x = self.weights["model.embed_tokens.weight"][tokens]
        for i in range(self.config["num_hidden_layers"]):
            prefix = f"model.layers.{i}"
            x = x + self.attention(self.norm(x, f"{prefix}.input_layernorm.weight"), f"{prefix}.self_attn")
            h = self.norm(x, f"{prefix}.post_attention_layernorm.weight")
            gate = h @ self.weights[f"{prefix}.mlp.gate_proj.weight"].T
            up = h @ self.weights[f"{prefix}.mlp.up_proj.weight"].T
            x = x + (gate / (1 + np.exp(-gate)) * up) @ self.weights[f"{prefix}.mlp.down_proj.weight"].T
        return self.norm(x, "model.norm.weight") @ self.weights["model.embed_tokens.weight"].T
