// Some decoders normalise what a block makes before it joins the residual
// stream. A norm has its row in registers when it stores it, so that the sum
// costs no launch.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
#include "dialects/QOpt/QOptOps.h"
#include "mlir/Dialect/Arith/IR/Arith.h"
#include "mlir/Transforms/GreedyPatternRewriteDriver.h"
#include "passes/Fuse/Gates.h"
#include "passes/Fuse/Passes.h"
#include "passes/Fuse/Regions.h"

namespace qopt::passes {
#define GEN_PASS_DEF_FUSENORMSUMPASS
#include "passes/Fuse/Passes.h.inc"
} // namespace qopt::passes

using namespace mlir;
using namespace qopt::ir;

/// The norm that computes `value` for `sum` alone.
static Operation *normOf(Value value, arith::AddFOp sum) {
  Operation *norm = value.getDefiningOp();
  bool fits = norm && isa<RmsNormOp, LayerNormOp>(norm) && value.hasOneUse() &&
              norm->getBlock() == sum->getBlock() &&
              qopt::passes::hasVectorsOfOneType(norm);
  return fits ? norm : nullptr;
}

namespace {

struct FuseSum : OpRewritePattern<arith::AddFOp> {
  using OpRewritePattern::OpRewritePattern;

  LogicalResult matchAndRewrite(arith::AddFOp op,
                                PatternRewriter &rewriter) const override {
    if (op->getParentOfType<FusedOp>())
      return rewriter.notifyMatchFailure(op, "part of a region already");
    bool isRight = !normOf(op.getLhs(), op);
    Value result = isRight ? op.getRhs() : op.getLhs();
    Operation *norm = normOf(result, op);
    if (!norm)
      return rewriter.notifyMatchFailure(
          op, "no term is a norm without another use");

    FusedOp fused = qopt::passes::makeRegion({norm, op.getOperation()},
                                             {op.getResult()}, rewriter);
    rewriter.replaceOp(op, fused.getResults());
    rewriter.eraseOp(norm);
    return success();
  }
};

struct FuseNormSum : qopt::passes::impl::FuseNormSumPassBase<FuseNormSum> {
  void runOnOperation() override {
    RewritePatternSet patterns(&getContext());
    patterns.add<FuseSum>(&getContext());
    if (failed(applyPatternsGreedily(getOperation(), std::move(patterns))))
      signalPassFailure();
  }
};

} // namespace
