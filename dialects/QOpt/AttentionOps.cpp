// Verifiers and shapes of rotary embedding and dense attention.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
#include "dialects/QOpt/QOptOps.h"
#include "dialects/QOpt/Shapes.h"

using namespace mlir;
using namespace qopt::ir;

//===- rotary_table -------------------------------------------------------===//

void RotaryTableOp::build(OpBuilder &builder, OperationState &state,
                          Value positions, Value invFreq, float scale) {
  SmallVector<int64_t> shape(shapeOf(positions));
  shape.push_back(shapeOf(invFreq).front());
  auto type = RankedTensorType::get(shape, builder.getF32Type());
  build(builder, state, type, type, positions, invFreq,
        builder.getF32FloatAttr(scale));
}

LogicalResult RotaryTableOp::verify() {
  SmallVector<int64_t> expected(shapeOf(getPositions()));
  expected.push_back(shapeOf(getInvFreq()).front());
  if (failed(verifyShape(*this, "the table of cosines", shapeOf(getCos()),
                         expected))) // (C1)
    return failure();
  return verifyShape(*this, "the table of sines", shapeOf(getSin()),
                     expected); // (C1)
}

LogicalResult
RotaryTableOp::reifyResultShapes(OpBuilder &builder,
                                 ReifiedRankedShapedTypeDims &shapes) {
  FailureOr<SmallVector<OpFoldResult>> rows =
      sizesOf(builder, getLoc(), getPositions());
  FailureOr<SmallVector<OpFoldResult>> columns =
      sizesOf(builder, getLoc(), getInvFreq());
  if (failed(rows) || failed(columns))
    return failure();
  rows->push_back(columns->front());
  shapes.assign(2, *rows);
  return success();
}

std::optional<int64_t> RotaryTableOp::getFeatureRank(OpOperand &operand) {
  return operand.getOperandNumber() == 0 ? std::optional<int64_t>(0)
                                         : std::nullopt;
}
int64_t RotaryTableOp::getResultFeatureRank() { return 1; }

//===- rotary -------------------------------------------------------------===//

LogicalResult RotaryOp::verify() {
  ArrayRef<int64_t> x = shapeOf(getX()), cos = shapeOf(getCos());
  if (x.size() < 2 || ShapedType::isDynamic(x.back())) // (C1)
    return emitOpError() << "x has shape " << spellShape(x)
                         << "; expected dimensions for heads and channels, the "
                            "last one static";
  if (getCos().getType() != getSin().getType()) // (C2)
    return emitOpError() << "cos has type " << getCos().getType() << " and sin "
                         << getSin().getType() << "; expected the same";
  if (cos.empty() || ShapedType::isDynamic(cos.back()) ||
      2 * cos.back() > x.back()) // (C2)
    return emitOpError() << "cos has shape " << spellShape(cos)
                         << "; expected a last dimension of at most "
                         << x.back() / 2 << ", half of the channels of x";
  ArrayRef<int64_t> rows = cos.drop_back(), tokens = x.drop_back(2);
  bool leading = true; // (C3): still among the dimensions that may be 1
  bool agree = rows.size() <= tokens.size();
  for (size_t i = 0; agree && i < rows.size(); ++i) {
    leading &= rows[i] == 1;
    agree =
        leading || sizesAgree(rows[i], tokens[tokens.size() - rows.size() + i]);
  }
  if (!agree) // (C3)
    return emitOpError() << "cos has shape " << spellShape(cos)
                         << ", which does not fit x of shape " << spellShape(x)
                         << "; expected its dimensions before heads, leading "
                            "ones 1 or absent";
  return success();
}

LogicalResult RotaryOp::reifyResultShapes(OpBuilder &builder,
                                          ReifiedRankedShapedTypeDims &shapes) {
  return reifyLike(builder, *this, getX(), shapes);
}

std::optional<int64_t> RotaryOp::getFeatureRank(OpOperand &operand) {
  return operand.getOperandNumber() == 0 ? 2 : 1;
}
int64_t RotaryOp::getResultFeatureRank() { return 2; }

//===- attention ----------------------------------------------------------===//

