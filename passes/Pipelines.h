// The order of passes in each stage (DESIGN: import, raise, quantize, fuse,
// schedule, lower). This is the only place with an order; a stage is a function
// that the driver, qopt-opt and the tests share.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
#ifndef QOPT_PASSES_PIPELINES_H
#define QOPT_PASSES_PIPELINES_H

namespace mlir {
class OpPassManager;
} // namespace mlir

namespace qopt::passes {

/// What a model is compiled as.
enum class ModelShape {
  Automatic, ///< a decoder where it is one, else a graph
  Decoder,   ///< a decoder, or an error
  Graph,     ///< the ONNX signature
};

/// onnx → qopt (+ onnx for what has no qopt op).
void addRaiseStage(mlir::OpPassManager &manager, ModelShape shape);

/// Makes every pass known to `--pass-pipeline`, and the stages as
/// `qopt-raise-stage` and the like.
void registerPasses();

} // namespace qopt::passes

#endif // QOPT_PASSES_PIPELINES_H
