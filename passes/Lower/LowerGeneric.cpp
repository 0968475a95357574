// LowerGeneric: what no kernel family of a GPU runs becomes arithmetic that is
// generated; what families ask of their operands and the model does not give is
// put in front of them.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
#include "mlir/Dialect/Arith/IR/Arith.h"
#include "mlir/Dialect/Func/IR/FuncOps.h"
#include "mlir/Dialect/Linalg/IR/Linalg.h"
#include "mlir/Dialect/Math/IR/Math.h"
#include "mlir/Dialect/Tensor/IR/Tensor.h"
#include "mlir/Pass/Pass.h"
#include "passes/Lower/GenericOps.h"
#include "passes/Lower/Passes.h"

namespace qopt::passes {
#define GEN_PASS_DEF_LOWERGENERICPASS
#include "passes/Lower/Passes.h.inc"
} // namespace qopt::passes

using namespace mlir;
using namespace qopt;

/// The same integers in 32 bits, which is what families read.
static Value narrowIntegers(OpBuilder &b, Location loc, Value value) {
  auto type = cast<RankedTensorType>(value.getType());
  if (type.getElementType().isInteger(32))
    return value;
  return arith::TruncIOp::create(b, loc, type.clone(b.getI32Type()), value);
}

/// A decoder's engine checks its tokens, and positions end with the context.
static bool isChecked(Value ids) {
  if (ids.getDefiningOp<ir::PositionsOp>())
    return true;
  auto argument = dyn_cast<BlockArgument>(ids);
  return argument &&
         argument.getOwner()->getParentOp()->hasAttr("qopt.decoder");
}

static void lowerIds(ir::EmbeddingOp op) {
  OpBuilder b(op);
  Value ids = op.getIds();
  if (!isChecked(ids)) {
    Value rows = arith::ConstantIndexOp::create(
        b, op.getLoc(), op.getWeight().getType().getRows());
    ids = ir::CheckIndicesOp::create(b, op.getLoc(), ids.getType(), ids, rows,
                                     /*from_zero=*/true);
  }
  op.getIdsMutable().assign(narrowIntegers(b, op.getLoc(), ids));
}

static void lowerPositions(ir::RotaryTableOp op) {
  OpBuilder b(op);
  op.getPositionsMutable().assign(
      narrowIntegers(b, op.getLoc(), op.getPositions()));
}

namespace {
struct LowerGenericPass : passes::impl::LowerGenericPassBase<LowerGenericPass> {
  void runOnOperation() override {
    if (getOperation().isExternal())
      return;
    // What lies in qopt.fused is its kernel's.
    for (Operation &op :
         llvm::make_early_inc_range(getOperation().getBody().front())) {
      if (auto embedding = dyn_cast<ir::EmbeddingOp>(op))
        lowerIds(embedding);
      else if (auto table = dyn_cast<ir::RotaryTableOp>(op))
        lowerPositions(table);
      else if (auto rotary = dyn_cast<ir::RotaryOp>(op))
        lowerRotary(rotary);
      else if (auto attention = dyn_cast<ir::AttentionOp>(op))
        lowerAttention(attention);
    }
  }
};
} // namespace
