// Verifier and shapes of route.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
#include "dialects/QOpt/QOptOps.h"
#include "dialects/QOpt/Shapes.h"

using namespace mlir;
using namespace qopt::ir;

void RouteOp::build(OpBuilder &builder, OperationState &state, Value scores,
                    int64_t count, bool normalized) {
  build(builder, state, scores.getType(), scores,
        builder.getI64IntegerAttr(count),
        normalized ? builder.getUnitAttr() : UnitAttr());
}

LogicalResult RouteOp::verify() {
  ArrayRef<int64_t> shape = shapeOf(getScores());
  if (shape.empty() || ShapedType::isDynamic(shape.back())) // (C1)
    return emitOpError() << "scores have shape " << spellShape(shape)
                         << "; expected a last dimension that is known, the "
                            "number of experts";
  if (getCount() < 1 || getCount() > uint64_t(shape.back())) // (C1)
    return emitOpError() << "a token takes " << int64_t(getCount())
                         << " experts; expected 1 to " << shape.back();
  return success();
}

LogicalResult RouteOp::reifyResultShapes(OpBuilder &builder,
                                         ReifiedRankedShapedTypeDims &shapes) {
  return reifyLike(builder, *this, getScores(), shapes);
}

std::optional<int64_t> RouteOp::getFeatureRank(OpOperand &) { return 1; }
int64_t RouteOp::getResultFeatureRank() { return 1; }
