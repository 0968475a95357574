#!/usr/bin/env python3
"""Writes a decoder of given shapes with seeded random weights as ONNX, in the form of onnxruntime-genai's builder.

The weights are the same for every precision: `f16` and `f32` store them as MatMuls (what a user would hand to
qopt-compile), `int4` as MatMulNBits of 32-element blocks (what onnxruntime-genai runs), so that they can be measured
side by side. A matrix takes its numbers from one pool of random numbers, from a random place on, so that the time is
that of writing the file; the pools of small models are small. With --sparse the data are a hole of the right size but
for a few numbers of each tensor, so that no two are equal; that is enough to compile and to look at kernels. With
--repeat-rows N the rows of all matrices are the same N, again and again, but for a few numbers: as large and as random
to a machine, and small when equal blocks are stored once (bench/gpu/folding.py). Nothing is downloaded.
"""

import argparse
import json
import pathlib
import shutil
import sys

try:
    import numpy as np
    import onnx
    from onnx import TensorProto, helper
except ImportError as missing:
    PYTHON = pathlib.Path(__file__).resolve().parents[1] / "build/venv/bin/python"
    sys.exit(
        f"error: {sys.executable} has no module {missing.name}; run synthetic.py by {PYTHON} (./x setup makes it), or "
        f"install numpy and onnx: {sys.executable} -m pip install numpy onnx"
    )

DATA = "model.onnx.data"
BLOCK = 32
POOL = (1 << 20, 1 << 24)  # least and most numbers; powers of two that BLOCK divides

# Published shapes; "context" is the longest sequence that the rotary tables have rows for.
LLAMA = {"epsilon": 1e-5, "theta": 10000.0, "tied": False, "qk_norm": False, "experts": 0, "context": 8192}
MODELS = {
    "tinyllama-1.1b": LLAMA
    | {"layers": 22, "hidden": 2048, "heads": 32, "kv_heads": 4, "head_size": 64, "ffn": 5632}
    | {"vocabulary": 32000, "context": 2048},
    "llama-3-8b": LLAMA
    | {"layers": 32, "hidden": 4096, "heads": 32, "kv_heads": 8, "head_size": 128, "ffn": 14336}
    | {"vocabulary": 128256, "theta": 500000.0},
    "llama-3-70b": LLAMA
    | {"layers": 80, "hidden": 8192, "heads": 64, "kv_heads": 8, "head_size": 128, "ffn": 28672}
    | {"vocabulary": 128256, "theta": 500000.0},
    "llama-3.2-1b": LLAMA
    | {"layers": 16, "hidden": 2048, "heads": 32, "kv_heads": 8, "head_size": 64, "ffn": 8192}
    | {"vocabulary": 128256, "theta": 500000.0, "tied": True},
    "qwen3-8b": LLAMA
    | {"layers": 36, "hidden": 4096, "heads": 32, "kv_heads": 8, "head_size": 128, "ffn": 12288}
    | {"vocabulary": 151936, "theta": 1e6, "epsilon": 1e-6, "qk_norm": True},
    "mixtral-like": LLAMA
    | {"layers": 32, "hidden": 4096, "heads": 32, "kv_heads": 8, "head_size": 128, "ffn": 14336}
    | {"vocabulary": 32000, "theta": 1e6, "experts": 8},
}
EXPERTS_OF_A_TOKEN = 2
# Least and most of each size: room for the three tokens of genai_config, and for models ten times the largest known.
SIZES = {
    "layers": (1, 2048),
    "hidden": (8, 1 << 18),
    "heads": (1, 4096),
    "kv_heads": (1, 4096),
    "head_size": (2, 4096),
    "ffn": (8, 1 << 20),
    "vocabulary": (3, 1 << 24),
    "context": (1, 1 << 22),
    "experts": (0, 4096),
}


class Places:
    """Gives tensors places in model.onnx.data (4 KiB aligned) and lists them as external initializers."""

    def __init__(self):
        self.end = 0
        self.initializers = []

    def write(self, name, dtype, offset, parts):
        """Nothing: this is for who asks how many bytes there will be."""

    def close(self):
        pass

    def add(self, name, shape, dtype, parts):
        """A tensor whose bytes are those of `parts`, arrays that are made when they are written."""
        dtype = np.dtype(dtype)
        offset = (self.end + 4095) // 4096 * 4096
        size = int(np.prod(shape)) * dtype.itemsize
        self.end = offset + size
        self.write(name, dtype, offset, parts)
        tensor = TensorProto(
            name=name,
            data_type=helper.np_dtype_to_tensor_dtype(dtype),
            dims=shape,
            data_location=TensorProto.EXTERNAL,
        )
        for key, value in (("location", DATA), ("offset", offset), ("length", size)):
            tensor.external_data.add(key=key, value=str(value))
        self.initializers.append(tensor)
        return name


