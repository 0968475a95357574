// Between the projections and attention, a decoder rotates queries and keys and
// stores keys and values: three small passes over the same rows. As one region
// they are one launch, and rotated keys go straight into the cache.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
#include "dialects/QOpt/QOptOps.h"
#include "mlir/Transforms/GreedyPatternRewriteDriver.h"
#include "passes/Fuse/Passes.h"
#include "passes/Fuse/Regions.h"

namespace qopt::passes {
#define GEN_PASS_DEF_FUSEROTARYAPPENDPASS
#include "passes/Fuse/Passes.h.inc"
} // namespace qopt::passes

using namespace mlir;
using namespace qopt::ir;

/// The rotary of the queries that attend to `append`'s result, when it uses the
/// table of `keys` and nothing before the attention needs it.
static RotaryOp rotaryOfQueries(KVAppendOp append, RotaryOp keys) {
  for (Operation *user : append.getResult().getUsers()) {
    auto attention = dyn_cast<CachedAttentionOp>(user);
    if (!attention || attention.getLayer() != append.getLayer())
      continue;
    auto queries = attention.getQ().getDefiningOp<RotaryOp>();
    if (queries && queries->hasOneUse() && queries.getCos() == keys.getCos() &&
        queries.getSin() == keys.getSin() &&
        queries.getInterleaved() == keys.getInterleaved() &&
        queries->getBlock() == append->getBlock() &&
        queries->isBeforeInBlock(append))
      return queries;
  }
  return {};
}

/// What makes the heads that only `rotary` reads.
static Operation *sourceOf(RotaryOp rotary) {
  Operation *source = rotary.getX().getDefiningOp();
  return source && source->hasOneUse() &&
                 source->getBlock() == rotary->getBlock()
             ? source
             : nullptr;
}

/// The norms of the heads of queries and keys, which differ in their scales.
static SmallVector<Operation *> normsOf(RotaryOp queries, RotaryOp keys) {
  Operation *query = sourceOf(queries), *key = sourceOf(keys);
  if (!areNormsOfHeads(query, key))
    return {};
  return {query, key};
}

namespace {

struct FuseAppend : OpRewritePattern<KVAppendOp> {
  FuseAppend(MLIRContext *context, bool norms)
      : OpRewritePattern(context), norms(norms) {}

  LogicalResult matchAndRewrite(KVAppendOp op,
                                PatternRewriter &rewriter) const override {
    auto keys = op.getK().getDefiningOp<RotaryOp>();
    if (op->getParentOfType<FusedOp>())
      return rewriter.notifyMatchFailure(op, "part of a region already");
    if (!keys || !keys->hasOneUse() || keys->getBlock() != op->getBlock())
      return rewriter.notifyMatchFailure(
          op, "the keys are not rotated, or needed elsewhere too");

    SmallVector<Operation *> ops;
    SmallVector<Value> results;
    if (RotaryOp queries = rotaryOfQueries(op, keys)) {
      if (norms)
        ops = normsOf(queries, keys);
      ops.push_back(queries);
      results.push_back(queries.getResult());
    }
    ops.append({keys, op});
    results.push_back(op.getResult());
    FusedOp region = qopt::passes::makeRegion(ops, results, rewriter);
    for (auto [old, result] : llvm::zip(results, region.getResults()))
      rewriter.replaceAllUsesWith(old, result);
    for (Operation *done : llvm::reverse(ops))
      rewriter.eraseOp(done);
    return success();
  }

  bool norms;
};

struct FuseRotaryAppend
    : qopt::passes::impl::FuseRotaryAppendPassBase<FuseRotaryAppend> {
  using FuseRotaryAppendPassBase::FuseRotaryAppendPassBase;

  void runOnOperation() override {
    RewritePatternSet patterns(&getContext());
    patterns.add<FuseAppend>(&getContext(), norms);
    if (failed(applyPatternsGreedily(getOperation(), std::move(patterns))))
      signalPassFailure();
  }
};

} // namespace
