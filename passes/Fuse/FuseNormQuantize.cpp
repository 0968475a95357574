// A norm reads a row, and so does the quantization of its result. In one kernel
// the row is in registers or cache in between and the f32 tensor never exists.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
#include "dialects/QOpt/QOptOps.h"
#include "mlir/Transforms/GreedyPatternRewriteDriver.h"
#include "passes/Fuse/Gates.h"
#include "passes/Fuse/Passes.h"

namespace qopt::passes {
#define GEN_PASS_DEF_FUSENORMQUANTIZEPASS
#include "passes/Fuse/Passes.h.inc"
} // namespace qopt::passes

using namespace mlir;
using namespace qopt::ir;
using qopt::passes::linearOfActivation;
using qopt::passes::linearOfGate;

/// Kernels of 16-bit values apply a gate or an activation ahead of their
/// linear's only store, where codes of a whole row cannot be made.
static bool isPartOfLinear(Operation *producer) {
  auto gated = dyn_cast<GatedActivationOp>(producer);
  auto activation = dyn_cast<ActivationOp>(producer);
  bool fits = (gated && linearOfGate(gated)) ||
              (activation && linearOfActivation(activation));
  return fits && !getElementTypeOrSelf(producer->getOperand(0)).isF32();
}

namespace {

struct FuseQuantize : OpRewritePattern<QuantizeOp> {
  using OpRewritePattern::OpRewritePattern;

  LogicalResult matchAndRewrite(QuantizeOp op,
                                PatternRewriter &rewriter) const override {
    auto producer = op.getX().getDefiningOp<QuantizingOpInterface>();
    if (!producer || producer.getQuantizableResult() != op.getX())
      return rewriter.notifyMatchFailure(
          op, "what computes the tensor cannot write quantized activations");
    if (isPartOfLinear(producer))
      return rewriter.notifyMatchFailure(
          op, "the linear's launch applies the function");
    for (Operation *user : op.getX().getUsers())
      if (!isa<QuantizeOp>(user) ||
          user->getResultTypes() != op->getResultTypes())
        return rewriter.notifyMatchFailure(
            op, "the tensor has a use besides this quantization");
    SmallVector<Operation *> quantizations(op.getX().getUsers());
    rewriter.modifyOpInPlace(producer, [&] {
      producer.getQuantizableResult().setType(op.getResult().getType());
    });
    for (Operation *quantize : quantizations)
      rewriter.replaceOp(quantize, producer.getQuantizableResult());
    return success();
  }
};

struct FuseNormQuantize
    : qopt::passes::impl::FuseNormQuantizePassBase<FuseNormQuantize> {
  void runOnOperation() override {
    RewritePatternSet patterns(&getContext());
    patterns.add<FuseQuantize>(&getContext());
    if (failed(applyPatternsGreedily(getOperation(), std::move(patterns))))
      signalPassFailure();
  }
};

} // namespace
