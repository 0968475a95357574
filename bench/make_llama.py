"""Writes a Llama of any size with seeded random weights as an ONNX folder, in the form of onnxruntime-genai's builder.

The weights are the same for every precision: `f16` and `f32` store them as MatMuls (what a user would hand to
qopt-compile), `int4` as MatMulNBits of 32-element blocks (what onnxruntime-genai runs), so that they can be measured
side by side. Nothing is downloaded. Shapes default to TinyLlama-1.1B.
"""

import argparse
import json
import pathlib

import numpy as np
import onnx
from onnx import TensorProto, helper

BLOCK = 32


class Weights:
    """Appends tensors to model.onnx.data (4 KiB aligned) and lists them as external initializers."""

    def __init__(self, folder):
        self.file = open(folder / "model.onnx.data", "wb")  # noqa: SIM115 (closed by close)
        self.initializers = []

    def add(self, name, array):
        offset = (self.file.tell() + 4095) // 4096 * 4096
        self.file.write(b"\0" * (offset - self.file.tell()))
        array.tofile(self.file)
        tensor = TensorProto(
            name=name,
            data_type=helper.np_dtype_to_tensor_dtype(array.dtype),
            dims=array.shape,
            data_location=TensorProto.EXTERNAL,
        )
        for key, value in (("location", "model.onnx.data"), ("offset", offset), ("length", array.nbytes)):
            tensor.external_data.add(key=key, value=str(value))
        self.initializers.append(tensor)
        return name

    def close(self):
        self.file.close()


