// Operators of the default domain that say in one node what others say in
// several: quantization by a tensor's own range, normalization of groups,
// convolution with a state. Written out, they need no patterns and no kernels
// of their own.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
#include "dialects/Onnx/OnnxDialect.h"
#include "dialects/Onnx/OnnxOps.h"
#include "dialects/Onnx/RaisingLimits.h"
#include "mlir/Transforms/GreedyPatternRewriteDriver.h"
#include "passes/Raise/OnnxBuilder.h"
#include "passes/Raise/Passes.h"

namespace qopt::passes {
#define GEN_PASS_DEF_EXPANDONNXPASS
#include "passes/Raise/Passes.h.inc"
} // namespace qopt::passes

using namespace mlir;
using namespace qopt::onnx;

namespace {

/// Codes of [min(x, 0), max(x, 0)] in 255 steps; a tensor of zeros has scale 0
/// and codes 0.
struct ExpandDynamicQuantize : OpRewritePattern<DynamicQuantizeLinearOp> {
  using OpRewritePattern::OpRewritePattern;
  LogicalResult matchAndRewrite(DynamicQuantizeLinearOp op,
                                PatternRewriter &rewriter) const override {
    OnnxBuilder b(rewriter, op.getLoc());
    Type f32 = rewriter.getF32Type();
    auto scalar = RankedTensorType::get({}, f32);
    Value x = op.getX(), none = b.none(), zero = b.number(0, f32);
    auto no = rewriter.getBoolAttr(false);
    Value low = ReduceMinOp::create(rewriter, b.loc, scalar, x, none, no, no);
    Value high = ReduceMaxOp::create(rewriter, b.loc, scalar, x, none, no, no);
    low = MinOp::create(rewriter, b.loc, scalar, ValueRange{low, zero});
    high = MaxOp::create(rewriter, b.loc, scalar, ValueRange{high, zero});
    Value steps = b.number(255, f32);
    Value scale = b.binary<DivOp>(b.binary<SubOp>(high, low), steps);
    Value divisor =
        b.where(b.compare<EqualOp>(scale, zero), b.number(1, f32), scale);
    Value place = b.binary<DivOp>(b.binary<SubOp>(zero, low), divisor);
    place = MinOp::create(rewriter, b.loc, scalar, ValueRange{place, steps});
    Value code = b.cast(RoundOp::create(rewriter, b.loc, scalar, place),
                        OnnxBuilder::elementOf(op.getZeroPoint()));
    Value y = QuantizeLinearOp::create(rewriter, b.loc, op.getY().getType(),
                                       ValueRange{x, divisor, code});
    rewriter.replaceOp(op, {y, scale, code});
    return success();
  }
};

/// Moments over [N, groups, the rest]; scale and bias are one a channel.
struct ExpandGroupNormalization : OpRewritePattern<GroupNormalizationOp> {
  using OpRewritePattern::OpRewritePattern;
  LogicalResult matchAndRewrite(GroupNormalizationOp op,
                                PatternRewriter &rewriter) const override {
    OnnxBuilder b(rewriter, op.getLoc());
    Value x = op.getX();
    Type type = OnnxBuilder::elementOf(x);
    bool isWide = op.getStashType() == 1 && !type.isF64();
    Value rows = b.reshape(isWide ? b.cast(x, rewriter.getF32Type()) : x,
                           {0, static_cast<int64_t>(op.getNumGroups()), -1});
    Value distance = b.binary<SubOp>(rows, b.meanOfLast(rows));
    Value variance = b.meanOfLast(b.binary<MulOp>(distance, distance));
    Value epsilon = b.number(op.getEpsilon().convertToDouble(),
                             OnnxBuilder::elementOf(rows));
    Value shifted = b.binary<AddOp>(variance, epsilon);
    Value deviation =
        SqrtOp::create(rewriter, b.loc, shifted.getType(), shifted);
    Value normal = b.cast(b.binary<DivOp>(distance, deviation), type);
    normal = ReshapeOp::create(rewriter, b.loc, x.getType(), normal, b.shape(x),
                               rewriter.getBoolAttr(false));
    auto axes = llvm::to_vector(
        llvm::seq<int64_t>(1, OnnxBuilder::typeOf(x).getRank() - 1));
    Value scaled = b.binary<MulOp>(normal, b.unsqueeze(op.getScale(), axes));
    rewriter.replaceOp(
        op, b.binary<AddOp>(scaled, b.unsqueeze(op.getBias(), axes)));
    return success();
  }
};

/// The state and x in one row [B, C, k - 1 + L]: a depthwise convolution reads
/// it, its end is the next state.
struct ExpandCausalConv : OpRewritePattern<CausalConvWithStateOp> {
  using OpRewritePattern::OpRewritePattern;
  LogicalResult matchAndRewrite(CausalConvWithStateOp op,
                                PatternRewriter &rewriter) const override {
    if (StringRef limit = limitOf(op); !limit.empty())
      return rewriter.notifyMatchFailure(op, limit);
    OnnxBuilder b(rewriter, op.getLoc());
    int64_t width = OnnxBuilder::typeOf(op.getW()).getDimSize(2);
    int64_t channels = OnnxBuilder::typeOf(op.getW()).getDimSize(0);
    Value row = op.getX();
    if (width > 1)
      row = b.concat({stateOf(b, op, width - 1), row}, 2);
    Value y = ConvOp::create(
        rewriter, b.loc, op.getY().getType(), row, op.getW(), op.getBias(),
        rewriter.getStringAttr("NOTSET"), rewriter.getDenseI64ArrayAttr({1}),
        rewriter.getI64IntegerAttr(channels),
        rewriter.getDenseI64ArrayAttr({width}),
        rewriter.getDenseI64ArrayAttr({0, 0}),
        rewriter.getDenseI64ArrayAttr({1}));
    if (op.getActivation() != "none")
      y = b.binary<MulOp>(y,
                          SigmoidOp::create(rewriter, b.loc, y.getType(), y));
    // Of width 1 there is no state: it begins at the end.
    int64_t begin = width > 1 ? 1 - width : INT64_MAX;
    Value state =
        SliceOp::create(rewriter, b.loc, op.getPresentState().getType(), row,
                        b.integers({begin}), b.integers({INT64_MAX}),
                        b.integers({2}), b.none());
    rewriter.replaceOp(op, {y, state});
    return success();
  }

