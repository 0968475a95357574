"""A Llama of 8 billion parameters in PyTorch, the peer of a whole step: torch.compile, a CUDA graph, a static cache.

    python3 -m gpu.llama --batch 1 [--weights int4|bf16] [--head int8|bf16] [--steps N]

Linear layers are torch._weight_int4pack_mm with groups of 128 (or bf16); weights are random, tokens are fed back.
Prints one JSON object: tokens a second (the median of the repeats), and the seconds that compiling took.
"""

import argparse
import json
import statistics
import time
from dataclasses import dataclass

import torch
import torch.nn.functional as functional
from torch import nn

GROUP = 128


@dataclass
class Shape:
    layers: int = 32
    hidden: int = 4096
    heads: int = 32
    key_heads: int = 8
    head_size: int = 128
    inner: int = 14336
    vocabulary: int = 128256
    context: int = 512


class Bf16Linear(nn.Module):
    def __init__(self, rows, columns, device):
        super().__init__()
        weight = torch.randn(rows, columns, device=device, dtype=torch.bfloat16) * columns**-0.5
        self.register_buffer("weight", weight)

    def forward(self, x):
        return functional.linear(x, self.weight)


class Int8Linear(nn.Module):
    """int8 with a scale for each row, widened in the product."""

    def __init__(self, rows, columns, device):
        super().__init__()
        self.register_buffer("weight", torch.randint(-127, 128, (rows, columns), device=device, dtype=torch.int8))
        self.register_buffer("scale", torch.full((rows,), columns**-0.5 / 74, device=device, dtype=torch.bfloat16))

    def forward(self, x):
        return functional.linear(x, self.weight.to(x.dtype)) * self.scale


