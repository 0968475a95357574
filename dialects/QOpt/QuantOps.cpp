// Verifiers, shapes and rewrites of quantize and dequantize.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
#include "dialects/QOpt/QOptOps.h"
#include "dialects/QOpt/Shapes.h"

using namespace mlir;
using namespace qopt::ir;

void QuantizeOp::build(OpBuilder &builder, OperationState &state, Value x,
                       qopt::quant::Format format) {
  build(builder, state,
        QuantizedType::get(builder.getContext(), shapeOf(x), format), x);
}

LogicalResult QuantizeOp::verify() {
  return verifyLikeOperand(*this, getResult(), getX());
} // (C1) (C2)

LogicalResult
QuantizeOp::reifyResultShapes(OpBuilder &builder,
                              ReifiedRankedShapedTypeDims &shapes) {
  return reifyLike(builder, *this, getX(), shapes);
}

std::optional<int64_t> QuantizeOp::getFeatureRank(OpOperand &) { return 1; }
int64_t QuantizeOp::getResultFeatureRank() { return 1; }

LogicalResult DequantizeOp::verify() {
  return verifyShape(*this, "the result", shapeOf(getResult()),
                     shapeOf(getX())); // (C1)
}

LogicalResult
DequantizeOp::reifyResultShapes(OpBuilder &builder,
                                ReifiedRankedShapedTypeDims &shapes) {
  return reifyLike(builder, *this, getX(), shapes);
}

std::optional<int64_t> DequantizeOp::getFeatureRank(OpOperand &) { return 1; }
int64_t DequantizeOp::getResultFeatureRank() { return 1; }