/// (C1): the shapes of q, k, v and y, which is called `name`.
static LogicalResult verifyAttentionShapes(Operation *op, Value qValue,
                                           Value kValue, Value vValue,
                                           Value yValue, StringRef name) {
  ArrayRef<int64_t> q = shapeOf(qValue), k = shapeOf(kValue),
                    v = shapeOf(vValue), y = shapeOf(yValue);
  for (auto [operand, shape] :
       {std::pair(StringRef("q"), q), {"k", k}, {"v", v}, {name, y}})
    if (shape.size() != 4)
      return op->emitOpError() << operand << " has " << shape.size()
                               << " dimensions; expected four";
  if (failed(verifyShape(op, "k", k, {q[0], k[1], k[2], q[3]})) ||
      failed(verifyShape(op, "v", v, {q[0], k[1], k[2], v[3]})))
    return failure();
  return verifyShape(op, name, y, {q[0], q[1], q[2], v[3]});
}

/// (C2) to (C4), of attention and of its gradient.
template <typename Op> static LogicalResult verifyScores(Op op) {
  ArrayRef<int64_t> q = shapeOf(op.getQ()), k = shapeOf(op.getK());
  if (ShapedType::isDynamic(q[2]) || ShapedType::isDynamic(k[1]) ||
      q[2] % k[1]) // (C2)
    return op.emitOpError()
           << "the " << spellShape(k[1]) << " heads of k do not divide the "
           << spellShape(q[2]) << " heads of q";
  if (op.getMask()) { // (C3)
    ArrayRef<int64_t> mask = shapeOf(op.getMask());
    int64_t scores[] = {q[0], q[2], q[1], k[2]};
    bool agree = mask.size() <= 4;
    for (size_t i = 0; agree && i < mask.size(); ++i)
      agree = mask[i] == 1 || sizesAgree(mask[i], scores[4 - mask.size() + i]);
    if (!agree)
      return op.emitOpError()
             << "the mask has shape " << spellShape(mask)
             << ", which does not broadcast to " << spellShape(scores);
  }
  if (op.getWindow() && (*op.getWindow() <= 0 || !op.getCausal())) // (C4)
    return op.emitOpError()
           << "a window is positive and of causal attention; got "
           << *op.getWindow();
  if (op.getSoftcap() && !(op.getSoftcap()->convertToFloat() > 0)) // (C4)
    return op.emitOpError() << "a softcap is positive; got "
                            << op.getSoftcap()->convertToFloat();
  return success();
}

LogicalResult AttentionOp::verify() {
  if (failed(verifyAttentionShapes(*this, getQ(), getK(), getV(), getResult(),
                                   "the result"))) // (C1)
    return failure();
  return verifyScores(*this);
}

LogicalResult
AttentionOp::reifyResultShapes(OpBuilder &builder,
                               ReifiedRankedShapedTypeDims &shapes) {
  FailureOr<SmallVector<OpFoldResult>> sizes =
      sizesOf(builder, getLoc(), getQ());
  FailureOr<SmallVector<OpFoldResult>> values =
      sizesOf(builder, getLoc(), getV());
  if (failed(sizes) || failed(values))
    return failure();
  sizes->back() = values->back();
  shapes.assign(1, *sizes);
  return success();
}

//===- attention_gradient -------------------------------------------------===//

void AttentionGradientOp::build(OpBuilder &builder, OperationState &state,
                                AttentionOp attention, Value gradient) {
  Value q = attention.getQ(), k = attention.getK(), v = attention.getV();
  build(builder, state, q.getType(), k.getType(), v.getType(), q, k, v,
        attention.getResult(), gradient, attention.getMask(),
        attention.getScaleAttr(), attention.getCausalAttr(),
        attention.getWindowAttr(), attention.getSoftcapAttr(), IntegerAttr());
}

LogicalResult AttentionGradientOp::verify() {
  if (failed(verifyAttentionShapes(*this, getQ(), getK(), getV(), getY(),
                                   "y"))) // (C1)
    return failure();
  if (getDistance() && (*getDistance() <= 0 || !getCausal())) // (C5)
    return emitOpError() << "a distance is positive and of causal attention; "
                            "got "
                         << *getDistance();
  return verifyScores(*this);
}

LogicalResult
AttentionGradientOp::reifyResultShapes(OpBuilder &builder,
                                       ReifiedRankedShapedTypeDims &shapes) {
  for (Value like : {getQ(), getK(), getV()}) {
    FailureOr<SmallVector<OpFoldResult>> sizes =
        sizesOf(builder, getLoc(), like);
    if (failed(sizes))
      return failure();
    shapes.push_back(*sizes);
  }
  return success();
}
