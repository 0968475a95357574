// A linear streams its whole weight, in the order in which tensor cores take
// it; a look-up touches a few rows.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
#include "dialects/QOpt/QOptDialect.h"
#include "dialects/QOpt/QOptOps.h"
#include "lib/Kernels/SkinnyLinear/SkinnyLinear.h"
#include "passes/Schedule/Passes.h"
#include "passes/Schedule/WeightPacker.h"

namespace qopt::passes {
#define GEN_PASS_DEF_SELECTCUDALAYOUTSPASS
#include "passes/Schedule/Passes.h.inc"
} // namespace qopt::passes

using namespace mlir;
using namespace qopt;

/// A gate that is part of the launch wants its pairs of rows side by side.
static ir::Layout layoutOf(Operation *user) {
  auto region = user->getParentOfType<ir::FusedOp>();
  if (!region || region.getKernel() != ir::FusedKernel::Linear ||
      !region.getEpilogueTokens())
    return ir::Layout::CudaStrips;
  return ir::matchLinear(region)->gated ? ir::Layout::CudaStripPairs
                                        : ir::Layout::CudaStrips;
}

namespace {

struct SelectCudaLayouts
    : qopt::passes::impl::SelectCudaLayoutsPassBase<SelectCudaLayouts> {
  void runOnOperation() override {
    passes::WeightPacker packer;
    auto check = [](ir::WeightType type) {
      kernels::skinny_linear::Problem problem;
      problem.columns = type.getColumns();
      problem.segments = {{type.getRows(), type.getFormat()}};
      return kernels::skinny_linear::isValid(problem);
    };
    WalkResult result =
        getOperation().walk([&](ir::WeightUserOpInterface user) {
          bool done = user.looksUpRows() ||
                      succeeded(packer.pack(user, layoutOf(user), check,
                                            "no GPU kernel reads its weight "));
          return done ? WalkResult::advance() : WalkResult::interrupt();
        });
    if (result.wasInterrupted())
      signalPassFailure();
  }
};

} // namespace
