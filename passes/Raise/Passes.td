// The passes of the stage raise: from the onnx dialect to what the model means.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
#ifndef QOPT_PASSES_RAISE_PASSES
#define QOPT_PASSES_RAISE_PASSES

include "mlir/Pass/PassBase.td"

def ExpandMicrosoftPass : Pass<"qopt-expand-microsoft", "::mlir::func::FuncOp"> {
  let summary = "write fused operators of com.microsoft with standard ones";
  let description = [{
    Before: any onnx function. After: no skip or simplified layer normalization, no bias, fast or quick GELU of
    com.microsoft and no GroupQueryAttention without cache quantization; standard operators in their place, so that the
    patterns that raise a model exist once. Numerics: exact (the same real-number formula; residual sums in the same
    order). Method: one pattern an operator, after onnxruntime's ContribOperators.md. Example:
    test/passes/Raise/expand-microsoft.mlir.
  }];
  let dependentDialects = ["::qopt::onnx::OnnxDialect"];
}

#endif // QOPT_PASSES_RAISE_PASSES
