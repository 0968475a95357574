// The passes of the stage quantize: which weights and activations are stored in which format.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
#ifndef QOPT_PASSES_QUANTIZE_PASSES
#define QOPT_PASSES_QUANTIZE_PASSES

include "mlir/Pass/PassBase.td"

def QuantizeWeightsPass : Pass<"qopt-quantize-weights", "::mlir::func::FuncOp"> {
  let summary = "store weights in the formats that were asked for";
  let description = [{
    Before: linears and embeddings of floating point weights. After: each reads a `qopt.quantize_weight` of its weight where
    a format was asked for. Numerics: changes results, by the rounding of each weight to its format. Method: round to
    nearest (`lib/Quant/Algorithm.h`). Example: test/passes/Quantize/quantize-weights.mlir.

    A weight's format is, in this order: that of the first override that matches its name; for the language model's head
    (a linear with as many rows as the token embedding whose result is returned) `lm-head`; for the token embedding (the
    embedding with the most rows) `embedding`; for other linears `weights`. An empty `lm-head` means `weights`; an empty
    `embedding` keeps the file's format, unless the head reads the same weight: then it means the head's. Other embeddings
    (positions, token types) stay as they are. What is f32 then gets the format `widest`.

    Weights that the file has quantized already stay as they are too: with a warning where `weights` asks for another
    format, and with an error where an override, `lm-head` or `embedding` does, which mean that very weight.
