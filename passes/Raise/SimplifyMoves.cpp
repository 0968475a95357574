// Moves of data that move nothing, or that are one with the next: patterns of
// SimplifyOnnx.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
#include "passes/Raise/SimplifyOnnx.h"

using namespace mlir;
using namespace qopt::onnx;
using namespace qopt::passes;

namespace {

template <typename Op> struct ForwardOperand : OpRewritePattern<Op> {
  using OpRewritePattern<Op>::OpRewritePattern;
  LogicalResult matchAndRewrite(Op op,
                                PatternRewriter &rewriter) const override {
    return replaceByEqual(op, op->getOperand(0), rewriter);
  }
};

struct DropDropout : OpRewritePattern<DropoutOp> {
  using OpRewritePattern::OpRewritePattern;
  LogicalResult matchAndRewrite(DropoutOp op,
                                PatternRewriter &rewriter) const override {
    if (!isAbsent(op.getTrainingMode()) &&
        !isConstantOf(op.getTrainingMode(), 0) &&
        !(!isAbsent(op.getRatio()) && isConstantOf(op.getRatio(), 0)))
      return rewriter.notifyMatchFailure(op, "it may be in training mode");
    return replaceByEqual(op, op.getData(), rewriter);
  }
};

/// Concat, Sum, Min or Max of a single operand.
template <typename Op> struct ForwardSingle : OpRewritePattern<Op> {
  using OpRewritePattern<Op>::OpRewritePattern;
  LogicalResult matchAndRewrite(Op op,
                                PatternRewriter &rewriter) const override {
    if (op->getNumOperands() != 1)
      return rewriter.notifyMatchFailure(op, "it has several operands");
    return replaceByEqual(op, op->getOperand(0), rewriter);
  }
};

struct MergeTransposes : OpRewritePattern<TransposeOp> {
  using OpRewritePattern::OpRewritePattern;
  LogicalResult matchAndRewrite(TransposeOp op,
                                PatternRewriter &rewriter) const override {
    ArrayRef<int64_t> order = op.getPerm();
    if (llvm::equal(order, llvm::seq<int64_t>(0, order.size())))
      return replaceByEqual(op, op.getData(), rewriter);
    auto inner = op.getData().getDefiningOp<TransposeOp>();
    if (!inner)
      return rewriter.notifyMatchFailure(op, "no transpose before it");
    SmallVector<int64_t> merged;
    for (int64_t axis : order)
      merged.push_back(inner.getPerm()[axis]);
    rewriter.replaceOpWithNewOp<TransposeOp>(op, op.getType(), inner.getData(),
                                             merged);
    return success();
  }
};

/// Equal element counts and at most one unknown dimension, at the same place:
/// then that one is equal too.
bool isSameShape(Type a, Type b) {
  auto from = dyn_cast<RankedTensorType>(a), to = dyn_cast<RankedTensorType>(b);
  return from && to && from.getShape() == to.getShape() &&
         from.getNumDynamicDims() <= 1;
}

struct MergeReshapes : OpRewritePattern<ReshapeOp> {
  using OpRewritePattern::OpRewritePattern;
  LogicalResult matchAndRewrite(ReshapeOp op,
                                PatternRewriter &rewriter) const override {
    if (isSameShape(op.getData().getType(), op.getType()))
      return replaceByEqual(op, op.getData(), rewriter);
    Operation *inner = op.getData().getDefiningOp();
    if (!isa_and_nonnull<ReshapeOp, FlattenOp, SqueezeOp, UnsqueezeOp>(inner))
      return rewriter.notifyMatchFailure(op, "no change of shape before it");
    std::optional<SmallVector<int64_t>> shape = constantIntegers(op.getShape());
    bool copiesSizes =
        !op.getAllowzero() && (!shape || llvm::is_contained(*shape, 0));
    if (copiesSizes)
      return rewriter.notifyMatchFailure(op, "a size may be copied");
    rewriter.modifyOpInPlace(
        op, [&] { op.getDataMutable().assign(inner->getOperand(0)); });
    return success();
  }
};

/// Squeeze after Unsqueeze of the same axes, or the other way round.
template <typename Outer, typename Inner>
struct CancelSqueeze : OpRewritePattern<Outer> {
  using OpRewritePattern<Outer>::OpRewritePattern;
  LogicalResult matchAndRewrite(Outer op,
                                PatternRewriter &rewriter) const override {
    auto inner = op.getData().template getDefiningOp<Inner>();
    if (!inner)
      return rewriter.notifyMatchFailure(op, "not after its inverse");
    auto outerAxes = constantIntegers(op.getAxes());
    auto innerAxes = constantIntegers(inner.getAxes());
    if (!outerAxes || !innerAxes || *outerAxes != *innerAxes)
      return rewriter.notifyMatchFailure(op, "the axes differ");
    return replaceByEqual(op, inner.getData(), rewriter);
  }
};

struct DropFullSlice : OpRewritePattern<SliceOp> {
  using OpRewritePattern::OpRewritePattern;
  LogicalResult matchAndRewrite(SliceOp op,
                                PatternRewriter &rewriter) const override {
    if (!isConstantOf(op.getStarts(), 0))
      return rewriter.notifyMatchFailure(op, "it does not start at 0");
    if (!isAbsent(op.getSteps()) && !isConstantOf(op.getSteps(), 1))
      return rewriter.notifyMatchFailure(op, "it does not take every element");
    auto type = dyn_cast<RankedTensorType>(op.getData().getType());
    std::optional<SmallVector<int64_t>> ends = constantIntegers(op.getEnds());
    if (!ends || !type)
      return rewriter.notifyMatchFailure(op, "its ends are not constant");
    SmallVector<int64_t> axes = llvm::to_vector(
        llvm::seq<int64_t>(0, static_cast<int64_t>(ends->size())));
    if (!isAbsent(op.getAxes())) {
      std::optional<SmallVector<int64_t>> given =
          constantIntegers(op.getAxes());
      if (!given)
        return rewriter.notifyMatchFailure(op, "its axes are not constant");
      axes = *given;
    }
    // No axis is that long: the exporters' "to the end".
    constexpr int64_t unbounded = std::numeric_limits<int32_t>::max();
    for (auto [axis, end] : llvm::zip(axes, *ends)) {
      int64_t size = type.getDimSize(axis < 0 ? axis + type.getRank() : axis);
      if (end < unbounded && (ShapedType::isDynamic(size) || end < size))
        return rewriter.notifyMatchFailure(op, "it cuts an axis");
    }
    return replaceByEqual(op, op.getData(), rewriter);
  }
};

struct DropExpand : OpRewritePattern<ExpandOp> {
  using OpRewritePattern::OpRewritePattern;
  LogicalResult matchAndRewrite(ExpandOp op,
                                PatternRewriter &rewriter) const override {
    auto from = dyn_cast<RankedTensorType>(op.getData().getType());
    auto to = dyn_cast<RankedTensorType>(op.getType());
    if (!from || !to || from.getRank() != to.getRank())
      return rewriter.notifyMatchFailure(op, "it adds axes");
    std::optional<SmallVector<int64_t>> shape = constantIntegers(op.getShape());
    int64_t offset = shape ? to.getRank() - static_cast<int64_t>(shape->size())
                           : to.getRank();
    for (int64_t axis = 0; axis < to.getRank(); ++axis) {
      bool keeps = shape && (axis < offset || (*shape)[axis - offset] == 1);
      bool fixed = !from.isDynamicDim(axis) &&
                   (from.getDimSize(axis) != 1 || to.getDimSize(axis) == 1);
      if (!keeps && !fixed)
        return rewriter.notifyMatchFailure(op, "an axis may grow");
    }
    return replaceByEqual(op, op.getData(), rewriter);
  }
};

/// The transpose below `value` where it leaves the last axis in its place.
TransposeOp outerTranspose(Value value) {
  auto transpose = value.getDefiningOp<TransposeOp>();
  bool keepsLast = transpose && !transpose.getPerm().empty() &&
                   transpose.getPerm().back() ==
                       static_cast<int64_t>(transpose.getPerm().size()) - 1;
  return keepsLast ? transpose : TransposeOp();
}

/// `result` as it is before a transpose.
Type typeBefore(TransposeOp transpose, Value result) {
  auto type = cast<RankedTensorType>(result.getType());
  SmallVector<int64_t> shape(type.getRank());
  for (auto [to, from] : llvm::enumerate(transpose.getPerm()))
    shape[from] = type.getDimSize(to);
  return RankedTensorType::get(shape, type.getElementType());
}

/// Pieces of the last axis are cut before a transpose of the other axes, not
/// after: the transposes of heads then meet those around rotary and attention.
struct CutBeforeTranspose : OpRewritePattern<SplitOp> {
  using OpRewritePattern::OpRewritePattern;
  LogicalResult matchAndRewrite(SplitOp op,
                                PatternRewriter &rewriter) const override {
    TransposeOp transpose = outerTranspose(op.getData());
    int64_t axis = op.getAxis();
    if (!transpose ||
        (axis != -1 &&
         axis + 1 != static_cast<int64_t>(transpose.getPerm().size())))
      return rewriter.notifyMatchFailure(op, "no transpose of other axes");
    SmallVector<Type> types;
    for (Value piece : op.getPieces())
      types.push_back(typeBefore(transpose, piece));
    auto split =
        SplitOp::create(rewriter, op.getLoc(), types, transpose.getData(),
                        op.getSplit(), op.getAxisAttr());
    SmallVector<Value> pieces;
    for (auto [piece, old] : llvm::zip(split.getPieces(), op.getPieces()))
      pieces.push_back(TransposeOp::create(rewriter, op.getLoc(), old.getType(),
                                           piece, transpose.getPermAttr()));
    rewriter.replaceOp(op, pieces);
    return success();
  }
};

struct SliceBeforeTranspose : OpRewritePattern<SliceOp> {
  using OpRewritePattern::OpRewritePattern;
  LogicalResult matchAndRewrite(SliceOp op,
                                PatternRewriter &rewriter) const override {
    TransposeOp transpose = outerTranspose(op.getData());
    if (!transpose || isAbsent(op.getAxes()))
      return rewriter.notifyMatchFailure(op, "no transpose, or all axes");
    auto axes = constantIntegers(op.getAxes());
    auto last = static_cast<int64_t>(transpose.getPerm().size()) - 1;
    if (!axes || axes->size() != 1 ||
        (axes->front() != -1 && axes->front() != last))
      return rewriter.notifyMatchFailure(op, "it cuts another axis");
    Value piece = SliceOp::create(rewriter, op.getLoc(),
                                  typeBefore(transpose, op.getResult()),
                                  transpose.getData(), op.getStarts(),
                                  op.getEnds(), op.getAxes(), op.getSteps());
    rewriter.replaceOpWithNewOp<TransposeOp>(op, op.getType(), piece,
                                             transpose.getPermAttr());
    return success();
  }
};

} // namespace

void qopt::passes::populateSimplifyMoves(RewritePatternSet &patterns) {
  patterns.add<
      ForwardOperand<IdentityOp>, DropDropout, ForwardSingle<ConcatOp>,
      ForwardSingle<SumOp>, ForwardSingle<MinOp>, ForwardSingle<MaxOp>,
      MergeTransposes, MergeReshapes, CancelSqueeze<SqueezeOp, UnsqueezeOp>,
      CancelSqueeze<UnsqueezeOp, SqueezeOp>, DropFullSlice, DropExpand>(
      patterns.getContext());
}

void qopt::passes::populateCutBeforeTranspose(RewritePatternSet &patterns) {
  patterns.add<CutBeforeTranspose, SliceBeforeTranspose>(patterns.getContext());
}