  static Value stateOf(OnnxBuilder &b, CausalConvWithStateOp op,
                       int64_t columns) {
    // As long as it has to be, which a call is asked for.
    if (!isAbsent(op.getPastState()))
      return b.reshape(op.getPastState(), {0, 0, columns});
    auto type = OnnxBuilder::typeOf(op.getX());
    Value sizes =
        b.concat({b.shape(op.getX(), 0, 2), b.integers({columns})}, 0);
    return ExpandOp::create(
        b.builder, b.loc,
        RankedTensorType::get({type.getDimSize(0), type.getDimSize(1), columns},
                              type.getElementType()),
        b.number(0, type.getElementType()), sizes);
  }
};

/// A depth that the file gives as a float says how many classes there are.
struct CountDepth : OpRewritePattern<OneHotOp> {
  using OpRewritePattern::OpRewritePattern;
  LogicalResult matchAndRewrite(OneHotOp op,
                                PatternRewriter &rewriter) const override {
    Value depth = op.getDepth();
    if (!isa<FloatType>(OnnxBuilder::elementOf(depth)))
      return rewriter.notifyMatchFailure(op, "the depth is an integer");
    OnnxBuilder b(rewriter, op.getLoc());
    Value count = b.cast(depth, rewriter.getI64Type());
    rewriter.modifyOpInPlace(op, [&] { op.getDepthMutable().assign(count); });
    return success();
  }
};

struct ExpandOnnx : qopt::passes::impl::ExpandOnnxPassBase<ExpandOnnx> {
  void runOnOperation() override {
    RewritePatternSet patterns(&getContext());
    patterns.add<ExpandDynamicQuantize, ExpandGroupNormalization,
                 ExpandCausalConv, CountDepth>(&getContext());
    if (failed(applyPatternsGreedily(getOperation(), std::move(patterns))))
      return signalPassFailure();
    returnWhatIsThere(getOperation());
  }
};

} // namespace
