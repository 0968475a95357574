// Questions that the patterns of SimplifyOnnx share.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
#ifndef QOPT_PASSES_RAISE_SIMPLIFYONNX_H
#define QOPT_PASSES_RAISE_SIMPLIFYONNX_H

#include "dialects/Onnx/OnnxOps.h"
#include "mlir/IR/PatternMatch.h"

namespace qopt::passes {

/// Whether all dimensions that `wide` knows `exact` knows too, as the same.
bool isAtLeastAsExact(mlir::Type exact, mlir::Type wide);

/// Whether a value that equals the op's first result can take its place: its
/// type says no less, and users outside onnx see no other type.
bool mayReplace(mlir::Operation *op, mlir::Value value);

/// Replaces an op of one used result by a value that is equal to it, where the
/// value's type says no less and every user accepts it.
mlir::LogicalResult replaceByEqual(mlir::Operation *op, mlir::Value value,
                                   mlir::PatternRewriter &rewriter);

/// True when every element of a constant is this number.
bool isConstantOf(mlir::Value value, double number);

/// Moves of data: Transpose, Reshape, Squeeze, Slice, Concat, Expand, …
void populateSimplifyMoves(mlir::RewritePatternSet &patterns);
/// Pieces of the last axis are cut before a transpose of the other axes. Not
/// for SimplifyOnnx: a rotation that is still spelt out would lose its operand.
void populateCutBeforeTranspose(mlir::RewritePatternSet &patterns);
/// Arithmetic with neutral elements, logic, casts, branches.
void populateSimplifyArithmetic(mlir::RewritePatternSet &patterns);
/// Arithmetic on shapes: parts of Shape, guards against -1.
void populateSimplifyShapes(mlir::RewritePatternSet &patterns);

} // namespace qopt::passes

#endif // QOPT_PASSES_RAISE_SIMPLIFYONNX_H
