// A linear streams its whole weight, in the order in which tensor cores take
// it; a look-up touches a few rows.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
#include "dialects/QOpt/QOptDialect.h"
#include "dialects/QOpt/QOptOps.h"
#include "lib/Kernels/SkinnyLinear/SkinnyLinear.h"
#include "passes/Schedule/KernelProblems.h"
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

/// The product without what surrounds it: whether a kernel reads the weight.
static kernels::skinny_linear::Problem problemOf(Operation *user,
                                                 ir::WeightType type) {
  kernels::skinny_linear::Problem problem;
  problem.columns = type.getColumns();
  problem.segments = passes::segmentsOf(type);
  if (auto linear = dyn_cast<ir::LinearOp>(user))
    problem.activation = passes::elementOf(linear.getX());
  return problem;
}

namespace {

struct SelectCudaLayouts
    : qopt::passes::impl::SelectCudaLayoutsPassBase<SelectCudaLayouts> {
  void runOnOperation() override {
    passes::WeightPacker packer;
    WalkResult result =
        getOperation().walk([&](ir::WeightUserOpInterface user) {
          auto check = [&](ir::WeightType type) {
            return isValid(problemOf(user, type));
          };
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
