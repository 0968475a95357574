// Mixtures of experts with a loop over all experts weight each with a column of
// a matrix that is zero but for a token's largest probabilities.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
#include "passes/Raise/RaiseRouting.h"
#include "dialects/Onnx/OnnxOps.h"
#include "dialects/QOpt/QOptOps.h"
#include "passes/Raise/OnnxBuilder.h"
#include "passes/Raise/OnnxValues.h"

using namespace mlir;

namespace qopt::onnx {
namespace {

bool isLastAxis(int64_t axis, Value x) {
  return axis == -1 || axis == typeOf(x).getRank() - 1;
}

/// A constant of zeros, or such a one repeated.
bool isZero(Value value) {
  if (auto expand = value.getDefiningOp<ExpandOp>())
    value = expand.getData();
  auto constant = value.getDefiningOp<ConstantOp>();
  auto data = constant ? dyn_cast<DenseElementsAttr>(constant.getValue())
                       : DenseElementsAttr();
  return data && data.isSplat() && isa<FloatType>(data.getElementType()) &&
         data.getSplatValue<APFloat>().isZero();
}

/// Whether `sum` adds up the last axis of `values` and keeps it.
bool isSumOf(Value sum, Value values) {
  auto op = sum.getDefiningOp<ReduceSumOp>();
  if (!op || op.getData() != values || !op.getKeepdims() ||
      isAbsent(op.getAxes()))
    return false;
  auto axes = constantIntegers(op.getAxes());
  return axes && axes->size() == 1 && isLastAxis((*axes)[0], values);
}

/// The largest of a last axis, put where they came from among zeros.
struct RaiseRouting : OpRewritePattern<ScatterElementsOp> {
  using OpRewritePattern::OpRewritePattern;
  LogicalResult matchAndRewrite(ScatterElementsOp op,
                                PatternRewriter &rewriter) const override {
    auto largest = op.getIndices().getDefiningOp<TopKOp>();
    Value updates = op.getUpdates();
    auto divided = updates.getDefiningOp<DivOp>();
    bool normalized = divided && isSumOf(divided.getB(), divided.getA());
    if (normalized)
      updates = divided.getA();
    if (!largest || op.getIndices() != largest.getIndices() ||
        updates != largest.getValues() || !largest.getLargest() ||
        op.getData().getType() != largest.getX().getType() ||
        !isLastAxis(largest.getAxis(), largest.getX()) ||
        !isLastAxis(op.getAxis(), op.getData()) ||
        op.getReduction() != "none" || !isZero(op.getData()))
      return rewriter.notifyMatchFailure(op, "no largest among zeros");
    auto softmax = withoutFloatCasts(largest.getX()).getDefiningOp<SoftmaxOp>();
    auto count = constantIntegers(largest.getK());
    if (!softmax || !isLastAxis(softmax.getAxis(), softmax.getX()) ||
        !isComputable(softmax.getX()) || !isComputable(op.getResult()) ||
        !count || count->size() != 1)
      return rewriter.notifyMatchFailure(op, "no known number of the largest "
                                             "of a softmax");
    Value scores = softmax.getX();
    int64_t experts = typeOf(scores).getShape().back();
    if (ShapedType::isDynamic(experts) || (*count)[0] < 1 ||
        (*count)[0] > experts)
      return rewriter.notifyMatchFailure(op, "the experts are not known");
    Value weights = ir::RouteOp::create(rewriter, op.getLoc(), scores,
                                        (*count)[0], normalized);
    if (weights.getType() != op.getResult().getType())
      weights = OnnxBuilder(rewriter, op.getLoc())
                    .cast(weights, OnnxBuilder::elementOf(op.getResult()));
    rewriter.replaceOp(op, weights);
    return success();
  }
};

} // namespace

void addRoutingPatterns(RewritePatternSet &patterns) {
  patterns.add<RaiseRouting>(patterns.getContext());
}

} // namespace qopt::onnx
