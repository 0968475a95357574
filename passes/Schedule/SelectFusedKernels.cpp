// A fused region is one launch where a kernel does what its body says. The pass
// only names the kernel; what each does is the contract of qopt.fused.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
#include "dialects/QOpt/QOptOps.h"
#include "passes/Schedule/Passes.h"

namespace qopt::passes {
#define GEN_PASS_DEF_SELECTFUSEDKERNELSPASS
#include "passes/Schedule/Passes.h.inc"
} // namespace qopt::passes

using namespace mlir;
using namespace qopt;

/// The host rotates f32 rows, one for each token of the batch.
static bool hostRuns(ir::RotaryAppendBody body) {
  auto keys = cast<RankedTensorType>(body.keys.getX().getType());
  bool fits =
      keys.getRank() == 3 && keys.getElementType().isF32() && !body.keyNorm;
  if (body.queries) {
    auto queries = cast<RankedTensorType>(body.queries.getX().getType());
    fits &= queries.getRank() == 3 && queries.getElementType().isF32() &&
            queries.getDimSize(2) == keys.getDimSize(2);
  }
  return fits;
}

namespace {

struct SelectFusedKernels
    : qopt::passes::impl::SelectFusedKernelsPassBase<SelectFusedKernels> {
  void runOnOperation() override {
    getOperation().walk([&](ir::FusedOp op) {
      std::optional<ir::RotaryAppendBody> body = ir::matchRotaryAppend(op);
      if (op.getKernel() || !body || !hostRuns(*body))
        return;
      op.setKernel(ir::FusedKernel::RotaryAppend);
    });
  }
};

} // namespace
