// The passes of the stage quantize: which weights and activations are stored in which format.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
#ifndef QOPT_PASSES_QUANTIZE_PASSES
#define QOPT_PASSES_QUANTIZE_PASSES

include "mlir/Pass/PassBase.td"

def QuantizeWeightsPass : Pass<"qopt-quantize-weights", "::mlir::func::FuncOp"> {
  let summary = "store weights in the formats that were asked for";
  let description = [{
    Before: linears and embeddings of floating point weights. After: each reads a `qopt.quantize_weight` of its weight where
    a format was asked for. Numerics: changes results, by the rounding of each weight to its format. Method: `algorithm`;
    `rtn` is round to nearest (`lib/Quant/Algorithm.h`), `clip` and `hqq` are in `lib/Quant/algorithms`. Example:
    test/passes/Quantize/quantize-weights.mlir.

    A weight's format is, in this order: that of the first override that matches its name; for the language model's head
    (a linear with as many rows as the token embedding whose result is returned) `lm-head`; for the token embedding (the
    embedding with the most rows) `embedding`; for other linears `weights`. An empty `lm-head` means `weights`; an empty
    `embedding` keeps the file's format, unless the head reads the same weight: then it means the head's. Other embeddings
    (positions, token types) stay as they are. What is f32 then gets the format `widest`.

    Weights that the file has quantized already stay as they are too: with a warning where `weights` asks for another
    format, and with an error where an override, `lm-head` or `embedding` does, which mean that very weight.
  }];
  let options = [
    Option<"weights", "weights", "std::string", /*default=*/"\"\"", "format of linear weights; empty: as in the file">,
    Option<"lmHead", "lm-head", "std::string", /*default=*/"\"\"", "format of the head; empty: as weights">,
    Option<"embedding", "embedding", "std::string", /*default=*/"\"\"",
           "format of the token embedding; empty: as in the file, or as the head's where they are the same weight">,
    Option<"widest", "widest", "std::string", /*default=*/"\"f32\"",
           "floating point format that weights of f32 get where no other is asked for: f32, f16 or bf16">,
    ListOption<"overrides", "overrides", "std::string",
               "name=format or re:pattern=format; a pattern may match any part of a name; the first match wins">,
    Option<"algorithm", "algorithm", "std::string", /*default=*/"\"rtn\"",
           "how codes are chosen: rtn, clip or hqq, which needs fractional zero points">,
    Option<"device", "device", "std::string", /*default=*/"\"host\"",
           "whose linears multiply the weights, host or cuda: formats that they do not read are errors">,
  ];
  let dependentDialects = ["::qopt::ir::QOptDialect"];
}

def FoldChannelScalesPass : Pass<"qopt-fold-channel-scales", "::mlir::func::FuncOp"> {
  let summary = "scale channels of activations and the weights that read them";
  let description = [{
    Before: linears with the attribute `qopt.channel_scales`, numbers s [K] for the columns of what they read; one linear of
    those that read a tensor speaks for all. After: the tensor is x / s, the columns of the weights are multiplied by s, and
    the attribute is gone. 1 / s goes into the scale and bias of the norm that makes x; into the rows and bias of the
    linear that a gate multiplies; or, where x is attention's result, of the linear of its values, whose heads several
    queries share and then have one scale for. Numerics: changes results, by the rounding of products of f32 alone; then
    QuantizeActivations and QuantizeWeights round others. Method: SmoothQuant (arXiv 2211.10438), AWQ (arXiv 2306.00978).
    Example: test/passes/Quantize/fold-channel-scales.mlir.
  }];
  let dependentDialects = ["::qopt::ir::QOptDialect", "::mlir::arith::ArithDialect"];
}

def CorrectBiasesPass : Pass<"qopt-correct-biases", "::mlir::func::FuncOp"> {
  let summary = "add what rounding takes from the mean of results to biases";
  let description = [{
    Before: linears with a constant bias and the attribute `qopt.bias_correction`, f32 [N], which a calibration leaves
    there: E[W x] − E[Ŵ x]. After: the bias, now f32, is greater by it, and the attribute is gone. Numerics: changes results.
    Method: bias correction (Data-Free Quantization, arXiv 1906.04721, section 4.2, with means that are measured). Example:
    test/passes/Quantize/correct-biases.mlir.
  }];
  let dependentDialects = ["::qopt::ir::QOptDialect", "::mlir::arith::ArithDialect"];
}

