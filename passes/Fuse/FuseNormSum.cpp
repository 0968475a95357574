// Some decoders normalise what a block makes before it joins the residual
// stream. A norm has its row in registers when it stores it, so that the sum
// costs no launch.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
#include "dialects/QOpt/QOptOps.h"
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

namespace {

struct FuseSum : OpRewritePattern<arith::AddFOp> {
  using OpRewritePattern::OpRewritePattern;

  LogicalResult matchAndRewrite(arith::AddFOp op,
                                PatternRewriter &rewriter) const override {
    std::optional<NormSumBody> body = qopt::passes::normSumOf(op);
    if (!body)
      return rewriter.notifyMatchFailure(
          op, "part of a region already, or no term is a norm without another "
              "use");

    FusedOp fused = qopt::passes::makeRegion({body->norm, body->sum},
                                             {op.getResult()}, rewriter);
    rewriter.replaceOp(op, fused.getResults());
    rewriter.eraseOp(body->norm);
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