class Int4Linear(nn.Module):
    def __init__(self, rows, columns, device):
        super().__init__()
        codes = torch.randint(0, 256, (rows, columns // 2), device=device, dtype=torch.uint8)
        self.register_buffer("weight", torch._convert_weight_to_int4pack(codes, 8))
        scales = torch.zeros(columns // GROUP, rows, 2, device=device, dtype=torch.bfloat16)
        scales[..., 0] = columns**-0.5 / 4.6
        self.register_buffer("scales", scales)
        self.rows = rows

    def forward(self, x):
        product = torch.ops.aten._weight_int4pack_mm(x.reshape(-1, x.shape[-1]), self.weight, GROUP, self.scales)
        return product.view(*x.shape[:-1], self.rows)


LINEAR = {"bf16": Bf16Linear, "int8": Int8Linear, "int4": Int4Linear}


class Layer(nn.Module):
    def __init__(self, shape, batch, weights, device):
        super().__init__()
        self.shape, linear = shape, LINEAR[weights]
        queries, keys = shape.heads * shape.head_size, shape.key_heads * shape.head_size
        self.qkv = linear(queries + 2 * keys, shape.hidden, device)
        self.o = linear(shape.hidden, queries, device)
        self.gate_up = linear(2 * shape.inner, shape.hidden, device)
        self.down = linear(shape.hidden, shape.inner, device)
        ones = torch.ones(shape.hidden, device=device, dtype=torch.bfloat16)
        self.register_buffer("norm", ones)
        self.register_buffer("inner_norm", ones.clone())
        cache = torch.zeros(batch, shape.key_heads, shape.context, shape.head_size, device=device, dtype=torch.bfloat16)
        self.register_buffer("keys", cache)
        self.register_buffer("values", cache.clone())

    def forward(self, x, position, angles, mask):
        shape, batch = self.shape, x.shape[0]
        normed = functional.rms_norm(x, (shape.hidden,), self.norm)
        heads = self.qkv(normed).view(batch, 1, -1, shape.head_size).transpose(1, 2)
        query, key, value = heads.split([shape.heads, shape.key_heads, shape.key_heads], dim=1)
        query, key = rotate(query, angles), rotate(key, angles)
        self.keys.index_copy_(2, position, key)
        self.values.index_copy_(2, position, value)
        seen = functional.scaled_dot_product_attention(query, self.keys, self.values, attn_mask=mask, enable_gqa=True)
        x = x + self.o(seen.transpose(1, 2).reshape(batch, 1, -1))
        gate, up = self.gate_up(functional.rms_norm(x, (shape.hidden,), self.inner_norm)).chunk(2, -1)
        return x + self.down(functional.silu(gate) * up)


def rotate(x, angles):
    cos, sin = angles
    first, second = x.float().chunk(2, -1)
    return torch.cat((first * cos - second * sin, second * cos + first * sin), -1).to(x.dtype)


class Llama(nn.Module):
    """A step of decoding: the next token of each sequence, all of which are at the same position."""

    def __init__(self, shape, batch, weights, head, device):
        super().__init__()
        self.shape = shape
        embedding = torch.randn(shape.vocabulary, shape.hidden, device=device, dtype=torch.bfloat16)
        self.register_buffer("embedding", embedding)
        self.layers = nn.ModuleList(Layer(shape, batch, weights, device) for _ in range(shape.layers))
        self.register_buffer("norm", torch.ones(shape.hidden, device=device, dtype=torch.bfloat16))
        self.head = LINEAR[head](shape.vocabulary, shape.hidden, device)
        steps = torch.arange(0, shape.head_size, 2, device=device, dtype=torch.float32) / shape.head_size
        self.register_buffer("frequencies", 500000.0**-steps)
        self.register_buffer("positions", torch.arange(shape.context, device=device))

    def forward(self, tokens, position):
        angle = position.float() * self.frequencies
        angles = angle.cos(), angle.sin()
        mask = (self.positions <= position)[None, None, None]
        x = self.embedding[tokens]
        for layer in self.layers:
            x = layer(x, position, angles, mask)
        return self.head(functional.rms_norm(x, (self.shape.hidden,), self.norm)).argmax(-1)


def capture(step, tokens, position):
    """The step as a CUDA graph that feeds its tokens back and goes on by one position."""

    def once():
        tokens.copy_(step(tokens, position))
        position.add_(1)

    stream = torch.cuda.Stream()
    stream.wait_stream(torch.cuda.current_stream())
    with torch.cuda.stream(stream):
        for _ in range(3):
            once()
    torch.cuda.current_stream().wait_stream(stream)
    graph = torch.cuda.CUDAGraph()
    with torch.cuda.graph(graph, stream=stream):
        once()
    return graph


def measure(options):
    torch.manual_seed(0)
    device = "cuda"
    model = Llama(Shape(), options.batch, options.weights, options.head, device)
    tokens = torch.zeros(options.batch, 1, device=device, dtype=torch.long)
    position = torch.tensor([options.position], device=device)
    begin = time.perf_counter()
    with torch.no_grad():
        graph = capture(torch.compile(model, fullgraph=True, dynamic=False), tokens, position)
        compiled, speeds = time.perf_counter() - begin, []
        for _ in range(options.repeats):
            position.fill_(options.position)
            torch.cuda.synchronize()
            begin = time.perf_counter()
            for _ in range(options.steps):
                graph.replay()
            torch.cuda.synchronize()
            speeds.append(options.batch * options.steps / (time.perf_counter() - begin))
    result = {"tokens_per_second": statistics.median(speeds), "repeats": speeds, "compile_seconds": compiled}
    return {**result, "batch": options.batch, "weights": options.weights, "head": options.head}


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--batch", type=int, default=1)
    parser.add_argument("--weights", choices=["int4", "bf16"], default="int4")
    parser.add_argument("--head", choices=["int8", "bf16"], default="int8")
    parser.add_argument("--position", type=int, default=128, help="positions before the first step [128]")
    parser.add_argument("--steps", type=int, default=64, help="of a repeat [64]")
    parser.add_argument("--repeats", type=int, default=5)
    print(json.dumps(measure(parser.parse_args())))


if __name__ == "__main__":
    main()
