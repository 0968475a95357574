// Rotary embedding and dense attention.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
#include "mlir/Dialect/Arith/IR/Arith.h"
#include "passes/Calibrate/Gradients.h"

using namespace mlir;
using namespace qopt;

namespace {

/// A rotation's transpose turns back: the same with −sin. A factor of the table
/// stays as it is.
struct RotaryGradient : UnaryGradientModel<RotaryGradient, ir::RotaryOp> {
  Value gradientOf(ir::RotaryOp op, Value gradient,
                   GradientBuilder &build) const {
    Value sin = arith::NegFOp::create(build.b, build.loc, op.getSin());
    return ir::RotaryOp::create(build.b, build.loc, op.getX().getType(),
                                gradient, op.getCos(), sin,
                                op.getInterleavedAttr());
  }
};

struct AttentionGradients : GradientModel<AttentionGradients, ir::AttentionOp> {
  bool isDifferentiable(Operation *, OpOperand &operand) const {
    return operand.getOperandNumber() < 3; // not the mask
  }
  Gradients gradientsOf(ir::AttentionOp op, Value gradient,
                        const llvm::BitVector &wanted,
                        GradientBuilder &build) const {
    auto backward =
        ir::AttentionGradientOp::create(build.b, build.loc, op, gradient);
    SmallVector<Value> gradients(op->getNumOperands());
    for (unsigned i = 0; i < 3; ++i)
      if (wanted[i])
        gradients[i] = backward->getResult(i);
    return gradients;
  }
};

} // namespace

void qopt::attachAttentionGradients(MLIRContext &context) {
  ir::RotaryOp::attachInterface<RotaryGradient>(context);
  ir::AttentionOp::attachInterface<AttentionGradients>(context);
}
