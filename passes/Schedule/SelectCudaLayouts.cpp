// A linear streams its whole weight, in the order in which tensor cores take
// it; a look-up touches a few rows.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
#include "dialects/QOpt/QOptDialect.h"
#include "dialects/QOpt/QOptOps.h"
#include "lib/Quant/Element.h"
#include "passes/Schedule/KernelProblems.h"
#include "passes/Schedule/Passes.h"
#include "passes/Schedule/WeightPacker.h"

namespace qopt::passes {
#define GEN_PASS_DEF_SELECTCUDALAYOUTSPASS
#include "passes/Schedule/Passes.h.inc"
} // namespace qopt::passes

using namespace mlir;
using namespace qopt;
using namespace qopt::kernels;

/// A gate that is part of the launch wants its pairs of rows side by side.
static ir::Layout layoutOf(Operation *user) {
  auto region = user->getParentOfType<ir::FusedOp>();
  if (!region || region.getKernel() != ir::FusedKernel::Linear ||
      !region.getEpilogueTokens())
    return ir::Layout::CudaStrips;
  return ir::matchLinear(region)->gated ? ir::Layout::CudaStripPairs
                                        : ir::Layout::CudaStrips;
}

/// Products of tensor cores have two factors of one type, and a weight without
/// scales is one as it lies there.
static Status needsOtherActivations(const quant::Format &weight,
                                    quant::ElementType activation) {
  using quant::ElementType;
  if (!weight.isFloat() || weight.element == activation)
    return Status();
  std::string given = quant::spell(weight);
  std::string way =
      weight.element == ElementType::F32
          ? "store it as f16, bf16 or with scales"
          : "give --activations " + given + ", or store it in another format";
  return Status(StatusCode::Unsupported,
                "activations are in " +
                    std::string(quant::elementOf(activation).name) + "; " +
                    way);
}

/// Why no kernel multiplies what `user` reads by such a weight.
static Status canRead(Operation *user, ir::WeightType type) {
  skinny_linear::Problem problem;
  problem.columns = type.getColumns();
  problem.segments = passes::segmentsOf(type);
  if (auto linear = dyn_cast<ir::LinearOp>(user))
    problem.activation = passes::elementOf(linear.getX());
  for (const skinny_linear::Segment &segment : problem.segments) {
    if (Status fits = skinny_linear::isValidForCodes(segment.weight);
        problem.hasCodes() && !fits)
      return Status(fits.code(), fits.message() + "; store it as int8 or keep "
                                                  "activations in 16 bits");
    QOPT_RETURN_IF_ERROR(
        needsOtherActivations(segment.weight, problem.activation));
  }
  return isValid(problem);
}

namespace {

struct SelectCudaLayouts
    : qopt::passes::impl::SelectCudaLayoutsPassBase<SelectCudaLayouts> {
  void runOnOperation() override {
    passes::WeightPacker packer;
    WalkResult result =
        getOperation().walk([&](ir::WeightUserOpInterface user) {
          auto check = [&](ir::WeightType type) { return canRead(user, type); };
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
