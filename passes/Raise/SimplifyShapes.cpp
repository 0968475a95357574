// Arithmetic on shapes: a part of a Shape is a shorter Shape (which
// FoldConstants may know), and the exporters' guard of Expand against -1 acts
// on nothing that is a size. Patterns of SimplifyOnnx.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
#include "passes/Raise/FoldConstants.h"
#include "passes/Raise/SimplifyOnnx.h"

using namespace mlir;
using namespace qopt::onnx;
using namespace qopt::passes;

namespace {

/// The axes [start, start + count) of what `op` takes the shape of.
Value shapePart(ShapeOp op, int64_t start, int64_t count,
                PatternRewriter &rewriter) {
  auto type = RankedTensorType::get({count}, rewriter.getI64Type());
  return ShapeOp::create(rewriter, op.getLoc(), type, op.getData(),
                         rewriter.getI64IntegerAttr(start),
                         rewriter.getI64IntegerAttr(start + count));
}

/// Gather(Shape(x), i) = Shape(x)[i : i + 1].
struct NarrowGatheredShape : OpRewritePattern<GatherOp> {
  using OpRewritePattern::OpRewritePattern;
  LogicalResult matchAndRewrite(GatherOp op,
                                PatternRewriter &rewriter) const override {
    auto shape = op.getData().getDefiningOp<ShapeOp>();
    std::optional<SmallVector<int64_t>> indices =
        constantIntegers(op.getIndices());
    if (!shape || !isa<RankedTensorType>(shape.getData().getType()) ||
        !indices || indices->empty())
      return rewriter.notifyMatchFailure(op, "not a constant part of a Shape");
    auto [start, end] = shapeRange(shape);
    auto count = static_cast<int64_t>(indices->size());
    for (int64_t &index : *indices)
      index += index < 0 ? end - start : 0;
    for (int64_t i = 0; i < count; ++i)
      if ((*indices)[i] != indices->front() + i || (*indices)[i] < 0 ||
          (*indices)[i] >= end - start)
        return rewriter.notifyMatchFailure(op, "the axes are not adjacent");
    if (count == end - start &&
        cast<RankedTensorType>(op.getIndices().getType()).getRank() == 1)
      return replaceByEqual(op, shape, rewriter);
    int64_t rank = cast<RankedTensorType>(op.getIndices().getType()).getRank();
    if (rank > 1 || (rank == 0 && end - start == 1))
      return rewriter.notifyMatchFailure(op, "it is narrow already");
    Value part = shapePart(shape, start + indices->front(), count, rewriter);
    if (rank == 1) {
      rewriter.replaceOp(op, part);
      return success();
    }
    // A scalar is the element 0 of a vector of one, in the same words.
    auto zero = DenseElementsAttr::get(
        RankedTensorType::get({}, rewriter.getI64Type()), int64_t(0));
    Value index = ConstantOp::create(rewriter, op.getLoc(), zero);
    rewriter.replaceOpWithNewOp<GatherOp>(op, op.getType(), part, index,
                                          rewriter.getI64IntegerAttr(0));
    return success();
  }
};

/// Slice(Shape(x), a, b) = Shape(x)[a : b].
struct NarrowSlicedShape : OpRewritePattern<SliceOp> {
  using OpRewritePattern::OpRewritePattern;
  LogicalResult matchAndRewrite(SliceOp op,
                                PatternRewriter &rewriter) const override {
    auto shape = op.getData().getDefiningOp<ShapeOp>();
    auto starts = constantIntegers(op.getStarts());
    auto ends = constantIntegers(op.getEnds());
    if (!shape || !isa<RankedTensorType>(shape.getData().getType()) ||
        !starts || !ends || starts->size() != 1 ||
        (!isAbsent(op.getSteps()) && !isConstantOf(op.getSteps(), 1)))
      return rewriter.notifyMatchFailure(op, "not a constant part of a Shape");
    auto [first, last] = shapeRange(shape);
    int64_t length = last - first;
    auto clamped = [&](int64_t i) {
      return std::clamp<int64_t>(i < 0 ? i + length : i, 0, length);
    };
    int64_t start = clamped(starts->front());
    int64_t count = std::max<int64_t>(0, clamped(ends->front()) - start);
    if (count == length)
      return replaceByEqual(op, shape, rewriter);
    rewriter.replaceOp(op, shapePart(shape, first + start, count, rewriter));
    return success();
  }
};

/// Unsqueeze(v[0]) = v for a vector v of one element.
struct DropElementVector : OpRewritePattern<UnsqueezeOp> {
  using OpRewritePattern::OpRewritePattern;
  LogicalResult matchAndRewrite(UnsqueezeOp op,
                                PatternRewriter &rewriter) const override {
    auto gather = op.getData().getDefiningOp<GatherOp>();
    if (!gather || !isConstantOf(op.getAxes(), 0) ||
        !isConstantOf(gather.getIndices(), 0))
      return rewriter.notifyMatchFailure(op, "not of an element");
    auto type = dyn_cast<RankedTensorType>(gather.getData().getType());
    auto result = dyn_cast<RankedTensorType>(op.getType());
    if (!type || !result || type.getRank() != 1 || type.getDimSize(0) != 1 ||
        result.getRank() != 1)
      return rewriter.notifyMatchFailure(op, "not of a vector of one element");
    return replaceByEqual(op, gather.getData(), rewriter);
  }
};

/// The operands of a Concat of single elements; a constant gives its own.
FailureOr<SmallVector<Value>> elementsOf(Value vector,
                                         PatternRewriter &rewriter) {
  SmallVector<Value> parts;
  if (auto concat = vector.getDefiningOp<ConcatOp>()) {
    for (Value part : concat.getInputs()) {
      auto type = dyn_cast<RankedTensorType>(part.getType());
      if (!type || type.getShape() != ArrayRef<int64_t>{1})
        return failure();
      parts.push_back(part);
    }
    return parts;
  }
  std::optional<SmallVector<int64_t>> values = constantIntegers(vector);
  if (!values)
    return failure();
  auto type = RankedTensorType::get(
      {1}, cast<RankedTensorType>(vector.getType()).getElementType());
  for (int64_t value : *values)
    parts.push_back(ConstantOp::create(
        rewriter, vector.getLoc(),
        DenseElementsAttr::get(
            type, rewriter.getIntegerAttr(type.getElementType(), value))));
  return parts;
}

/// Where(constant, a, b) of short vectors: their elements, chosen.
struct ChooseElements : OpRewritePattern<WhereOp> {
  using OpRewritePattern::OpRewritePattern;
  LogicalResult matchAndRewrite(WhereOp op,
                                PatternRewriter &rewriter) const override {
    auto type = dyn_cast<RankedTensorType>(op.getType());
    auto choice = constantIntegers(op->getOperand(0));
    if (!type || !choice || type.getRank() != 1 ||
        type.getDimSize(0) != static_cast<int64_t>(choice->size()) ||
        op->getOperand(1).getType() != type ||
        op->getOperand(2).getType() != type || choice->size() > 16)
      return rewriter.notifyMatchFailure(op, "not a constant choice of sizes");
    auto yes = elementsOf(op->getOperand(1), rewriter);
    auto no = elementsOf(op->getOperand(2), rewriter);
    if (failed(yes) || failed(no) || yes->size() != choice->size() ||
        no->size() != choice->size())
      return rewriter.notifyMatchFailure(op, "the elements are not at hand");
    for (auto [i, chosen] : llvm::enumerate(*choice))
      if (chosen)
        (*no)[i] = (*yes)[i];
    rewriter.replaceOpWithNewOp<ConcatOp>(op, type, *no,
                                          rewriter.getI64IntegerAttr(0));
    return success();
  }
};

/// Whether an integer value is a size or made of sizes: never negative.
bool isSize(Value value) {
  if (std::optional<SmallVector<int64_t>> known = constantIntegers(value))
    return llvm::all_of(*known, [](int64_t x) { return x >= 0; });
  Operation *op = value.getDefiningOp();
  if (isa_and_nonnull<ShapeOp, SizeOp>(op))
    return true;
  if (isa_and_nonnull<GatherOp, SliceOp, SqueezeOp, UnsqueezeOp, ReshapeOp,
                      CastOp, IdentityOp>(op))
    return isSize(op->getOperand(0));
  if (isa_and_nonnull<AddOp, MulOp, DivOp, ConcatOp, MaxOp, MinOp>(op))
    return llvm::all_of(op->getOperands(), isSize);
  return false;
}

/// Where(sizes == -1, ones, sizes) with sizes = Concat(…): a part that is the
/// constant -1 becomes 1, all others stay. TorchScript guards Expand so.
struct DropExpandGuard : OpRewritePattern<WhereOp> {
  using OpRewritePattern::OpRewritePattern;
  LogicalResult matchAndRewrite(WhereOp op,
                                PatternRewriter &rewriter) const override {
    Value yes = op->getOperand(1), sizes = op->getOperand(2);
    auto equal = op->getOperand(0).getDefiningOp<EqualOp>();
    if (!equal || !isConstantOf(yes, 1) || sizes.getType() != op.getType())
      return rewriter.notifyMatchFailure(op, "not a guard against -1");
    Value left = equal->getOperand(0), right = equal->getOperand(1);
    if (left != sizes)
      std::swap(left, right);
    if (left != sizes || !isConstantOf(right, -1))
      return rewriter.notifyMatchFailure(op, "not a guard against -1");
    if (isSize(sizes))
      return replaceByEqual(op, sizes, rewriter);
    auto concat = sizes.getDefiningOp<ConcatOp>();
    if (!concat)
      return rewriter.notifyMatchFailure(op, "a size may be negative");
    SmallVector<Value> parts;
    for (Value part : concat.getInputs()) {
      if (!isSize(part) && !isConstantOf(part, -1))
        return rewriter.notifyMatchFailure(op, "a size may be negative");
      auto type = cast<RankedTensorType>(part.getType());
      parts.push_back(isSize(part) ? part
                                   : ConstantOp::create(rewriter, op.getLoc(),
                                                        DenseElementsAttr::get(
                                                            type, int64_t(1)))
                                         .getResult());
    }
    rewriter.replaceOpWithNewOp<ConcatOp>(op, op.getType(), parts,
                                          concat.getAxisAttr());
    return success();
  }
};

} // namespace

void qopt::passes::populateSimplifyShapes(RewritePatternSet &patterns) {
  patterns.add<NarrowGatheredShape, NarrowSlicedShape, DropElementVector,
               ChooseElements, DropExpandGuard>(patterns.getContext());
}