class Weights(Places):
    """Writes the tensors, too."""

    def __init__(self, folder, sparse):
        super().__init__()
        self.random = np.random.default_rng(0)  # of what is not a hole
        self.file = open(folder / DATA, "wb")  # noqa: SIM115 (closed by close)
        self.sparse = sparse

    def write(self, name, dtype, offset, parts):
        self.file.seek(offset)
        if self.sparse:
            (self.random.random(8) * 15).astype(dtype).tofile(self.file)
        else:
            for part in parts:
                part.tofile(self.file)
            assert self.file.tell() == self.end, name

    def close(self):
        self.file.truncate(self.end)
        self.file.close()


def quantize_blocks(values):
    """Symmetric 4-bit blocks of float32 numbers.

    Returns codes uint8 [blocks, 16] (low nibble first, zero point 8) and scales float32 [blocks].
    """
    blocks = values.reshape(-1, BLOCK)
    largest = np.take_along_axis(blocks, np.abs(blocks).argmax(-1, keepdims=True), -1)
    scales = np.where(largest == 0, 1, largest / -8).astype(np.float32)
    codes = np.clip(np.rint(blocks / scales) + 8, 0, 15).astype(np.uint8)
    return codes[:, 0::2] | codes[:, 1::2] << 4, scales[:, 0]


def pool_size(o):
    """Numbers of a pool: four times those of the largest matrix, within POOL."""
    largest = o.hidden * max(o.ffn, o.vocabulary, o.heads * o.head_size)
    return min(max(1 << (4 * largest - 1).bit_length(), POOL[0]), POOL[1])


class Pool:
    """Random float16 numbers with the deviation K**-0.5, and the same as 4-bit blocks."""

    def __init__(self, random, k, count, blocks):
        self.values = (random.standard_normal(count, dtype=np.float32) * k**-0.5).astype(np.float16)
        self.codes, self.scales = quantize_blocks(self.values.astype(np.float32)) if blocks else (None, None)


def pieces(array, start, count):
    """`count` rows of `array` from `start` on, around its end as often as needed."""
    while count:
        piece = array[start : start + count]
        yield piece
        count -= len(piece)
        start = 0


