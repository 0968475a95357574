// Exporters compute at run time what never changes: scales from shapes, tables
// of indices, masks' constants. This pass evaluates such operators, so that the
// patterns that raise a model see numbers. Weights (dense_resource) are not
// touched: they stay what the file calls them, and no large tensor becomes an
// attribute.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
#include "passes/Raise/FoldConstants.h"
#include "dialects/Onnx/Evaluate/Evaluator.h"
#include "dialects/Onnx/OnnxOps.h"
#include "mlir/Transforms/GreedyPatternRewriteDriver.h"
#include "passes/Raise/Passes.h"

namespace qopt::passes {
#define GEN_PASS_DEF_FOLDCONSTANTSPASS
#include "passes/Raise/Passes.h.inc"
} // namespace qopt::passes

using namespace mlir;
using namespace qopt::onnx;

namespace {

/// A constant that may be computed with: its elements are in the IR.
bool isFoldable(Value operand) {
  if (isAbsent(operand))
    return true;
  auto constant = operand.getDefiningOp<ConstantOp>();
  return constant && isa<DenseElementsAttr>(constant.getValue());
}

/// func.return and onnx.Yield want the declared type, which a computed
/// constant may be more exact than.
bool takesAnyType(Operation *user) {
  return isa<OnnxDialect>(user->getDialect()) && !isa<YieldOp>(user);
}

struct FoldOperation : RewritePattern {
  FoldOperation(MLIRContext *context, int64_t maxBytes)
      : RewritePattern(MatchAnyOpTypeTag(), /*benefit=*/1, context),
        maxBytes(maxBytes) {}

  LogicalResult matchAndRewrite(Operation *op,
                                PatternRewriter &rewriter) const override {
    if (!isa<OnnxDialect>(op->getDialect()) || op->getNumRegions() ||
        isa<ConstantOp, NoneOp, YieldOp>(op))
      return failure();
    if (!llvm::all_of(op->getOperands(), isFoldable))
      return rewriter.notifyMatchFailure(op, "an operand is not constant");
    Evaluator evaluator({maxBytes, 64 * maxBytes});
    SmallVector<DenseElementsAttr> values;
    for (Value result : op->getResults())
      if (failed(evaluate(evaluator, result, values, op, rewriter)))
        return failure();
    rewriter.setInsertionPoint(op);
    SmallVector<Value> constants;
    for (auto [result, value] : llvm::zip(op->getResults(), values)) {
      Operation *constant =
          value ? ConstantOp::create(rewriter, op->getLoc(), value)
                : NoneOp::create(rewriter, op->getLoc(), result.getType())
                      .getOperation();
      constants.push_back(constant->getResult(0));
    }
    rewriter.replaceOp(op, constants);
    return success();
  }

private:
  LogicalResult evaluate(Evaluator &evaluator, Value result,
                         SmallVectorImpl<DenseElementsAttr> &values,
                         Operation *op, PatternRewriter &rewriter) const {
    if (isAbsent(result)) {
      values.push_back({});
      return success();
    }
    qopt::StatusOr<HostTensor> tensor = evaluator.evaluate(result);
    if (!tensor)
      return rewriter.notifyMatchFailure(op, tensor.status().message());
    auto type = RankedTensorType::get(tensor->shape(),
                                      getElementTypeOrSelf(result.getType()));
    if (tensor->count() * widthOf(tensor->element()) > maxBytes)
      return rewriter.notifyMatchFailure(op, "the result is too large");
    if (type != result.getType() &&
        !llvm::all_of(result.getUsers(), takesAnyType))
      return rewriter.notifyMatchFailure(op, "a user needs the wider type");
    values.push_back(tensor->toAttr(type));
    return success();
  }

  int64_t maxBytes;
};

/// The sizes of axes that the type knows, whatever the other axes are.
struct FoldShape : OpRewritePattern<ShapeOp> {
  using OpRewritePattern::OpRewritePattern;
  LogicalResult matchAndRewrite(ShapeOp op,
                                PatternRewriter &rewriter) const override {
    auto type = dyn_cast<RankedTensorType>(op.getData().getType());
    if (!type)
      return rewriter.notifyMatchFailure(op, "the rank is unknown");
    auto [start, end] = qopt::passes::shapeRange(op);
    ArrayRef<int64_t> sizes = type.getShape().slice(start, end - start);
    if (llvm::any_of(sizes, ShapedType::isDynamic))
      return rewriter.notifyMatchFailure(op, "a size is dynamic");
    auto result = RankedTensorType::get({end - start}, rewriter.getI64Type());
    if (result != op.getType() && !llvm::all_of(op->getUsers(), takesAnyType))
      return rewriter.notifyMatchFailure(op, "a user needs the wider type");
    rewriter.replaceOpWithNewOp<ConstantOp>(
        op, DenseElementsAttr::get(result, sizes));
    return success();
  }
};

struct FoldSize : OpRewritePattern<SizeOp> {
  using OpRewritePattern::OpRewritePattern;
  LogicalResult matchAndRewrite(SizeOp op,
                                PatternRewriter &rewriter) const override {
    auto type = dyn_cast<RankedTensorType>(op.getData().getType());
    if (!type || !type.hasStaticShape())
      return rewriter.notifyMatchFailure(op, "a size is dynamic");
    auto result = RankedTensorType::get({}, rewriter.getI64Type());
    rewriter.replaceOpWithNewOp<ConstantOp>(
        op, DenseElementsAttr::get(result, type.getNumElements()));
    return success();
  }
};

struct FoldConstants
    : qopt::passes::impl::FoldConstantsPassBase<FoldConstants> {
  using FoldConstantsPassBase::FoldConstantsPassBase;

  void runOnOperation() override {
    RewritePatternSet patterns(&getContext());
    qopt::passes::populateFoldConstants(patterns, maxBytes);
    if (failed(applyPatternsGreedily(getOperation(), std::move(patterns))))
      signalPassFailure();
  }
};

} // namespace

std::pair<int64_t, int64_t> qopt::passes::shapeRange(ShapeOp op) {
  int64_t rank = cast<RankedTensorType>(op.getData().getType()).getRank();
  auto clamped = [&](int64_t axis) {
    return std::clamp<int64_t>(axis < 0 ? axis + rank : axis, 0, rank);
  };
  int64_t start = clamped(static_cast<int64_t>(op.getStart()));
  int64_t end =
      op.getEnd() ? clamped(static_cast<int64_t>(*op.getEnd())) : rank;
  return {start, std::max(start, end)};
}

void qopt::passes::populateFoldConstants(RewritePatternSet &patterns,
                                         int64_t maxBytes) {
  patterns.add<FoldOperation>(patterns.getContext(), maxBytes);
  patterns.add<FoldShape, FoldSize>(patterns.getContext());
}