def quantize_blocks(weight):
    """Symmetric 4-bit blocks of a float32 [N, K].

    Returns codes uint8 [N, K/32, 16] (low nibble first, zero point 8) and scales float32 [N, K/32].
    """
    n, k = weight.shape
    blocks = weight.reshape(n, k // BLOCK, BLOCK)
    largest = np.take_along_axis(blocks, np.abs(blocks).argmax(-1, keepdims=True), -1)
    scales = np.where(largest == 0, 1, largest / -8).astype(np.float32)
    codes = np.clip(np.rint(blocks / scales) + 8, 0, 15).astype(np.uint8)
    return codes[..., 0::2] | codes[..., 1::2] << 4, scales[..., 0]


class Builder:
    def __init__(self, options, folder):
        self.o = options
        self.weights = Weights(folder)
        self.nodes = []
        self.random = np.random.default_rng(options.seed)
        self.float = np.float16 if options.precision == "f16" else np.float32

    def node(self, kind, inputs, outputs, domain="", **attributes):
        name = outputs[0] + "/" + kind
        self.nodes.append(helper.make_node(kind, inputs, outputs, name=name, domain=domain, **attributes))
        return outputs[0]

    def matrix(self, n, k):
        """Random [N, K] as float16 values, so that both precisions start from the same numbers."""
        return (self.random.standard_normal((n, k), dtype=np.float32) * k**-0.5).astype(np.float16)

    def linear(self, name, x, n, k):
        weight = self.matrix(n, k)
        output = f"/model/{name}/MatMul/output_0"
        if self.o.precision != "int4":
            stored = np.ascontiguousarray(weight.T).astype(self.float)
            stored = self.weights.add(f"model.{name}.MatMul.weight", stored)
            return self.node("MatMul", [x, stored], [output])
        codes, scales = quantize_blocks(weight.astype(np.float32))
        codes = self.weights.add(f"model.{name}.MatMul.weight_Q4", codes)
        scales = self.weights.add(f"model.{name}.MatMul.weight_scales", scales)
        attributes = {"K": k, "N": n, "bits": 4, "block_size": BLOCK, "accuracy_level": 4}
        return self.node("MatMulNBits", [x, codes, scales], [output], "com.microsoft", **attributes)

    def norm_weight(self, name):
        scale = 1 + 0.1 * self.random.standard_normal(self.o.hidden, dtype=np.float32)
        return self.weights.add(f"model.{name}.weight", scale.astype(self.float))

    def rotary_caches(self):
        d = self.o.hidden // self.o.heads
        frequencies = 10000.0 ** (-np.arange(0, d, 2, dtype=np.float64) / d)
        angles = np.outer(np.arange(self.o.context), frequencies)
        return [
            self.weights.add("cos_cache", np.cos(angles).astype(self.float)),
            self.weights.add("sin_cache", np.sin(angles).astype(self.float)),
        ]

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

    def layer(self, i, hidden, skip, lengths, caches):
        o, prefix = self.o, f"layers.{i}"
        hidden, skip = self.norm(f"{prefix}.input_layernorm", hidden, skip)
        d = o.hidden // o.heads
        qkv = self.linear(f"{prefix}.attn.qkv_proj", hidden, (o.heads + 2 * o.kv_heads) * d, o.hidden)
        past = [f"past_key_values.{i}.key", f"past_key_values.{i}.value"]
        attributes = {"num_heads": o.heads, "kv_num_heads": o.kv_heads, "scale": d**-0.5}
        attributes |= {"do_rotary": 1, "rotary_interleaved": 0, "local_window_size": -1}
        inputs = [qkv, "", "", *past, *lengths, *caches]
        outputs = [f"/model/{prefix}/attn/output_0", f"present.{i}.key", f"present.{i}.value"]
        attention = self.node("GroupQueryAttention", inputs, outputs, "com.microsoft", **attributes)
        out = self.linear(f"{prefix}.attn.o_proj", attention, o.hidden, o.hidden)
        hidden, skip = self.norm(f"{prefix}.post_attention_layernorm", out, skip)
        gate = self.linear(f"{prefix}.mlp.gate_proj", hidden, o.ffn, o.hidden)
        up = self.linear(f"{prefix}.mlp.up_proj", hidden, o.ffn, o.hidden)
        sigmoid = self.node("Sigmoid", [gate], [f"/model/{prefix}/mlp/sigmoid"])
        silu = self.node("Mul", [gate, sigmoid], [f"/model/{prefix}/mlp/silu"])
        product = self.node("Mul", [silu, up], [f"/model/{prefix}/mlp/product"])
        return self.linear(f"{prefix}.mlp.down_proj", product, o.hidden, o.ffn), skip

    def norm(self, name, x, skip):
        """The normed value and the residual sum before it; without a skip, x is the residual itself."""
        weight = self.norm_weight(name)
        output = f"/model/{name}/output_0"
        if skip is None:
            return self.node("SimplifiedLayerNormalization", [x, weight], [output], epsilon=1e-5, axis=-1), x
        total = f"/model/{name}/output_3"
        outputs = [output, "", "", total]
        self.node("SkipSimplifiedLayerNormalization", [skip, x, weight], outputs, "com.microsoft", epsilon=1e-5)
        return output, total

    def graph(self):
        o = self.o
        table = self.weights.add("model.embed_tokens.weight", self.matrix(o.vocabulary, o.hidden).astype(self.float))
        lengths, caches = self.lengths(), self.rotary_caches()
        x, skip = self.node("Gather", [table, "input_ids"], ["/model/embed_tokens/output_0"]), None
        for i in range(o.layers):
            x, skip = self.layer(i, x, skip, lengths, caches)
        x, _ = self.norm("final_norm_layernorm", x, skip)
        self.linear("lm_head", x, o.vocabulary, o.hidden)
        self.nodes[-1].output[0] = "logits"
        inputs, outputs = self.signature()
        self.weights.close()
        return helper.make_graph(self.nodes, "main_graph", inputs, outputs, self.weights.initializers)

    def signature(self):
        o, info = self.o, helper.make_tensor_value_info
        element = helper.np_dtype_to_tensor_dtype(np.dtype(self.float))
        d = o.hidden // o.heads
        cache = ["batch_size", o.kv_heads, "past_sequence_length", d]
        present = ["batch_size", o.kv_heads, "total_sequence_length", d]
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
        "head_size": o.hidden // o.heads,
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


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("folder", type=pathlib.Path, help="where model.onnx and its data go")
    parser.add_argument("--precision", choices=["f16", "f32", "int4"], default="f16")
    sizes = {"layers": 22, "hidden": 2048, "heads": 32, "kv-heads": 4, "ffn": 5632}
    sizes |= {"vocabulary": 32000, "context": 2048, "seed": 0}
    for name, value in sizes.items():
        parser.add_argument(f"--{name}", type=int, default=value, help=f"default {value}")
    options = parser.parse_args()
    options.folder.mkdir(parents=True, exist_ok=True)
    graph = Builder(options, options.folder).graph()
    opsets = [helper.make_opsetid("", 21), helper.make_opsetid("com.microsoft", 1)]
    onnx.save(helper.make_model(graph, opset_imports=opsets, ir_version=10), options.folder / "model.onnx")
    (options.folder / "genai_config.json").write_text(json.dumps(genai_config(options), indent=1) + "\n")


if __name__ == "__main__":
    main()
