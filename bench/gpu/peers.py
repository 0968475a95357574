"""What PyTorch runs for the same problem as a record: the peers of the benchmarks, on random data."""

import torch
import torch.nn.functional as functional

from . import timing
from .record import numbers_of


def _random(*shape):
    return torch.randn(*shape, device="cuda", dtype=torch.bfloat16)


def _shape(problem):
    """Rows of all segments, columns and tokens."""
    return sum(numbers_of(problem["rows"])), problem["columns"], problem["tokens"]


def cublas_bf16(problem, copies):
    """The product in bf16."""
    rows, columns, tokens = _shape(problem)
    x = _random(tokens, columns)
    weights = [_random(rows, columns) for _ in range(copies(rows * columns * 2))]
    return [lambda w=w: functional.linear(x, w) for w in weights]


def torch_int8(problem, copies):
    """The product of int8 and int8, in i32, without scales."""
    rows, columns, tokens = _shape(problem)
    x = torch.randint(-127, 128, (tokens, columns), device="cuda", dtype=torch.int8)
    count = copies(rows * columns)
    weights = [torch.randint(-127, 128, (rows, columns), device="cuda", dtype=torch.int8) for _ in range(count)]
    return [lambda w=w: torch._int_mm(x, w.t()) for w in weights]


def torch_int4(problem, copies):
    """PyTorch's product with int4 weights in groups of 128."""
    rows, columns, tokens = _shape(problem)
    x, group = _random(tokens, columns), 128
    codes = torch.randint(0, 256, (rows, columns // 2), device="cuda", dtype=torch.uint8)
    packed = torch._convert_weight_to_int4pack(codes, 8)
    scales = torch.rand(columns // group, rows, 2, device="cuda").mul(0.01).bfloat16()
    sets = [(packed.clone(), scales.clone()) for _ in range(copies(packed.nbytes))]
    return [lambda w=w, s=s: torch._weight_int4pack_mm(x, w, group, s) for w, s in sets]


def triton_int4(problem, copies):
    """A Triton kernel for int4 weights in groups of 128, with the zeros that its sums begin at."""
    from . import triton_int4

    rows, columns, tokens = _shape(problem)
    x, group = _random(tokens, columns), 128
    codes = torch.randint(-(1 << 31), 1 << 31, (columns // 8, rows), device="cuda", dtype=torch.int32)
    scales = torch.rand(columns // group, rows, device="cuda").mul(0.01).bfloat16()
    y = torch.zeros(tokens, rows, device="cuda")
    sets = [(codes.clone(), scales.clone()) for _ in range(copies(codes.nbytes))]

    def call(codes, scales):
        triton_int4.product(x, codes, scales, y.zero_(), group)

    return [lambda c=c, s=s: call(c, s) for c, s in sets]


def attention(problem, copies):
    """scaled_dot_product_attention in bf16 on caches without pages."""
    sequences, tokens, context = (problem[key] for key in ("sequences", "tokens", "context"))
    shape = sequences, problem["key_heads"], context, problem["head_size"]
    query = _random(sequences, problem["heads"], tokens, problem["head_size"])
    count = copies(2 * 2 * sequences * shape[1] * context * shape[3])
    caches = [(_random(*shape), _random(*shape)) for _ in range(count)]
    causal = tokens > 1

    def call(keys, values):
        return functional.scaled_dot_product_attention(query, keys, values, is_causal=causal, enable_gqa=True)

    return [lambda k=k, v=v: call(k, v) for k, v in caches]


#: What runs beside a family.
PEERS = {
    "skinny_linear": {"cublas_bf16": cublas_bf16, "torch_int4": torch_int4, "triton_int4": triton_int4},
    "gemm": {"cublas_bf16": cublas_bf16, "torch_int4": torch_int4, "torch_int8": torch_int8},
    "attention_decode": {"sdpa_bf16": attention},
    "attention_prefill": {"sdpa_bf16": attention},
}


def peers_of(record):
    """The peers that run the record's problem; products of integers only where ours has such, int4 for few tokens,
    Triton's kernel for no more than its tile has."""
    names = dict(PEERS.get(record.family, {}))
    weights = record.problem.get("weights", "")
    if not weights.startswith("int4") or ":" in weights or record.problem.get("tokens", 0) > 64:
        names.pop("torch_int4", None)
    if "torch_int4" not in names or record.problem.get("tokens", 0) > 16:
        names.pop("triton_int4", None)
    if not record.problem.get("int8"):
        names.pop("torch_int8", None)
    return names


def seconds_of(make, problem, flops, copies, replays):
    calls = make(problem, copies)
    seconds = timing.seconds_of(calls, replays, settle=timing.settle_seconds(flops))
    del calls
    torch.cuda.empty_cache()
    return seconds
