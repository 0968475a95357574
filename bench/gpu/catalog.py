"""The kernels that are measured on a GPU: names, and the words that qopt-kernel makes each from.

The order is that of measuring: what matters most comes first, for the time may end before the list does.
"""

from dataclasses import dataclass

#: Rows and columns of the linear layers of a Llama of 8 billion parameters.
SHAPES = {
    "qkv": (6144, 4096),
    "o": (4096, 4096),
    "gate_up": (28672, 4096),
    "down": (4096, 14336),
    "head": (128256, 4096),
}
#: Layers whose ranges of rows have formats of their own, as projections of unequal precision are merged.
MIXED = {
    "qkv": ("5120:1024", "int4_g128:int8", 4096),  # values in more bits
    "gate_up": ("14336:14336", "int8:int4_g128", 4096),
}
CACHES = {"bf16": "bf16", "fp8": "fp8_e4m3", "int8": "int8", "int4": "int4"}
HEADS = "heads=32 key_heads=8 head_size=128 page=64"


@dataclass
class Entry:
    name: str
    family: str
    words: str
    quick: bool = False  #: part of a quick look


def words_of(weights):
    return "weights=int8 int8=1" if weights == "w8a8" else f"weights={weights}"


def linear(tokens, weights="int4_g128", shapes=SHAPES):
    for shape in shapes:
        rows, columns = SHAPES[shape]
        words = f"tokens={tokens} rows={rows} columns={columns} {words_of(weights)}"
        if weights == "bf16":
            words += " activation=bf16 output=bf16"
        quick = tokens in (1, 16) and weights == "int4_g128"
        family = "gemm" if tokens >= 32 else "skinny_linear"  # as the compiler chooses at these shapes
        yield Entry(f"{shape}-{weights}-m{tokens}", family, words, quick)


def mixed(tokens, shape):
    rows, weights, columns = MIXED[shape]
    words = f"tokens={tokens} rows={rows} columns={columns} weights={weights}"
    return Entry(f"{shape}-mixed-m{tokens}", "gemm" if tokens >= 32 else "skinny_linear", words)


def decode(sequences, context, cache):
    words = f"{HEADS} sequences={sequences} context={context * 1024} activation=bf16"
    words += f" key={CACHES[cache]} value={CACHES[cache]}"
    quick = context == 4 and cache in ("bf16", "int4")
    return Entry(f"decode-b{sequences}-c{context}k-{cache}", "attention_decode", words, quick)


def prefill(context, cache="bf16"):
    words = f"{HEADS} sequences=1 tokens={context * 1024} context={context * 1024} activation=bf16"
    words += f" key={CACHES[cache]} value={CACHES[cache]}"
    return Entry(f"prefill-c{context}k-{cache}", "attention_prefill", words, context == 4)


def product(tokens, weights, shapes=SHAPES):
    for shape in shapes:
        rows, columns = SHAPES[shape]
        words = f"tokens={tokens} rows={rows} columns={columns} {words_of(weights)}"
        yield Entry(f"gemm-{shape}-{weights}-m{tokens}", "gemm", words, tokens == 4096 and shape == "gate_up")


def entries():
    """All of them."""
    layers = ("qkv", "o", "gate_up", "down")
    listed = [*linear(1), *linear(16)]
    listed += [decode(sequences, 4, cache) for sequences in (32, 1) for cache in CACHES]
    listed += [*linear(8), *linear(64), prefill(4)]
    for tokens in (4096, 2048, 256):
        listed += [*product(tokens, "f16", layers), *product(tokens, "int4_g128", layers)]
        listed += product(tokens, "w8a8", layers)
    listed += [decode(sequences, 32, cache) for sequences in (1, 32) for cache in CACHES]
    listed += [*linear(2), *linear(4), *linear(32), prefill(16)]
    listed += [mixed(tokens, shape) for tokens in (1, 16, 64) for shape in MIXED]
    for weights in ("int8", "w8a8"):
        listed += [*linear(1, weights), *linear(16, weights)]
    listed += [*linear(1, "fp8_e4m3"), *linear(1, "f16", layers)]
    return listed


