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
  if (QuantizedType::isCentred(getResult().getType().getFormat())) // (C3)
    return emitOpError() << "the result has type " << getResult().getType()
                         << "; expected no zero points, which codes of a model "
                            "alone have";
  return verifyLikeOperand(*this, getResult(), getX());
} // (C1) (C2)

LogicalResult
QuantizeOp::reifyResultShapes(OpBuilder &builder,
                              ReifiedRankedShapedTypeDims &shapes) {
  return reifyLike(builder, *this, getX(), shapes);
}

std::optional<int64_t> QuantizeOp::getFeatureRank(OpOperand &) { return 1; }
int64_t QuantizeOp::getResultFeatureRank() { return 1; }

LogicalResult FromCodesOp::verify() {
  QuantizedType type = getResult().getType();
  if (failed(verifyShape(*this, "the result", type.getShape(),
                         shapeOf(getCodes())))) // (C1)
    return failure();
  if (!QuantizedType::isCentred(type.getFormat())) // (C2)
    return emitOpError() << "the result has type " << type
                         << "; expected the format \"int8_asym\"";
  auto isOne = [](RankedTensorType tensor) {
    return tensor.hasStaticShape() && tensor.getNumElements() == 1;
  };
  if (isOne(getScale().getType()) && isOne(getZero().getType()) &&
      getZero().getType().getElementType() ==
          getCodes().getType().getElementType()) // (C3)
    return success();
  return emitOpError() << "scale and zero point have types "
                       << getScale().getType() << " and " << getZero().getType()
                       << "; expected one element each, the zero point's of "
                       << getCodes().getType().getElementType();
}

LogicalResult
FromCodesOp::reifyResultShapes(OpBuilder &builder,
                               ReifiedRankedShapedTypeDims &shapes) {
  return reifyLike(builder, *this, getCodes(), shapes);
}

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
