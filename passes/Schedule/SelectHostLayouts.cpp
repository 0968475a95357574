// A linear streams its whole weight, tile by tile; a look-up touches a few
// rows. The layout of a weight follows from which of the two reads it.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
#include "dialects/QOpt/QOptDialect.h"
#include "dialects/QOpt/QOptOps.h"
#include "passes/Schedule/Passes.h"
#include "runtime/host/LinearLayout.h"

namespace qopt::passes {
#define GEN_PASS_DEF_SELECTHOSTLAYOUTSPASS
#include "passes/Schedule/Passes.h.inc"
} // namespace qopt::passes

using namespace mlir;
using namespace qopt;

namespace {

struct SelectHostLayouts
    : qopt::passes::impl::SelectHostLayoutsPassBase<SelectHostLayouts> {
  void runOnOperation() override {
    WalkResult walk = getOperation().walk([&](ir::WeightUserOpInterface user) {
      if (user.looksUpRows())
        return WalkResult::advance();
      OpOperand &operand = user.getWeightOperand();
      auto type = cast<ir::WeightType>(operand.get().getType());
      if (type.getLayout() != ir::Layout::Canonical)
        return WalkResult::advance();
      auto layout = host::linearLayout(type.getFormat(), type.getRows(),
                                       type.getColumns());
      if (!layout.ok()) {
        user.emitError("the host has no kernel for its weight ")
            << type << ": " << layout.status().message();
        return WalkResult::interrupt();
      }
      OpBuilder builder(user);
      operand.set(ir::PackWeightOp::create(
          builder, user.getLoc(), type.withLayout(ir::Layout::HostTiled),
          operand.get()));
      return WalkResult::advance();
    });
    if (walk.wasInterrupted())
      signalPassFailure();
  }
};

} // namespace
