// A residual sum reads and writes the whole stream of activations to add what a
// linear has just computed. As the linear's epilogue it costs one read.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
#include "dialects/Onnx/OnnxOps.h"
#include "dialects/Onnx/SymbolicShapes.h"
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
                             PatternRewriter &rewriter) {
  auto type = dyn_cast<RankedTensorType>(op->getResult(0).getType());
  if (!type || !isa<FloatType>(type.getElementType()))
    return rewriter.notifyMatchFailure(op,
                                       "not a sum of floating point tensors");
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
  return success();
}

/// The sums whose terms have equal sizes whatever the inputs are.
static llvm::DenseSet<Operation *> findPlainSums(func::FuncOp function) {
  llvm::DenseSet<Operation *> plain;
  onnx::SymbolicShapes shapes(function.getContext());
  if (!shapes.run(function).ok()) // a graph that lowering will report
    return plain;
  function.walk([&](onnx::AddOp op) {
    auto a = dyn_cast<RankedTensorType>(op.getA().getType());
    bool equal = a && a == op.getB().getType();
    for (int64_t i = 0; equal && i < a.getRank(); ++i)
      equal = !a.isDynamicDim(i) || shapes.sameDim(op.getA(), i, op.getB(), i);
    if (equal)
      plain.insert(op);
  });
  return plain;
}

namespace {

struct FuseAddition : OpRewritePattern<arith::AddFOp> {
  using OpRewritePattern::OpRewritePattern;
  LogicalResult matchAndRewrite(arith::AddFOp op,
                                PatternRewriter &rewriter) const override {
    return fuseSum(op, op.getLhs(), op.getRhs(), rewriter);
  }
};

/// The same sum as the file wrote it, where it is certain not to broadcast.
struct FuseOnnxAddition : OpRewritePattern<onnx::AddOp> {
  FuseOnnxAddition(MLIRContext *context,
                   const llvm::DenseSet<Operation *> &plain)
      : OpRewritePattern(context), plain(plain) {}
  LogicalResult matchAndRewrite(onnx::AddOp op,
                                PatternRewriter &rewriter) const override {
    if (!plain.contains(op))
      return rewriter.notifyMatchFailure(op, "a term may be broadcast");
    return fuseSum(op, op.getA(), op.getB(), rewriter);
  }
  const llvm::DenseSet<Operation *> &plain;
};

/// The same sum as a linalg operation on every element.
struct FuseElementwiseAddition : OpRewritePattern<linalg::GenericOp> {
  using OpRewritePattern::OpRewritePattern;
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
    return fuseSum(op, op.getDpsInputs()[0], op.getDpsInputs()[1], rewriter);
  }
};

struct FuseResidual : qopt::passes::impl::FuseResidualPassBase<FuseResidual> {
  void runOnOperation() override {
    llvm::DenseSet<Operation *> plain = findPlainSums(getOperation());
    RewritePatternSet patterns(&getContext());
    patterns.add<FuseAddition, FuseElementwiseAddition>(&getContext());
    patterns.add<FuseOnnxAddition>(&getContext(), plain);
    if (failed(applyPatternsGreedily(getOperation(), std::move(patterns))))
      signalPassFailure();
  }
};

} // namespace
