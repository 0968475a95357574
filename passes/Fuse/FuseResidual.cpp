// A residual sum reads and writes the whole stream of activations to add what a
// linear has just computed. As the linear's epilogue it costs one read.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
#include "dialects/Onnx/OnnxOps.h"
#include "dialects/QOpt/QOptOps.h"
#include "mlir/Dialect/Arith/IR/Arith.h"
#include "mlir/Dialect/Linalg/IR/Linalg.h"
#include "mlir/Transforms/GreedyPatternRewriteDriver.h"
#include "passes/Fuse/Passes.h"

namespace qopt::passes {
#define GEN_PASS_DEF_FUSERESIDUALPASS
#include "passes/Fuse/Passes.h.inc"
} // namespace qopt::passes

using namespace mlir;
using namespace qopt;
using namespace qopt::ir;

/// The linear that computes `value` and can take the sum with `other`.
static LinearOp linearToExtend(Value value, Value other) {
  auto linear = value.getDefiningOp<LinearOp>();
  bool free = linear && !linear.getResidual() && value.hasOneUse();
  return free && value != other && value.getType() == other.getType()
             ? linear
             : LinearOp();
}

/// Replaces the sum `op` of `a` and `b` by a linear with a residual. The new
/// linear stands where the sum stood, so both terms are there.
static LogicalResult fuseSum(Operation *op, Value a, Value b,
                             PatternRewriter &rewriter,
                             Pass::Statistic &count) {
  auto type = dyn_cast<RankedTensorType>(op->getResult(0).getType());
  if (!type || !type.getElementType().isF32())
    return rewriter.notifyMatchFailure(op, "not a sum of f32 tensors");
  LinearOp left = linearToExtend(a, b), right = linearToExtend(b, a);
  LinearOp linear = left ? left : right;
  if (left && right && left->getBlock() == right->getBlock() &&
      left->isBeforeInBlock(right))
    linear = right; // the later one waits for nothing new
  if (!linear)
    return rewriter.notifyMatchFailure(
        op, "no term is a linear of this type without another use or residual");
  Value residual = linear == left ? b : a;
  rewriter.replaceOpWithNewOp<LinearOp>(
      op, type, linear.getX(), linear.getWeight(), linear.getBias(), residual);
  rewriter.eraseOp(linear);
  ++count;
  return success();
}

namespace {

struct FuseAddition : OpRewritePattern<arith::AddFOp> {
  FuseAddition(MLIRContext *context, Pass::Statistic &count)
      : OpRewritePattern(context), count(count) {}
  LogicalResult matchAndRewrite(arith::AddFOp op,
                                PatternRewriter &rewriter) const override {
    return fuseSum(op, op.getLhs(), op.getRhs(), rewriter, count);
  }
  Pass::Statistic &count;
};

/// The same sum as the file wrote it; both terms have the result's type, so it
/// does not broadcast.
struct FuseOnnxAddition : OpRewritePattern<onnx::AddOp> {
  FuseOnnxAddition(MLIRContext *context, Pass::Statistic &count)
      : OpRewritePattern(context), count(count) {}
  LogicalResult matchAndRewrite(onnx::AddOp op,
                                PatternRewriter &rewriter) const override {
    return fuseSum(op, op->getOperand(0), op->getOperand(1), rewriter, count);
  }
  Pass::Statistic &count;
};

/// The same sum as a linalg operation on every element.
struct FuseElementwiseAddition : OpRewritePattern<linalg::GenericOp> {
  FuseElementwiseAddition(MLIRContext *context, Pass::Statistic &count)
      : OpRewritePattern(context), count(count) {}
  LogicalResult matchAndRewrite(linalg::GenericOp op,
                                PatternRewriter &rewriter) const override {
    bool elementwise =
        op.getNumDpsInputs() == 2 && op->getNumResults() == 1 &&
        op.getNumParallelLoops() == op.getNumLoops() &&
        llvm::all_of(op.getIndexingMapsArray(),
                     [](AffineMap map) { return map.isIdentity(); });
    Operation *sum =
        op.getBody()->getTerminator()->getOperand(0).getDefiningOp();
    if (!elementwise || !isa_and_nonnull<arith::AddFOp>(sum) ||
        op.getBody()->getOperations().size() != 2)
      return rewriter.notifyMatchFailure(op, "not an elementwise sum");
    auto isInput = [&](Value value, unsigned index) {
      return value == op.getBody()->getArgument(index);
    };
    if (!(isInput(sum->getOperand(0), 0) && isInput(sum->getOperand(1), 1)) &&
        !(isInput(sum->getOperand(0), 1) && isInput(sum->getOperand(1), 0)))
      return rewriter.notifyMatchFailure(op, "not a sum of both inputs");
    return fuseSum(op, op.getDpsInputs()[0], op.getDpsInputs()[1], rewriter,
                   count);
  }
  Pass::Statistic &count;
};

struct FuseResidual : qopt::passes::impl::FuseResidualPassBase<FuseResidual> {
  void runOnOperation() override {
    RewritePatternSet patterns(&getContext());
    patterns.add<FuseAddition, FuseElementwiseAddition, FuseOnnxAddition>(
        &getContext(), fused);
    if (failed(applyPatternsGreedily(getOperation(), std::move(patterns))))
      signalPassFailure();
  }
};

} // namespace
