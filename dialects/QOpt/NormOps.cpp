// Verifiers and shapes of the norms.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
#include "dialects/QOpt/QOptOps.h"
#include "dialects/QOpt/Shapes.h"

using namespace mlir;
using namespace qopt::ir;

/// What both norms ask; `bias` may be null.
static LogicalResult verifyNorm(Operation *op, Value x, Value scale, Value bias,
                                const APFloat &epsilon) {
  ArrayRef<int64_t> shape = shapeOf(x);
  if (shape.empty() || ShapedType::isDynamic(shape.back())) // (C1)
    return op->emitOpError() << "x has shape " << spellShape(shape)
                             << "; expected a static last dimension";
  ArrayRef<int64_t> last =
      shape.take_back(std::min(shape.size(), shapeOf(scale).size()));
  if (ShapedType::isDynamicShape(last)) // (C1)
    return op->emitOpError()
           << "x has shape " << spellShape(shape) << " and the scale "
           << spellShape(shapeOf(scale)) << "; expected static heads";
  if (failed(verifyShape(op, "the scale", shapeOf(scale), last))) // (C1)
    return failure();
  if (bias && failed(verifyShape(op, "the bias", shapeOf(bias), last))) // (C1)
    return failure();
  if (failed(verifyLikeOperand(op, op->getResult(0), x))) // (C2)
    return failure();
  if (epsilon.isNegative() || !epsilon.isFinite()) // (C3)
    return op->emitOpError("epsilon is a finite number that is not negative");
  return success();
}

void RmsNormOp::build(OpBuilder &builder, OperationState &state, Value x,
                      Value scale, float epsilon) {
  build(builder, state, x.getType(), x, scale,
        builder.getF32FloatAttr(epsilon));
}

LogicalResult RmsNormOp::verify() {
  return verifyNorm(*this, getX(), getScale(), Value(), getEpsilon());
}

LogicalResult
RmsNormOp::reifyResultShapes(OpBuilder &builder,
                             ReifiedRankedShapedTypeDims &shapes) {
  return reifyLike(builder, *this, getX(), shapes);
}

std::optional<int64_t> RmsNormOp::getFeatureRank(OpOperand &operand) {
  return operand.getOperandNumber() == 0
             ? std::optional<int64_t>(getResultFeatureRank())
             : std::nullopt;
}
int64_t RmsNormOp::getResultFeatureRank() {
  return int64_t(shapeOf(getScale()).size());
}

void LayerNormOp::build(OpBuilder &builder, OperationState &state, Value x,
                        Value scale, Value bias, float epsilon) {
  build(builder, state, x.getType(), x, scale, bias,
        builder.getF32FloatAttr(epsilon));
}

LogicalResult LayerNormOp::verify() {
  return verifyNorm(*this, getX(), getScale(), getBias(), getEpsilon());
}

LogicalResult
LayerNormOp::reifyResultShapes(OpBuilder &builder,
                               ReifiedRankedShapedTypeDims &shapes) {
  return reifyLike(builder, *this, getX(), shapes);
}

std::optional<int64_t> LayerNormOp::getFeatureRank(OpOperand &operand) {
  return operand.getOperandNumber() == 0
             ? std::optional<int64_t>(getResultFeatureRank())
             : std::nullopt;
}
int64_t LayerNormOp::getResultFeatureRank() {
  return int64_t(shapeOf(getScale()).size());
}