def QuantizeActivationsPass : Pass<"qopt-quantize-activations", "::mlir::func::FuncOp"> {
  let summary = "quantize what linears with weights of codes read";
  let description = [{
    Before: linears of tensors. After: a linear whose weight is multiplied by codes of `format` reads `qopt.quantize` of its
    tensor; linears that read the same tensor share it. With groups these are all integer weights; with one scale a row
    (token), weights of the same element with one scale a row or matrix. Numerics: changes results, by the rounding of
    activations to the nearest code of each group or row. Method: dynamic quantization, with scales from the values
    themselves (groups: the "Q8" activations of llama.cpp and accuracy level 4 of onnxruntime's MatMulNBits; rows: the
    per-token scales of LLM.int8(), arXiv 2208.07339, and SmoothQuant, arXiv 2211.10438). Example:
    test/passes/Quantize/quantize-activations.mlir.

    `overrides` give linears another format by the name of their weight, f32 for none; the first that matches wins. One
    that matches no linear is an error, as is one whose linears an earlier one matches all.

    A format with one scale for a tensor (`int8_tensor`) takes it from the attribute `qopt.activation_scale` of the linear,
    an f32, which a calibration measures; the attribute is gone after this.

    A linear whose columns the group size of the format does not divide keeps its tensor, as does one of int8 whose sums
    would need more than 32 bits, one without the scale that the format wants, and one whose tensor the file rounds itself
    (DequantizeLinear): its scales are kept, exactly.
  }];
  let options = [
    Option<"format", "format", "std::string", /*default=*/"\"int8_g32_sf32\"",
           "format of the activations; f32: none is quantized">,
    ListOption<"overrides", "overrides", "std::string",
               "formats of what single linears read, as name=format or re:pattern=format">,
  ];
  let dependentDialects = ["::qopt::ir::QOptDialect"];
}

def WidenActivationsPass : Pass<"qopt-widen-activations", "::mlir::func::FuncOp"> {
  let summary = "compute in f32 where the model computes in f16 or bf16";
  let description = [{
    Before: any function of onnx and qopt operations. After: no value but arguments, results, weights, caches and constant
    vectors that a qopt operation reads is f16 or bf16; casts at both ends keep the signature. Numerics: changes results:
    what the model rounds to 16 bits between two operations is not rounded. Method: types of values are replaced in
    place. Example: test/passes/Quantize/widen-activations.mlir.
  }];
  let dependentDialects = ["::qopt::onnx::OnnxDialect"];
}

def NarrowActivationsPass : Pass<"qopt-narrow-activations", "::mlir::func::FuncOp"> {
  let summary = "compute in 16 bits";
  let description = [{
    Before: a function that computes in f32 (WidenActivations). After: what qopt ops read and write is f16 or bf16, and what
    onnx ops merely move, add or scale of it; all other onnx ops and the angles of rotary embeddings stay f32, and a linear
    whose result is converted to f32 gives f32 itself. Numerics: changes results: every value of a kernel is rounded to 16
    bits where it is written. Method: types of values are replaced in place. Example:
    test/passes/Quantize/narrow-activations.mlir.
  }];
  let options = [Option<"type", "type", "std::string", /*default=*/"\"f32\"", "f16 or bf16; f32: nothing changes">];
  let dependentDialects = ["::qopt::onnx::OnnxDialect"];
}

def RoundActivationsPass : Pass<"qopt-round-activations", "::mlir::func::FuncOp"> {
  let summary = "compute in f32, rounded to 16 bits where values are";
  let description = [{
    Before: a function whose values are f16 or bf16 (NarrowActivations). After: they are f32, and each that an operation
    computes, elementwise arithmetic included, is converted to its 16 bits and back. Numerics: that of the 16-bit values, whose kernels sum in f32 too; sums
    have the order of f32 kernels. Method: types of values are replaced in place. Example:
    test/passes/Quantize/round-activations.mlir.
  }];
  let dependentDialects = ["::qopt::onnx::OnnxDialect"];
}

def SetCacheFormatPass : Pass<"qopt-set-cache-format", "::mlir::func::FuncOp"> {
  let summary = "formats and page size of the cache";
  let description = [{
    Before: a decoder with the cache as the model has it. After: keys and values are stored in the given formats, in pages of
    the given size, made larger for whole groups of keys. A layer's own format is that of the first override that matches
    `cache.LAYER.key` or `cache.LAYER.value`; words behind it (`recent=32`, `first=16`) are of both, and `before_rotary` is of
    the layer's keys. Numerics: changes results, by the rounding of keys and values to
    their formats. Method: the type of the cache is replaced everywhere; scales of keys for each channel and a group of
    positions, and latest positions in f16, are those of KIVI (arXiv 2402.02750), first positions in f16 and keys ahead of
    their rotation those of KVQuant (arXiv 2401.18079): then appends take what the rotation reads, and `qopt.key_rotation`
    of the attention has the rotation. Example: test/passes/Quantize/set-cache-format.mlir.
  }];
  let options = [
    Option<"key", "key", "std::string", /*default=*/"\"\"", "format of keys; empty: as it is">,
    Option<"value", "value", "std::string", /*default=*/"\"\"", "format of values; empty: as it is">,
    ListOption<"overrides", "overrides", "std::string",
               "name=format or re:pattern=format of single layers, with words behind it; the first match wins">,
    Option<"page", "page", "int64_t", /*default=*/"0", "positions of a page; 0: as it is">,
    Option<"recent", "recent", "int64_t", /*default=*/"0", "latest positions that are kept in f16">,
    Option<"first", "first", "int64_t", /*default=*/"0", "first positions that are kept in f16">,
    Option<"beforeRotary", "before-rotary", "bool", /*default=*/"false",
           "keys are stored ahead of their rotation and rotated when they are read">,
  ];
  let dependentDialects = ["::qopt::ir::QOptDialect"];
}

#endif // QOPT_PASSES_QUANTIZE_PASSES
