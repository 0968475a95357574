// Verifiers, shapes and folds of linear, embedding and the activations.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
#include "dialects/QOpt/QOptOps.h"
#include "dialects/QOpt/Shapes.h"

using namespace mlir;
using namespace qopt::ir;

/// `shape` with another last dimension.
static SmallVector<int64_t> withLast(ArrayRef<int64_t> shape, int64_t last) {
  SmallVector<int64_t> result(shape);
  result.back() = last;
  return result;
}

//===- linear -------------------------------------------------------------===//

void LinearOp::build(OpBuilder &builder, OperationState &state, Value x,
                     Value weight, Value bias, Value residual) {
  auto type = cast<ShapedType>(x.getType());
  auto result = RankedTensorType::get(
      withLast(type.getShape(), cast<WeightType>(weight.getType()).getRows()),
      type.getElementType());
  build(builder, state, result, x, weight, bias, residual);
}

void LinearOp::build(OpBuilder &builder, OperationState &state, Type result,
                     Value x, Value weight, Value bias, Value residual) {
  build(builder, state, result, x, weight, bias, residual, /*share=*/Value(),
        /*taken=*/FloatAttr());
}

LogicalResult LinearOp::verify() {
  ArrayRef<int64_t> shape = shapeOf(getX());
  WeightType weight = getWeight().getType();
  if (shape.empty() || !sizesAgree(shape.back(), weight.getColumns())) // (C1)
    return emitOpError() << "x has shape " << spellShape(shape)
                         << "; expected a last dimension of "
                         << weight.getColumns()
                         << ", the columns of the weight";
  if (failed(verifyShape(*this, "the result", shapeOf(getResult()),
                         withLast(shape, weight.getRows())))) // (C2)
    return failure();
  if (getBias() && failed(verifyShape(*this, "the bias", shapeOf(getBias()),
                                      weight.getRows()))) // (C3)
    return failure();
  if (getResidual() && getResidual().getType() != getResult().getType()) // (C4)
    return emitOpError() << "the residual has type " << getResidual().getType()
                         << "; expected that of the result, "
                         << getResult().getType();
  if (!getShare()) // (C5)
    return success();
  if (getResidual())
    return emitOpError("it has a share and a residual; expected one of them");
  if (!cast<ShapedType>(getShare().getType()).getElementType().isF32())
    return emitOpError() << "the share has type " << getShare().getType()
                         << "; expected elements of f32";
  return verifyShape(*this, "the share", shapeOf(getShare()),
                     withLast(shape, 1));
}

LogicalResult LinearOp::reifyResultShapes(OpBuilder &builder,
                                          ReifiedRankedShapedTypeDims &shapes) {
  return reifyLike(builder, *this, getX(), shapes,
                   getWeight().getType().getRows());
}

std::optional<int64_t> LinearOp::getFeatureRank(OpOperand &operand) {
  if (operand.get() == getX() || operand.get() == getResidual() ||
      operand.get() == getShare())
    return 1;
  return std::nullopt;
}
int64_t LinearOp::getResultFeatureRank() { return 1; }

//===- embedding ----------------------------------------------------------===//

LogicalResult EmbeddingOp::verify() {
  if (!getWeight().getType().hasOneFormat()) // (C2)
    return emitOpError() << "the weight has the formats "
                         << getWeight().getType().spellFormats()
                         << "; expected one for all rows";
  SmallVector<int64_t> expected(shapeOf(getIds()));
  expected.push_back(getWeight().getType().getColumns());
  return verifyShape(*this, "the result", shapeOf(getResult()),
                     expected); // (C1)
}

LogicalResult
EmbeddingOp::reifyResultShapes(OpBuilder &builder,
                               ReifiedRankedShapedTypeDims &shapes) {
  FailureOr<SmallVector<OpFoldResult>> sizes =
      sizesOf(builder, getLoc(), getIds());
  if (failed(sizes))
    return failure();
  sizes->push_back(builder.getIndexAttr(getWeight().getType().getColumns()));
  shapes.assign(1, *sizes);
  return success();
}

std::optional<int64_t> EmbeddingOp::getFeatureRank(OpOperand &operand) {
  return operand.getOperandNumber() == 0 ? std::optional<int64_t>(0)
                                         : std::nullopt;
}
int64_t EmbeddingOp::getResultFeatureRank() { return 1; }
bool EmbeddingOp::looksUpRows() { return true; }

//===- activation ---------------------------------------------------------===//

void ActivationOp::build(OpBuilder &builder, OperationState &state,
                         Function function, Value x) {
  build(builder, state, x.getType(), function, x);
}

LogicalResult ActivationOp::verify() {
  return verifyLikeOperand(*this, getResult(), getX());
} // (C1)

OpFoldResult ActivationOp::fold(FoldAdaptor) {
  auto producer = getX().getDefiningOp<ActivationOp>();
  bool twice = getFunction() == Function::Relu && producer &&
               producer.getFunction() == Function::Relu;
  return twice && getResult().getType() == getX().getType() ? getX() : Value();
}

LogicalResult
ActivationOp::reifyResultShapes(OpBuilder &builder,
                                ReifiedRankedShapedTypeDims &shapes) {
  return reifyLike(builder, *this, getX(), shapes);
}

std::optional<int64_t> ActivationOp::getFeatureRank(OpOperand &) { return 1; }
int64_t ActivationOp::getResultFeatureRank() { return 1; }

//===- gated_activation ---------------------------------------------------===//

/// The number of channels of the result.
static int64_t gatedColumns(Value gate, Value up) {
  int64_t columns = shapeOf(gate).back();
  return up || ShapedType::isDynamic(columns) ? columns : columns / 2;
}

void GatedActivationOp::build(OpBuilder &builder, OperationState &state,
                              Function function, Value gate, Value up) {
  auto type = cast<RankedTensorType>(gate.getType());
  build(builder, state,
        type.clone(withLast(type.getShape(), gatedColumns(gate, up))), function,
        gate, up);
}

LogicalResult GatedActivationOp::verify() {
  ArrayRef<int64_t> shape = shapeOf(getGate());
  if (getUp() && getUp().getType() != getGate().getType()) // (C1)
    return emitOpError() << "up has type " << getUp().getType()
                         << "; expected that of the gate, "
                         << getGate().getType();
  if (!getUp() && (shape.empty() || ShapedType::isDynamic(shape.back()) ||
                   shape.back() % 2)) // (C1)
    return emitOpError() << "without up the gate has an even last dimension, "
                            "for both halves; got shape "
                         << spellShape(shape);
  SmallVector<int64_t> expected(shape);
  if (!getUp())
    expected = withLast(shape, gatedColumns(getGate(), getUp()));
  if (failed(verifyShape(*this, "the result", shapeOf(getResult()),
                         expected))) // (C2)
    return failure();
  auto tensor = dyn_cast<RankedTensorType>(getResult().getType());
  if (tensor &&
      tensor.getElementType() != getGate().getType().getElementType()) // (C2)
    return emitOpError() << "the result has element type "
                         << tensor.getElementType() << "; expected "
                         << getGate().getType().getElementType();
  return success();
}

LogicalResult
GatedActivationOp::reifyResultShapes(OpBuilder &builder,
                                     ReifiedRankedShapedTypeDims &shapes) {
  if (getUp())
    return reifyLike(builder, *this, getGate(), shapes);
  return reifyLike(builder, *this, getGate(), shapes,
                   gatedColumns(getGate(), getUp()));
}

std::optional<int64_t> GatedActivationOp::getFeatureRank(OpOperand &) {
  return 1;
}
int64_t GatedActivationOp::getResultFeatureRank() { return 1; }