class Builder:
    def __init__(self, options, weights):
        self.o = options
        self.weights = weights
        self.nodes = []
        self.random = np.random.default_rng(options.seed)
        self.float = np.float16 if options.precision == "f16" else np.float32
        self.pools, self.pool_size = {}, pool_size(options)

    def node(self, kind, inputs, outputs, domain="", **attributes):
        name = outputs[0] + "/" + kind
        self.nodes.append(helper.make_node(kind, inputs, outputs, name=name, domain=domain, **attributes))
        return outputs[0]

    def pool(self, k):
        if k not in self.pools:
            random = np.random.default_rng([self.o.seed, k])
            count = self.o.repeat_rows * k or self.pool_size
            self.pools[k] = Pool(random, k, count, self.o.precision == "int4")
        return self.pools[k]

    def distinct(self, parts):
        """The same with eight numbers of its own where rows repeat: equal matrices would be stored once."""
        for number, part in enumerate(parts):
            if number == 0 and self.o.repeat_rows:
                part = part.copy()
                first = part.reshape(-1)[:8]
                own = self.random.random(first.size) * (15 if part.dtype == np.uint8 else 0.01)
                first[:] = own.astype(part.dtype)
            yield part

    def start(self):
        """Where the numbers of the next matrix begin in the pool."""
        return 0 if self.o.repeat_rows else int(self.random.integers(self.pool_size // BLOCK)) * BLOCK

    def numbers(self, count, k, start):
        """`count` numbers of the pool of K as arrays."""
        return (piece.astype(self.float, copy=False) for piece in pieces(self.pool(k).values, start, count))

    def tensor(self, name, shape, k):
        count = int(np.prod(shape))
        start = self.start()
        parts = () if self.o.sparse else self.distinct(self.numbers(count, k, start))
        return self.weights.add(name, shape, self.float, parts)

    def transposed(self, n, k, start):
        """The matrix [N, K] that begins at `start` of the pool, stored as [K, N]."""
        parts = list(pieces(self.pool(k).values, start, n * k))
        matrix = (np.concatenate(parts) if len(parts) > 1 else parts[0]).reshape(n, k)
        yield np.ascontiguousarray(matrix.T).astype(self.float, copy=False)

    def linear(self, name, x, n, k):
        output = f"/model/{name}/MatMul/output_0"
        start = self.start()
        sparse = self.o.sparse
        if self.o.precision != "int4":
            parts = () if sparse else self.distinct(self.transposed(n, k, start))
            stored = self.weights.add(f"model.{name}.MatMul.weight", [k, n], self.float, parts)
            return self.node("MatMul", [x, stored], [output])
        blocks, first = n * k // BLOCK, start // BLOCK
        codes = () if sparse else self.distinct(pieces(self.pool(k).codes, first, blocks))
        scales = () if sparse else pieces(self.pool(k).scales, first, blocks)
        name = f"model.{name}.MatMul.weight"
        codes = self.weights.add(f"{name}_Q4", [n, k // BLOCK, BLOCK // 2], np.uint8, codes)
        scales = self.weights.add(f"{name}_scales", [n, k // BLOCK], np.float32, scales)
        attributes = {"K": k, "N": n, "bits": 4, "block_size": BLOCK, "accuracy_level": 4}
        return self.node("MatMulNBits", [x, codes, scales], [output], "com.microsoft", **attributes)

    def norm_weight(self, name, size):
        scale = 1 + 0.1 * self.random.standard_normal(size, dtype=np.float32)
        return self.weights.add(f"model.{name}.weight", [size], self.float, [scale.astype(self.float)])

    def angles(self, function):
        """The one part of a table of cosines or sines of all positions."""
        d = self.o.head_size // 2 * 2  # pairs; the last of an odd number of channels has no partner
        frequencies = self.o.theta ** (-np.arange(0, d, 2, dtype=np.float64) / d)
        yield function(np.outer(np.arange(self.o.context), frequencies)).astype(self.float)

    def rotary_caches(self):
        shape = [self.o.context, self.o.head_size // 2]
        # Written even when the weights are not: a rotary embedding is known by its numbers.
        sparse, self.weights.sparse = self.o.sparse, False
        tables = [
            self.weights.add(name, shape, self.float, self.angles(function))
            for name, function in (("cos_cache", np.cos), ("sin_cache", np.sin))
        ]
        self.weights.sparse = sparse
        return tables

    def lengths(self):
        """The two integers that every GroupQueryAttention reads: last index of each row, total length."""
        one = helper.make_tensor("one", TensorProto.INT64, [1], [1])
        index = helper.make_tensor("index", TensorProto.INT64, [], [1])
        self.weights.initializers += [one, index]
        total = self.node("ReduceSum", ["attention_mask", "one"], ["/lengths/sum"], keepdims=0)
        last = self.node("Sub", [total, "one"], ["/lengths/last"])
        shape = self.node("Shape", ["attention_mask"], ["/lengths/shape"])
        size = self.node("Gather", [shape, "index"], ["/lengths/size"], axis=0)
        return [
            self.node("Cast", [last], ["/lengths/last32"], to=TensorProto.INT32),
            self.node("Cast", [size], ["/lengths/size32"], to=TensorProto.INT32),
        ]

    def head_norm(self, name, x, heads):
        """RMS norm of each head of [batch, sequence, heads · head_size]."""
        split = self.shape(f"/model/{name}/split", [0, 0, heads, self.o.head_size])
        merge = self.shape(f"/model/{name}/merge", [0, 0, heads * self.o.head_size])
        x = self.node("Reshape", [x, split], [f"/model/{name}/Reshape_1/output_0"])
        x, _ = self.norm(name, x, None, self.o.head_size)
        return self.node("Reshape", [x, merge], [f"/model/{name}/Reshape_2/output_0"])

    def shape(self, name, sizes):
        self.weights.initializers.append(helper.make_tensor(name, TensorProto.INT64, [len(sizes)], sizes))
        return name

    def projections(self, prefix, hidden):
        """Query, key and value: one product, or three where heads are normalised."""
        o, d = self.o, self.o.head_size
        if not o.qk_norm:
            return [self.linear(f"{prefix}.attn.qkv_proj", hidden, (o.heads + 2 * o.kv_heads) * d, o.hidden), "", ""]
        q = self.linear(f"{prefix}.attn.q_proj", hidden, o.heads * d, o.hidden)
        k = self.linear(f"{prefix}.attn.k_proj", hidden, o.kv_heads * d, o.hidden)
        v = self.linear(f"{prefix}.attn.v_proj", hidden, o.kv_heads * d, o.hidden)
        q = self.head_norm(f"{prefix}.attn.q_norm", q, o.heads)
        return [q, self.head_norm(f"{prefix}.attn.k_norm", k, o.kv_heads), v]

    def layer(self, i, hidden, skip, lengths, caches):
        o, prefix = self.o, f"layers.{i}"
        hidden, skip = self.norm(f"{prefix}.input_layernorm", hidden, skip, o.hidden)
        past = [f"past_key_values.{i}.key", f"past_key_values.{i}.value"]
        attributes = {"num_heads": o.heads, "kv_num_heads": o.kv_heads, "scale": o.head_size**-0.5}
        attributes |= {"do_rotary": 1, "rotary_interleaved": 0, "local_window_size": -1}
        inputs = [*self.projections(prefix, hidden), *past, *lengths, *caches]
        outputs = [f"/model/{prefix}/attn/output_0", f"present.{i}.key", f"present.{i}.value"]
        attention = self.node("GroupQueryAttention", inputs, outputs, "com.microsoft", **attributes)
        out = self.linear(f"{prefix}.attn.o_proj", attention, o.hidden, o.heads * o.head_size)
        hidden, skip = self.norm(f"{prefix}.post_attention_layernorm", out, skip, o.hidden)
        return (self.experts if o.experts else self.mlp)(prefix, hidden), skip

    def mlp(self, prefix, hidden):
        o = self.o
        gate = self.linear(f"{prefix}.mlp.gate_proj", hidden, o.ffn, o.hidden)
        up = self.linear(f"{prefix}.mlp.up_proj", hidden, o.ffn, o.hidden)
        sigmoid = self.node("Sigmoid", [gate], [f"/model/{prefix}/mlp/sigmoid"])
        silu = self.node("Mul", [gate, sigmoid], [f"/model/{prefix}/mlp/silu"])
        product = self.node("Mul", [silu, up], [f"/model/{prefix}/mlp/product"])
        return self.linear(f"{prefix}.mlp.down_proj", product, o.hidden, o.ffn)

    def experts(self, prefix, hidden):
        """A router and gated experts: com.microsoft.MoE, whose weights are [experts, N, K] in any precision."""
        o, name = self.o, f"model.{prefix}.moe"
        router = self.linear(f"{prefix}.moe.router", hidden, o.experts, o.hidden)
        rows = self.shape(f"/model/{prefix}/moe/rows", [-1, o.experts])
        router = self.node("Reshape", [router, rows], [f"/model/{prefix}/moe/router"])
        gate = self.tensor(f"{name}.experts.gate", [o.experts, o.ffn, o.hidden], o.hidden)
        down = self.tensor(f"{name}.experts.down", [o.experts, o.hidden, o.ffn], o.ffn)
        up = self.tensor(f"{name}.experts.up", [o.experts, o.ffn, o.hidden], o.hidden)
        attributes = {"k": EXPERTS_OF_A_TOKEN, "activation_type": "silu", "normalize_routing_weights": 1}
        inputs = [hidden, router, gate, "", down, "", up]
        return self.node("MoE", inputs, [f"/model/{prefix}/moe/output_0"], "com.microsoft", **attributes)

    def norm(self, name, x, skip, size):
        """The normed value and the residual sum before it; without a skip, x is the residual itself."""
        weight = self.norm_weight(name, size)
        output = f"/model/{name}/output_0"
        if skip is None:
            return self.rms_norm(f"/model/{name}", x, weight, output), x
        total = f"/model/{name}/output_3"
        outputs = [output, "", "", total]
        self.node(
            "SkipSimplifiedLayerNormalization", [skip, x, weight], outputs, "com.microsoft", epsilon=self.o.epsilon
        )
        return output, total

    def rms_norm(self, prefix, x, weight, output):
        """In operators of the standard, as exports of PyTorch have it."""
        for name, number in (("two", 2), ("epsilon", self.o.epsilon)):
            if not any(tensor.name == name for tensor in self.weights.initializers):
                self.weights.initializers.append(helper.make_tensor(name, TensorProto.FLOAT, [], [number]))
        wide = self.node("Cast", [x], [f"{prefix}/wide"], to=TensorProto.FLOAT)
        square = self.node("Pow", [wide, "two"], [f"{prefix}/square"])
        mean = self.node("ReduceMean", [square, self.shape(f"{prefix}/axes", [-1])], [f"{prefix}/mean"], keepdims=1)
        sum_ = self.node("Add", [mean, "epsilon"], [f"{prefix}/sum"])
        root = self.node("Sqrt", [sum_], [f"{prefix}/root"])
        normed = self.node("Div", [wide, root], [f"{prefix}/normed"])
        element = helper.np_dtype_to_tensor_dtype(np.dtype(self.float))
        narrow = self.node("Cast", [normed], [f"{prefix}/narrow"], to=element)
        return self.node("Mul", [narrow, weight], [output])

    def head(self, x, table):
        """Logits; a tied head is the embedding's table, but in 4 bits it has codes of its own."""
        o = self.o
        if o.tied and o.precision != "int4":
            turned = self.node("Transpose", [table], ["/lm_head/Transpose/output_0"], perm=[1, 0])
            self.node("MatMul", [x, turned], ["logits"])
        else:
            self.linear("lm_head", x, o.vocabulary, o.hidden)
            self.nodes[-1].output[0] = "logits"

    def graph(self):
        o = self.o
        table = self.tensor("model.embed_tokens.weight", [o.vocabulary, o.hidden], o.hidden)
        lengths, caches = self.lengths(), self.rotary_caches()
        x, skip = self.node("Gather", [table, "input_ids"], ["/model/embed_tokens/output_0"]), None
        for i in range(o.layers):
            x, skip = self.layer(i, x, skip, lengths, caches)
        x, _ = self.norm("final_norm_layernorm", x, skip, o.hidden)
        self.head(x, table)
        inputs, outputs = self.signature()
        self.weights.close()
        return helper.make_graph(self.nodes, "main_graph", inputs, outputs, self.weights.initializers)

    def signature(self):
        o, info = self.o, helper.make_tensor_value_info
        element = helper.np_dtype_to_tensor_dtype(np.dtype(self.float))
        cache = ["batch_size", o.kv_heads, "past_sequence_length", o.head_size]
        present = ["batch_size", o.kv_heads, "total_sequence_length", o.head_size]
        inputs = [
            info("input_ids", TensorProto.INT64, ["batch_size", "sequence_length"]),
            info("attention_mask", TensorProto.INT64, ["batch_size", "total_sequence_length"]),
        ]
        outputs = [info("logits", element, ["batch_size", "sequence_length", o.vocabulary])]
        for kind in ("key", "value"):
            inputs += [info(f"past_key_values.{i}.{kind}", element, cache) for i in range(o.layers)]
            outputs += [info(f"present.{i}.{kind}", element, present) for i in range(o.layers)]
        return inputs, outputs


def genai_config(o):
    """What onnxruntime-genai reads beside the model."""
    decoder = {
        "session_options": {"log_id": "onnxruntime-genai", "provider_options": []},
        "filename": "model.onnx",
        "head_size": o.head_size,
        "hidden_size": o.hidden,
        "inputs": {
            "input_ids": "input_ids",
            "attention_mask": "attention_mask",
            "past_key_names": "past_key_values.%d.key",
            "past_value_names": "past_key_values.%d.value",
        },
        "outputs": {
            "logits": "logits",
            "present_key_names": "present.%d.key",
            "present_value_names": "present.%d.value",
        },
        "num_attention_heads": o.heads,
        "num_hidden_layers": o.layers,
        "num_key_value_heads": o.kv_heads,
    }
    model = {"bos_token_id": 1, "eos_token_id": 2, "pad_token_id": 0, "context_length": o.context, "type": "llama"}
    return {
        "model": {**model, "vocab_size": o.vocabulary, "decoder": decoder},
        "search": {"do_sample": False, "max_length": o.context, "past_present_share_buffer": True},
    }


def option_of(name):
    return "--" + name.replace("_", "-")


def complaint(o):
    """Why there is no decoder of such sizes; None where there is one."""
    for name, (least, most) in SIZES.items():
        if not least <= getattr(o, name) <= most:
            return f"{option_of(name)} is {getattr(o, name)}; expected {least} to {most}"
    for name in ("repeat_rows", "seed"):
        if getattr(o, name) < 0:
            return f"{option_of(name)} is {getattr(o, name)}; expected 0 or more"
    if o.heads % o.kv_heads:
        return f"{o.heads} heads cannot share {o.kv_heads} key heads evenly; expected --kv-heads to divide --heads"
    if o.experts and o.experts < EXPERTS_OF_A_TOKEN:
        return f"--experts is {o.experts}; expected 0 or at least the {EXPERTS_OF_A_TOKEN} that a token has"
    columns = {"--hidden": o.hidden, "--ffn": o.ffn, "--heads times --head-size": o.heads * o.head_size}
    for name, count in columns.items():
        if o.precision == "int4" and count % BLOCK:
            return f"{name} is {count}; expected a multiple of {BLOCK}, the block of --precision int4"
    return None


def parse_options():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("folder", type=pathlib.Path, help="where model.onnx and its data go")
    parser.add_argument("--model", choices=MODELS, default="tinyllama-1.1b", help="shapes; each has an option, too")
    parser.add_argument("--precision", choices=["f16", "f32", "int4"], default="f16")
    parser.add_argument("--sparse", action="store_true", help="weights are a hole in the file, read as zeros")
    parser.add_argument("--repeat-rows", type=int, default=0, help="rows that every matrix repeats; 0: all differ")
    parser.add_argument("--seed", type=int, default=0)
    for name in SIZES:
        parser.add_argument(option_of(name), type=int, help="default: the model's")
    options = parser.parse_args()
    given = {name: value for name, value in vars(options).items() if value is not None}
    shape = MODELS[options.model] | given
    if {"hidden", "heads"} & given.keys() and "head_size" not in given and shape["heads"] > 0:
        shape["head_size"], rest = divmod(shape["hidden"], shape["heads"])
        if rest:
            refuse(f"--hidden {shape['hidden']} is no multiple of --heads {shape['heads']}; give --head-size")
    made = argparse.Namespace(**shape)
    if why := complaint(made):
        refuse(why)
    return made


def refuse(why):
    print(f"error: {why}", file=sys.stderr)
    sys.exit(2)


def bytes_of_data(options):
    """What the data file will have, without any number made."""
    places = Places()
    Builder(argparse.Namespace(**vars(options) | {"sparse": True}), places).graph()
    return places.end


def free_bytes(folder):
    """What the folder's disk can take, once a data file that is there already is gone."""
    there = next(path for path in (folder, *folder.absolute().parents) if path.exists())
    data = folder / DATA
    return shutil.disk_usage(there).free + (data.stat().st_blocks * 512 if data.is_file() else 0)


def check_room(options, needed):
    free = free_bytes(options.folder)
    if needed > free:
        refuse(
            f"'{options.folder / DATA}' would have {needed / 1e9:.3g} GB, and its disk has {free / 1e9:.3g} GB free; "
            "give another folder, fewer --layers, or --sparse, whose weights are a hole"
        )


def write(options):
    needed = bytes_of_data(options)
    if not options.sparse:
        check_room(options, needed)
    options.folder.mkdir(parents=True, exist_ok=True)
    if not options.sparse:
        print(f"writing {needed / 1e9:.3g} GB ({needed} bytes) to '{options.folder / DATA}'", file=sys.stderr)
    graph = Builder(options, Weights(options.folder, options.sparse)).graph()
    opsets = [helper.make_opsetid("", 21), helper.make_opsetid("com.microsoft", 1)]
    onnx.save(helper.make_model(graph, opset_imports=opsets, ir_version=10), options.folder / "model.onnx")
    (options.folder / "genai_config.json").write_text(json.dumps(genai_config(options), indent=1) + "\n")


def main():
    options = parse_options()
    try:
        write(options)
    except OSError as failed:
        refuse(f"cannot write to '{options.folder}': {failed.strerror}")


if __name__ == "__main__":
    main()
