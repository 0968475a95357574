// A linear streams its whole weight, tile by tile; a look-up touches a few
// rows. The layout of a weight follows from which of the two reads it.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
#include "dialects/QOpt/QOptDialect.h"
#include "dialects/QOpt/QOptOps.h"
#include "passes/Schedule/Passes.h"
#include "passes/Schedule/WeightPacker.h"
#include "runtime/host/LinearLayout.h"

namespace qopt::passes {
#define GEN_PASS_DEF_SELECTHOSTLAYOUTSPASS
#include "passes/Schedule/Passes.h.inc"
} // namespace qopt::passes

using namespace mlir;
using namespace qopt;

namespace {

/// Whether the activations of a linear have zero points, which are multiplied
/// by sums of the weight's rows.
bool readsCentred(ir::WeightUserOpInterface user) {
  auto linear = dyn_cast<ir::LinearOp>(user.getOperation());
  auto type = linear ? dyn_cast<ir::QuantizedType>(linear.getX().getType())
                     : ir::QuantizedType();
  return type && ir::QuantizedType::isCentred(type.getFormat());
}

struct SelectHostLayouts
    : qopt::passes::impl::SelectHostLayoutsPassBase<SelectHostLayouts> {
  void runOnOperation() override {
    SmallVector<ir::WeightUserOpInterface> users, lookUps;
    getOperation().walk([&](ir::WeightUserOpInterface user) {
      (user.looksUpRows() ? lookUps : users).push_back(user);
    });
    passes::WeightPacker packer;
    auto tiled = [](ir::WeightType type) -> StatusOr<host::LinearLayout> {
      if (!type.hasOneFormat())
        return Status(StatusCode::Unsupported, "its rows have several formats");
      return host::linearLayout(type.getFormat(), type.getRows(),
                                type.getColumns());
    };
    auto check = [&](ir::WeightType type) { return tiled(type).status(); };
    auto checkSums = [&](ir::WeightType type) {
      auto layout = tiled(type);
      return layout ? layout->withRowSums().status() : layout.status();
    };
    StringRef refusal = "the host has no kernel for its weight ";
    for (ir::WeightUserOpInterface user : users)
      if (failed(
              readsCentred(user)
                  ? packer.pack(user, ir::Layout::HostTiledSums, checkSums,
                                refusal)
                  : packer.pack(user, ir::Layout::HostTiled, check, refusal)))
        return signalPassFailure();
    // A table that a linear reads too (tied embeddings) is stored once: the
    // look-up takes its rows out of the tiles.
    for (ir::WeightUserOpInterface user : lookUps) {
      OpOperand &operand = user.getWeightOperand();
      if (Value weight = packer.lookup(operand.get(), ir::Layout::HostTiled))
        operand.set(weight);
    }
  }
};

} // namespace
