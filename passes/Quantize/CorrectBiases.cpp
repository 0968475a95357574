// Rounding errors of a weight do not add up to nothing: what a linear reads has
// a mean, and so has what it then gives too much or too little. A linear that
// has a bias takes that back at no cost; this pass writes it there.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
#include "dialects/QOpt/QOptOps.h"
#include "passes/Quantize/ChannelSite.h"
#include "passes/Quantize/LinearScales.h"
#include "passes/Quantize/Passes.h"

namespace qopt::passes {
#define GEN_PASS_DEF_CORRECTBIASESPASS
#include "passes/Quantize/Passes.h.inc"
} // namespace qopt::passes

using namespace mlir;
using namespace qopt;
using namespace qopt::ir;

namespace {

struct CorrectBiases : passes::impl::CorrectBiasesPassBase<CorrectBiases> {
  void runOnOperation() override {
    WalkResult done = getOperation().walk([&](LinearOp linear) {
      return failed(correct(linear)) ? WalkResult::interrupt()
                                     : WalkResult::advance();
    });
    if (done.wasInterrupted())
      signalPassFailure();
  }

  static LogicalResult correct(LinearOp linear) {
    Attribute given = linear->getAttr(passes::biasCorrectionAttribute);
    if (!given)
      return success();
    int64_t rows = linear.getWeight().getType().getRows();
    auto correction = dyn_cast<DenseElementsAttr>(given);
    if (!correction || !correction.getElementType().isF32() ||
        correction.getNumElements() != rows)
      return linear.emitError("the correction of its bias is ")
             << given << "; expected f32 numbers for " << rows << " rows";
    if (!passes::hasConstantBias(linear))
      return linear.emitError("its bias is to be corrected, and it has none "
                              "that is a constant");
    linear->removeAttr(passes::biasCorrectionAttribute);
    return passes::addToBias(linear,
                             llvm::to_vector(correction.getValues<float>()));
  }
};

} // namespace
