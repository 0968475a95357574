// qopt ops as linalg, for a machine without a kernel of their own: attention on
// plain tensors, rotation of heads and routing. Each op is replaced where it
// stands.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
#ifndef QOPT_PASSES_LOWER_GENERICOPS_H
#define QOPT_PASSES_LOWER_GENERICOPS_H

#include "dialects/QOpt/QOptOps.h"
#include "mlir/Dialect/Utils/StructuredOpsUtils.h"
#include "passes/Lower/ScalarMath.h"

namespace qopt {

/// One linalg.generic: `maps` has one map for each operand and the result's.
struct GenericSpec {
  llvm::SmallVector<mlir::Value> operands;
  llvm::SmallVector<mlir::AffineMap> maps;
  llvm::SmallVector<mlir::OpFoldResult> sizes; ///< of the result
  mlir::Type type;                             ///< of its elements
  /// What a reduction over the dimensions that the result lacks starts from.
  std::optional<double> start;
};

/// The elements of the operands, floats widened to f32, then the present
/// result.
using GenericBody =
    llvm::function_ref<mlir::Value(ScalarMath &, mlir::ValueRange)>;

/// Builds it at the insertion point; the body's value is rounded to `type`.
mlir::Value buildGeneric(mlir::OpBuilder &builder, mlir::Location loc,
                         const GenericSpec &spec, GenericBody body);

/// Scores and weights are f32 tensors [B, H, S, T]; sums are f32.
void lowerAttention(ir::AttentionOp op);
void lowerRotary(ir::RotaryOp op);
void lowerRoute(ir::RouteOp op);

} // namespace qopt

#endif // QOPT_PASSES_LOWER_GENERICOPS_H
