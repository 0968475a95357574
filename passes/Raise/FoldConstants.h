// The patterns of FoldConstants, for passes that fold what they uncover.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
#ifndef QOPT_PASSES_RAISE_FOLDCONSTANTS_H
#define QOPT_PASSES_RAISE_FOLDCONSTANTS_H

#include "dialects/Onnx/OnnxOps.h"
#include "mlir/IR/PatternMatch.h"

namespace qopt::passes {

/// Results up to this size become attributes.
constexpr int64_t largestFoldedBytes = 64 * 1024;

/// Adds patterns that replace onnx operators on constants by constants of at
/// most `maxBytes`.
void populateFoldConstants(mlir::RewritePatternSet &patterns,
                           int64_t maxBytes = largestFoldedBytes);

/// The axes [start, end) of a Shape of a ranked operand, clamped and counted
/// from the front.
std::pair<int64_t, int64_t> shapeRange(onnx::ShapeOp op);

} // namespace qopt::passes

#endif // QOPT_PASSES_RAISE_FOLDCONSTANTS_H
