// RMS and layer normalisations, written as one operator or spelt out in
// elementary ones, become qopt.rms_norm and qopt.layer_norm.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
#include "dialects/Onnx/OnnxDialect.h"
#include "dialects/Onnx/OnnxOps.h"
#include "dialects/QOpt/QOptDialect.h"
#include "dialects/QOpt/QOptOps.h"
#include "mlir/Transforms/GreedyPatternRewriteDriver.h"
#include "passes/Raise/OnnxValues.h"
#include "passes/Raise/Passes.h"

namespace qopt::passes {
#define GEN_PASS_DEF_RAISENORMSPASS
#include "passes/Raise/Passes.h.inc"
} // namespace qopt::passes

using namespace mlir;
using namespace qopt;
using namespace qopt::onnx;

namespace {

/// A constant vector as long as the last axis of `x`, for an operation on both.
bool isChannelVector(Value value, Value x) {
  auto type = typeOf(value);
  return isComputable(value) && isComputable(x) && type.getRank() == 1 &&
         type.getDimSize(0) == typeOf(x).getShape().back() &&
         value.getDefiningOp<ConstantOp>();
}

bool isLastAxis(int64_t axis, Value x) {
  return axis == -1 || axis == typeOf(x).getRank() - 1;
}

bool reducesLastAxis(ReduceMeanOp op) {
  auto axes = constantIntegers(op.getAxes());
  return axes && axes->size() == 1 && isLastAxis((*axes)[0], op.getData()) &&
         op.getKeepdims();
}

/// `value` = mean of x² over the last axis: returns x.
Value meanOfSquares(Value value) {
  auto mean = value.getDefiningOp<ReduceMeanOp>();
  if (!mean || !reducesLastAxis(mean))
    return {};
  if (auto power = mean.getData().getDefiningOp<PowOp>())
    return constantScalar(power.getB()) == 2.0 ? power.getA() : Value();
  auto square = mean.getData().getDefiningOp<MulOp>();
  return square && square.getA() == square.getB() ? square.getA() : Value();
}

/// `value` = s + epsilon with a constant epsilon, in either order.
std::pair<Value, double> plusEpsilon(Value value) {
  auto add = value.getDefiningOp<AddOp>();
  if (!add)
    return {};
  if (auto epsilon = constantScalar(add.getB()))
    return {add.getA(), *epsilon};
  if (auto epsilon = constantScalar(add.getA()))
    return {add.getB(), *epsilon};
  return {};
}

/// What a normalisation divides by the deviation: `value` = x / √d or x · 1/√d
/// in any of its spellings; returns {x, d}.
std::pair<Value, Value> overRoot(Value value) {
  auto rootOf = [](Value v) -> Value {
    auto root = v.getDefiningOp<SqrtOp>();
    return root ? root.getX() : Value();
  };
  if (auto divide = value.getDefiningOp<DivOp>())
    return {divide.getA(), rootOf(divide.getB())};
  auto product = value.getDefiningOp<MulOp>();
  if (!product)
    return {};
  for (auto [x, factor] : {std::pair(product.getA(), product.getB()),
                           std::pair(product.getB(), product.getA())}) {
    if (auto inverse = factor.getDefiningOp<ReciprocalOp>())
      if (Value d = rootOf(inverse.getX()))
        return {x, d};
    if (auto divide = factor.getDefiningOp<DivOp>())
      if (constantScalar(divide.getA()) == 1.0)
        if (Value d = rootOf(divide.getB()))
          return {x, d};
  }
  return {};
}

/// x · 1/√(mean(x²) + ε): returns x and ε.
std::optional<std::pair<Value, double>> matchRms(Value value) {
  auto [x, deviation] = overRoot(value);
  if (!x || !deviation)
    return std::nullopt;
  auto [variance, epsilon] = plusEpsilon(deviation);
  if (!variance || meanOfSquares(variance) != x)
    return std::nullopt;
  if (!std::isfinite(epsilon) || std::signbit(epsilon))
    return std::nullopt;
  return std::pair(x, epsilon);
}

/// x − mean(x) over the last axis: returns x.
Value centered(Value value) {
  auto difference = value.getDefiningOp<SubOp>();
  if (!difference)
    return {};
  auto mean = difference.getB().getDefiningOp<ReduceMeanOp>();
  bool matches =
      mean && reducesLastAxis(mean) && mean.getData() == difference.getA();
  return matches ? difference.getA() : Value();
}

Value convertTo(PatternRewriter &rewriter, Location loc, Value x, Type type) {
  Type element = cast<RankedTensorType>(type).getElementType();
  if (typeOf(x).getElementType() == element)
    return x;
  return CastOp::create(rewriter, loc, typeOf(x).clone(element), x);
}

/// The scale of a norm over the last axis of `x`: its own, of a row or of each
/// head, or ones and what the result is multiplied with, a constant for more of
/// the last axes.
struct NormScale {
  Value vector, factors;
};

NormScale scaleOf(OpBuilder &builder, Value scale, Value x) {
  if (typeOf(scale).getRank() <= 2)
    return {scale, Value()};
  auto type = RankedTensorType::get({typeOf(x).getShape().back()},
                                    typeOf(scale).getElementType());
  auto one = builder.getFloatAttr(type.getElementType(), 1);
  return {ConstantOp::create(builder, scale.getLoc(), type,
                             DenseElementsAttr::get(type, one)),
          scale};
}

Value timesFactors(OpBuilder &builder, Location loc, Value x, Value factors) {
  if (!factors)
    return x;
  Type element = typeOf(x).getElementType();
  if (typeOf(factors).getElementType() != element)
    factors =
        CastOp::create(builder, loc, typeOf(factors).clone(element), factors);
  return MulOp::create(builder, loc, x.getType(), x, factors);
}

/// A constant as long as the last axes of `x`.
bool isScale(Value value, Value x) {
  ArrayRef<int64_t> from = typeOf(value).getShape(), to = typeOf(x).getShape();
  return isComputable(value) && isComputable(x) && !from.empty() &&
         from.size() < to.size() && to.take_back(from.size()) == from &&
         value.getDefiningOp<ConstantOp>();
}

/// scale · normalised(x), where the normalised value is spelt out. RMS norm of
/// centred values is a layer norm.
struct RaiseSpeltOutNorm : OpRewritePattern<MulOp> {
  using OpRewritePattern::OpRewritePattern;
  LogicalResult matchAndRewrite(MulOp op,
                                PatternRewriter &rewriter) const override {
    for (auto [normed, scale] :
         {std::pair(op.getA(), op.getB()), std::pair(op.getB(), op.getA())}) {
      auto rms = matchRms(withoutFloatCasts(normed));
      if (!rms)
        continue;
      Location loc = op.getLoc();
      Value inner = centered(rms->first);
      Value x = withoutFloatCasts(inner ? inner : rms->first);
      Value norm;
      Value weights = withoutFloatCasts(scale);
      if (!isScale(weights, x))
        continue;
      NormScale factors = scaleOf(rewriter, weights, x);
      auto epsilon = static_cast<float>(rms->second);
      if (inner)
        norm = ir::LayerNormOp::create(rewriter, loc, x, factors.vector,
                                       Value(), epsilon);
      else
        norm = ir::RmsNormOp::create(rewriter, loc, x, factors.vector, epsilon);
      norm = timesFactors(rewriter, loc, norm, factors.factors);
      rewriter.replaceOp(op,
                         convertTo(rewriter, loc, norm, op.getC().getType()));
      return success();
    }
    return rewriter.notifyMatchFailure(op, "no scale times a normed value");
  }
};

/// layer_norm(x) + a constant of its scale's shape.
struct RaiseNormBias : OpRewritePattern<AddOp> {
  using OpRewritePattern::OpRewritePattern;
  LogicalResult matchAndRewrite(AddOp op,
                                PatternRewriter &rewriter) const override {
    for (auto [x, bias] :
         {std::pair(op.getA(), op.getB()), std::pair(op.getB(), op.getA())}) {
      auto norm = x.getDefiningOp<ir::LayerNormOp>();
      if (!norm || norm.getBias() || !x.hasOneUse() || !isScale(bias, x) ||
          typeOf(bias).getRank() != typeOf(norm.getScale()).getRank())
        continue;
      rewriter.replaceOpWithNewOp<ir::LayerNormOp>(
          op, norm.getX(), norm.getScale(), bias,
          norm.getEpsilon().convertToFloat());
      return success();
    }
    return rewriter.notifyMatchFailure(op, "no layer norm plus a vector");
  }
};

struct RaiseRmsNormalization : OpRewritePattern<RMSNormalizationOp> {
  using OpRewritePattern::OpRewritePattern;
  LogicalResult matchAndRewrite(RMSNormalizationOp op,
                                PatternRewriter &rewriter) const override {
    Value x = op.getX(), scale = withoutFloatCasts(op.getScale());
    if (!isLastAxis(op.getAxis(), x) || !isScale(scale, x))
      return rewriter.notifyMatchFailure(op, "not over the last axis with a "
                                             "constant scale");
    Value inner = centered(x);
    float epsilon = op.getEpsilon().convertToFloat();
    NormScale factors = scaleOf(rewriter, scale, x);
    Value norm = inner
                     ? ir::LayerNormOp::create(rewriter, op.getLoc(), inner,
                                               factors.vector, Value(), epsilon)
                           .getResult()
                     : ir::RmsNormOp::create(rewriter, op.getLoc(), x,
                                             factors.vector, epsilon)
                           .getResult();
    norm = timesFactors(rewriter, op.getLoc(), norm, factors.factors);
    rewriter.replaceOp(
        op, convertTo(rewriter, op.getLoc(), norm, op.getY().getType()));
    return success();
  }
};

struct RaiseLayerNormalization : OpRewritePattern<LayerNormalizationOp> {
  using OpRewritePattern::OpRewritePattern;
  LogicalResult matchAndRewrite(LayerNormalizationOp op,
                                PatternRewriter &rewriter) const override {
    auto unused = [](Value v) { return isAbsent(v) || v.use_empty(); };
    if (!unused(op.getMean()) || !unused(op.getInvStdDev()))
      return rewriter.notifyMatchFailure(op, "mean or deviation is used");
    Value x = op.getX(), scale = op.getScale();
    Value bias = isAbsent(op.getBias()) ? Value() : op.getBias();
    if (!isLastAxis(op.getAxis(), x) || !isChannelVector(scale, x) ||
        (bias && !isChannelVector(bias, x)))
      return rewriter.notifyMatchFailure(op, "not over the last axis with a "
                                             "constant scale");
    Value norm = ir::LayerNormOp::create(rewriter, op.getLoc(), x, scale, bias,
                                         op.getEpsilon().convertToFloat());
    Value none = NoneOp::create(rewriter, op.getLoc(), rewriter.getNoneType());
    rewriter.replaceOp(op, {norm, none, none});
    return success();
  }
};

struct RaiseNorms : qopt::passes::impl::RaiseNormsPassBase<RaiseNorms> {
  void runOnOperation() override {
    RewritePatternSet patterns(&getContext());
    patterns.add<RaiseSpeltOutNorm, RaiseNormBias, RaiseRmsNormalization,
                 RaiseLayerNormalization>(&getContext());
    if (failed(applyPatternsGreedily(getOperation(), std::move(patterns))))
      signalPassFailure();
  }
};

} // namespace
