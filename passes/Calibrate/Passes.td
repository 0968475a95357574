// The passes that make calibration functions: copies of the model's function that run on the host, layer by layer, and
// return what quantization must know of it.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
#ifndef QOPT_PASSES_CALIBRATE_PASSES
#define QOPT_PASSES_CALIBRATE_PASSES

include "mlir/Pass/PassBase.td"

def UncacheDecoderPass : Pass<"qopt-uncache-decoder", "::mlir::func::FuncOp"> {
  let summary = "a decoder's step as a graph of one whole sequence";
  let description = [{
    Before: the step of a decoder, on a ragged batch and a cache. After: a graph of `tokens` and `positions`, both [T], whose
    every row gives logits; attention reads the keys and values of the sequence itself, not of a cache. Numerics: exact but
    for the rounding of keys and values to the cache's formats, which is left out. Method: an append and the attention to it
    become the dense form; ALiBi's slope · (j − p) becomes a mask slope · j, as softmax does not see what all scores of a row
    have in common. Example: test/passes/Calibrate/uncache-decoder.mlir.
  }];
  let dependentDialects = ["::qopt::ir::QOptDialect", "::qopt::onnx::OnnxDialect", "::mlir::tensor::TensorDialect"];
}

def CutLayersPass : Pass<"qopt-cut-layers", "::mlir::ModuleOp"> {
  let summary = "a function for each layer";
  let description = [{
    Before: a graph. After: functions `segment_0`, `segment_1`, … in their order: what is ahead of the first layer, one for
    each layer, what is behind the last. Each takes the result of the one before, called `hidden` (`hidden_` where an input
    has that name), and those of the graph's inputs that it uses. Numerics: exact. Method: a place between two operations is a cut where one floating point tensor
    alone is alive, not counting what inputs and constants give without a weight (tables of positions, masks), which each layer
    computes again; of the cuts
    ahead of an attention the last one begins a layer, and behind the last linear but one the first begins what is behind the
    layers. Layers between which there is no cut stay together. Example: test/passes/Calibrate/cut-layers.mlir.
  }];
}

def ObserveLinearsPass : Pass<"qopt-observe-linears", "::mlir::func::FuncOp"> {
  let summary = "return what linears read";
  let description = [{
    Before: a graph. After: behind its own results it returns the tensor that each linear of a weight that is to be
    quantized reads, itself not quantized, once for all linears that share it; `qopt.observation` of the result names their weights.
    Numerics: exact. Method: results are observers: a calibration streams them, one sequence after the other. Example:
    test/passes/Calibrate/observe-linears.mlir.
  }];
}

def ObserveAttentionPass : Pass<"qopt-observe-attention", "::mlir::func::FuncOp"> {
  let summary = "return the keys and values that attention reads";
  let description = [{
    Before: a graph. After: behind its own results it returns of each attention, counted from 0, the keys and values that it
    reads, [batch, heads, tokens, channels], and between them, where the keys are rotated, those ahead of the rotation,
    [tokens, heads, channels]; `qopt.observation` of the result says which: `key of [0]`, `key of [0, "before rotary"]`,
    `value of [0]`. Numerics: exact. Method: keys are followed to the rotation through views and transpositions. Example:
    test/passes/Calibrate/observe-attention.mlir.
  }];
}

def DifferentiateFunctionPass : Pass<"qopt-differentiate-function", "::mlir::func::FuncOp"> {
  let summary = "a function that gives gradients of the function's result";
  let description = [{
    Before: a function as the stage quantize leaves it, of one block: y = f(a), with a loss that is known by its gradient
    ∂L/∂y. After: the function takes ∂L/∂y of each floating point result behind its own arguments, and returns, each with a
    `qopt.observation` that says what it is (results of the model itself are no longer returned):

    - ∂L/∂a of each floating point argument that the result depends on, but not of those with the attribute
      `qopt.no_gradient`: inputs of the model, which no weight is ahead of;
    - for each linear, in the order of the function, what it reads as [T, K] and ∂L of its result as [T, N], once for each
      value: linears that read one tensor share a result;
    - for each embedding the ids that it looks up and ∂L of its result as [T, N];
    - keys and values of each `qopt.attention`, and ∂L of both, as that attention reads them; for each of `distances` also that
      part of ∂L which queries at least so many positions behind give.

    Numerics: gradients are those of the arithmetic as it is written, in f32 with sums in the order of the kernels;
    what is quantized passes its gradient through as if it were not rounded (the straight-through estimator), so quantized
    weights and activations have the gradients of the values that they stand for. Method: reverse accumulation (Linnainmaa
    1976), the forward pass once more in the same function; attention as FlashAttention differentiates it (Dao et al.
    2022): scores are computed again. Example: test/passes/Calibrate/differentiate-function.mlir.

    What an operation contributes it says itself (`DifferentiableOpInterface`). An operation between a linear or a floating
    point argument and a result that does not implement the interface is an error that names it. Masks, tables of angles,
    ids and constants (norms' scales, biases) have no gradient and none is asked for.
  }];
  let options = [
    ListOption<"distances", "distances", "int64_t", "positions from a key to the queries whose part is asked">,
  ];
  let dependentDialects = [
    "::mlir::arith::ArithDialect", "::mlir::linalg::LinalgDialect", "::mlir::math::MathDialect",
    "::mlir::tensor::TensorDialect", "::qopt::ir::QOptDialect", "::qopt::onnx::OnnxDialect",
  ];
}

#endif // QOPT_PASSES_CALIBRATE_PASSES