#: Small launches of every family, which are compared and run under sanitizers.
CHECKS = """
skinny_linear rows=256 columns=512
skinny_linear rows=100 columns=300 tokens=3 weights=int4_g32
skinny_linear rows=4096 columns=256 tokens=8 weights=int8
skinny_linear rows=96 columns=512 tokens=1 weights=fp8_e4m3
skinny_linear rows=40 columns=300 tokens=5 weights=fp8_e4m3_g32 activation=bf16
skinny_linear rows=64 columns=512 tokens=16 weights=int4_g256 activation=bf16 output=f32
skinny_linear rows=64 columns=512 tokens=64 weights=bf16 activation=bf16
skinny_linear rows=64 columns=2048 tokens=8 --schedule slices=4,grid=8,column_warps=1,row_warps=8,units_per_stage=2
skinny_linear rows=96:50 columns=512 weights=int4_g128:int8
skinny_linear rows=48:32:100 columns=300 tokens=5 weights=int8:f16:int4_g32
skinny_linear rows=96:48 columns=512 tokens=64 weights=fp8_e4m3:int4_g64 bias=1 residual=1
skinny_linear rows=96:64 columns=256 tokens=6 weights=int8:int4_g128 gate=silu norm=1
skinny_linear rows=64:64 columns=2048 tokens=8 weights=int4_g128:int8 --schedule slices=4,grid=8,column_warps=1,row_warps=8,units_per_stage=2:2
gemm rows=100 columns=320 tokens=70 weights=int4_g64
gemm rows=100 columns=320 tokens=70 weights=int5_g32
gemm rows=100 columns=320 tokens=70 weights=int4_asym_g32_zf_sf32
gemm rows=100 columns=320 tokens=70 weights=int6_asym_g32_s6
gemm rows=96:70 columns=320 tokens=70 weights=lut4_g32_s6:lut3_g128
skinny_linear rows=100 columns=640 tokens=1 weights=int4_g16
skinny_linear rows=100 columns=640 tokens=8 weights=int4_asym_g16 activation=bf16 output=bf16
skinny_linear rows=64:48 columns=520 tokens=16 weights=int8_g16:int4_g64
skinny_linear rows=100 columns=640 tokens=5 weights=mxfp4
skinny_linear rows=96:64 columns=512 tokens=1 weights=nf4_g64:fp8_e5m2 activation=bf16 output=bf16
skinny_linear rows=128:64 columns=512 tokens=9 weights=fp8_e4m3_b128:mxfp4
skinny_linear rows=100 columns=640 tokens=5 weights=nvfp4
gemm rows=96:70 columns=320 tokens=70 weights=nf4_g64:int4_g16
gemm rows=100 columns=320 tokens=70 weights=nvfp4
gemm rows=128:70 columns=384 tokens=70 weights=fp8_e4m3_b128:fp8_e5m2
gemm rows=128:70 columns=320 tokens=70 weights=int4_g64:int8
gemm rows=64 columns=512 tokens=130 weights=f16 --schedule slices=4
gemm rows=64 columns=256 tokens=66 weights=int8 int8=1 output=f32
attention_decode heads=8 key_heads=2 head_size=64 context=300
attention_decode heads=8 key_heads=2 head_size=64 context=300 sequences=3 key=int8 value=int4
attention_decode heads=8 key_heads=2 head_size=64 context=100 key=fp8_e4m3 value=fp8_e4m3 activation=bf16
attention_decode heads=8 key_heads=2 head_size=128 context=70 key=int4 value=int8 window=50 activation=bf16
attention_decode heads=8 key_heads=2 head_size=64 context=300 --schedule splits=2
skinny_linear rows=100 columns=320 tokens=1 weights=int8 int8=1 output=f32
skinny_linear rows=64 columns=515 tokens=13 weights=int8 int8=1 output=f32
skinny_linear rows=64 columns=512 tokens=3 norm=1 bias=1 residual=1
skinny_linear rows=100 columns=384 tokens=1 norm=1 weights=int4_g64 activation=bf16 output=bf16 residual=1
skinny_linear rows=100 columns=640 tokens=1 weights=int4_asym_g32
skinny_linear rows=96 columns=640 tokens=5 weights=int4_asym_g32 activation=bf16 output=bf16
skinny_linear rows=64 columns=512 tokens=8 weights=int4_g32
skinny_linear rows=100 columns=300 tokens=5 weights=int3_asym_g32
skinny_linear rows=64 columns=512 tokens=1 weights=int6_g64
skinny_linear rows=100 columns=300 tokens=1 weights=int4_asym
skinny_linear rows=64:48 columns=512 tokens=9 weights=int8_asym_zf:int4_g64 activation=bf16 output=bf16
skinny_linear rows=64 columns=300 tokens=5 weights=int3_asym_tensor
gemm rows=96:70 columns=320 tokens=70 weights=int5_asym:int2_asym_zf
skinny_linear rows=100 columns=640 tokens=5 weights=int4_g32_sf32
skinny_linear rows=64:48 columns=512 tokens=1 weights=int4_asym_g32_sf32:int8
skinny_linear rows=100 columns=640 tokens=5 weights=int4_asym_g32_s6
skinny_linear rows=64 columns=300 tokens=1 weights=int2_g64_s8 activation=bf16 output=bf16
skinny_linear rows=100 columns=640 tokens=1 weights=lut4
skinny_linear rows=64:48:32 columns=512 tokens=9 weights=lut3_g64_s6:lut4_g32_sf32:int5_asym_g128_zf
skinny_linear rows=64:64 columns=512 tokens=1 weights=lut4_g128:int3_g32_s6 gate=silu
skinny_linear rows=96 columns=512 tokens=1 sum=1 norm=1 weights=int4_g64
skinny_linear rows=96 columns=768 tokens=1 sum=1 activation=bf16 output=bf16
skinny_linear rows=96 columns=512 tokens=1 weights=int8 int8=1 makes_codes=1 sum=1 norm=1
skinny_linear rows=96 columns=512 tokens=1 weights=int8 int8=1 makes_codes=1 norm=1
skinny_linear rows=96 columns=255 tokens=1 norm=1 norm_kind=layer norm_bias=1 weights=int4_g64
skinny_linear rows=96 columns=510 tokens=5 norm=1 norm_kind=layer activation=bf16 output=bf16
skinny_linear rows=96 columns=768 tokens=1 sum=1 sum_kind=layer sum_bias=1 norm=1 norm_kind=layer norm_bias=1
skinny_linear rows=100 columns=256 tokens=1 weights=int8 int8=1 makes_codes=1 activation=bf16
skinny_linear rows=72 columns=512 tokens=6 weights=int8 gate=silu norm=1
skinny_linear rows=64 columns=256 tokens=16 gate=gelu_tanh weights=bf16 activation=bf16 output=bf16
skinny_linear_append heads=4 key_heads=2 head_size=64 columns=256 context=100 key=int8 value=int4 norm=1
skinny_linear_append heads=2 key_heads=2 head_size=64 columns=256 context=40 weights=int4_g64:int8:int8 norm=1
skinny_linear_append heads=2 key_heads=1 head_size=128 columns=512 tokens=3 sequences=2 context=70 weights=f16
skinny_linear_append heads=2 key_heads=1 head_size=64 columns=256 context=64 page=64 key=int4_g32 angles=computed
skinny_linear_append heads=2 key_heads=1 head_size=64 columns=256 context=64 page=64 key=int2_asym_g32_zf value=int3_asym_g32_zf
skinny_linear_append heads=4 key_heads=2 head_size=64 columns=256 context=70 head_norm=rms key=int8 norm=1
skinny_linear_append heads=4 key_heads=2 head_size=64 columns=256 tokens=3 context=70 head_norm=layer head_norm_scale=f32 head_norm_per_head=1
gemm_append heads=4 key_heads=2 head_size=64 columns=256 tokens=70 context=100 key=int8 value=int4
gemm_append heads=4 key_heads=2 head_size=64 columns=256 tokens=70 context=100 key=int8 value=int2_asym_g32_zf
gemm_append heads=2 key_heads=2 head_size=128 columns=256 tokens=66 sequences=2 context=80 head_norm=rms weights=int4_g64:int8:int8 activation=bf16
gemm rows=96 columns=320 tokens=70 weights=f16 bias=1 residual=1
gemm rows=96 columns=256 tokens=40 weights=int4_g64 gate=silu
attention_prefill heads=8 key_heads=2 head_size=64 tokens=70 context=100 sequences=2 key=int8
attention_prefill heads=4 key_heads=2 head_size=64 tokens=70 context=150 key=int4_g32 value=int8
attention_prefill heads=4 key_heads=2 head_size=64 tokens=20 context=150 softcap=20 sinks=1 causal=0
attention_decode heads=8 key_heads=2 head_size=64 context=300 sequences=2 key=int8_g32
attention_decode heads=8 key_heads=2 head_size=64 context=301 key=int4_g64 value=int4 activation=bf16
attention_decode heads=8 key_heads=2 head_size=128 context=96 key=int4_asym_g32_zf value=int8
attention_decode heads=8 key_heads=2 head_size=64 context=300 key=int4_asym_g32_zf value=int4_asym_g32_zf
attention_decode heads=8 key_heads=2 head_size=128 context=200 key=int3_asym_g32_zf value=int3_asym_g32_zf activation=bf16
attention_decode heads=8 key_heads=2 head_size=64 context=300 sequences=2 key=int2_asym_g32_zf value=int2_asym_g32_zf
attention_decode heads=4 key_heads=2 head_size=96 context=70 key=int8 value=int4_g48 window=50
attention_prefill heads=4 key_heads=2 head_size=64 tokens=70 context=150 key=int2_asym_g32_zf value=int2_asym_g32_zf
attention_prefill heads=4 key_heads=2 head_size=64 tokens=70 context=150 key=int3_g32 value=int3_g16 activation=bf16
attention_decode heads=8 key_heads=2 head_size=64 context=200 key=int8_asym_g32_zf value=bf16 activation=bf16 slopes=1
norm rows=5 columns=512
norm rows=3 columns=4104 residual=1 activation=bf16 scale=f32
norm rows=6 columns=100 kind=layer bias=1 residual=1
norm rows=4 columns=255 added=1
norm rows=3 columns=768 added=1 activation=bf16
norm rows=4 columns=768 result=int8 residual=1
norm rows=3 columns=264 kind=layer result=int8 activation=bf16 scale=bf16
norm rows=12 columns=64 heads=4 stride=400
quantize rows=5 columns=512
quantize rows=3 columns=4104 activation=bf16
gated_activation rows=4 columns=688
gated_activation rows=3 columns=260 form=two function=gelu_erf activation=bf16
gated_activation rows=5 columns=72 form=alone function=gelu_quick result=int8
gated_activation rows=2 columns=2064 function=gelu_tanh result=int8 activation=bf16
rotary_table tokens=7 count=64
rotary_table tokens=3 count=20 angle_scale=1.25
rotary_append heads=4 key_heads=2 head_size=64 tokens=3 sequences=2 context=70
rotary_append heads=4 key_heads=2 head_size=128 context=70 key=bf16 value=fp8_e4m3 activation=bf16 queries=elsewhere
rotary_append heads=2 key_heads=1 head_size=64 tokens=5 context=100 key=int8 value=int4 pairs=interleaved
rotary_append heads=4 key_heads=2 head_size=64 tokens=3 context=70 head_norm=layer head_norm_per_head=1 key=int4
rotary_append heads=2 key_heads=1 head_size=96 tokens=2 context=40 head_norm=rms head_norm_scale=f32 activation=bf16 pairs=interleaved
rotary_append heads=2 key_heads=2 head_size=80 tokens=2 context=30 key=fp8_e4m3 value=int8 rotated=40 angles=computed
rotary_append heads=2 key_heads=1 head_size=64 tokens=2 context=40 key=int4 rotated=0 queries=elsewhere
rotary_append heads=2 key_heads=2 head_size=64 tokens=70 sequences=2 context=100 key=int8_g32 value=int8
rotary_append heads=2 key_heads=1 head_size=64 tokens=1 context=64 key=int4_g32 activation=bf16
rotary_append heads=2 key_heads=1 head_size=64 tokens=40 context=75 key=int4_asym_g32_zf value=int4
rotary_append heads=2 key_heads=1 head_size=64 tokens=40 context=75 key=int3_asym_g32_zf value=int3_asym_g32_zf
rotary_append heads=2 key_heads=2 head_size=128 tokens=5 context=64 key=int2_g32 value=int2_asym_g64_zf activation=bf16
rotary_append heads=2 key_heads=1 head_size=96 tokens=3 sequences=2 context=40 key=int8 value=int4_asym_g48_zf
gather_rows ids=6 rows=50 columns=512
gather_rows ids=5 rows=40 columns=130 format=int8 output=bf16
gather_rows ids=5 rows=40 columns=256 format=int4_g32
gather_rows ids=5 rows=40 columns=256 format=int4_asym_g64 output=f32
gather_rows ids=5 rows=40 columns=96 format=int8_asym_g32_zf
gather_rows ids=5 rows=40 columns=64 format=fp8_e4m3_tensor
gather_rows ids=5 rows=40 columns=130 format=int8_asym
gather_rows ids=5 rows=40 columns=101 format=int6 output=f32
gather_rows ids=5 rows=40 columns=96 format=int5_asym_zf_sbf16
gather_rows ids=5 rows=40 columns=96 format=lut3
gather_rows ids=5 rows=40 columns=300 format=int4_g32_s6
gather_rows ids=5 rows=40 columns=96 format=int3_asym_g32_s8 output=f32
gather_rows ids=5 rows=40 columns=96 format=mxfp4
gather_rows ids=5 rows=40 columns=96 format=nvfp4 output=f32
gather_rows ids=5 rows=40 columns=96 format=fp8_e5m2 output=f32
gather_rows ids=4 rows=9 columns=264 table=tensor format=bf16 output=bf16
check_indices count=1000 outside=3
check_indices count=300 integer=i64 interval=from_either_end limits=3 limit=20
check_indices count=70 outside=0
argmax rows=3 columns=5000
argmax rows=2 columns=50001
sampling rows=12 columns=2000
""".strip().splitlines()


def checks():
    """The launches of CHECKS, by number."""
    for index, line in enumerate(CHECKS):
        family, words = line.split(" ", 1)
        yield Entry(f"check-{index:02}-{family}", family, words)
