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
    SmallVector<ir::WeightUserOpInterface> users, lookUps;
    getOperation().walk([&](ir::WeightUserOpInterface user) {
      (user.looksUpRows() ? lookUps : users).push_back(user);
    });
    for (ir::WeightUserOpInterface user : users)
      if (failed(pack(user)))
        return signalPassFailure();
    // A table that a linear reads too (tied embeddings) is stored once: the
    // look-up takes its rows out of the tiles.
    for (ir::WeightUserOpInterface user : lookUps) {
      OpOperand &operand = user.getWeightOperand();
      if (Value weight = packed.lookup(operand.get()))
        operand.set(weight);
    }
    packed.clear();
  }

private:
  LogicalResult pack(ir::WeightUserOpInterface user) {
    OpOperand &operand = user.getWeightOperand();
    Value &weight = packed[operand.get()];
    auto type = cast<ir::WeightType>(operand.get().getType());
    if (type.getLayout() != ir::Layout::Canonical)
      return success();
    auto layout =
        host::linearLayout(type.getFormat(), type.getRows(), type.getColumns());
    if (!layout.ok())
      return user.emitError("the host has no kernel for its weight ")
             << type << ": " << layout.status().message();
    if (!weight) {
      OpBuilder builder(&getContext());
      builder.setInsertionPointAfterValue(operand.get());
      weight = ir::PackWeightOp::create(builder, user.getLoc(),
                                        type.withLayout(ir::Layout::HostTiled),
                                        operand.get());
    }
    operand.set(weight);
    return success();
  }

  /// Canonical weight → the packed one.
  llvm::DenseMap<Value, Value> packed;
};

} // namespace
