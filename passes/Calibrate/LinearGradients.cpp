// Linears, embeddings and what quantizes activations between them.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
#include "passes/Calibrate/Gradients.h"

using namespace mlir;
using namespace qopt;

namespace {

/// y = x · Wᵀ + bias + residual: dx = dy · W, and dy for the residual.
struct LinearGradients : GradientModel<LinearGradients, ir::LinearOp> {
  bool isDifferentiable(Operation *op, OpOperand &operand) const {
    auto linear = cast<ir::LinearOp>(op);
    return operand.get() == linear.getX() ||
           operand.get() == linear.getResidual();
  }
  Gradients gradientsOf(ir::LinearOp op, Value gradient,
                        const llvm::BitVector &wanted,
                        GradientBuilder &build) const {
    SmallVector<Value> gradients(op->getNumOperands());
    if (wanted[0]) {
      Value transposed =
          ir::TransposeWeightOp::create(build.b, build.loc, op.getWeight());
      Value x = ir::LinearOp::create(build.b, build.loc, gradient, transposed);
      gradients[0] = build.typedFor(op.getX(), x);
    }
    if (op.getResidual())
      gradients.back() = gradient;
    return gradients;
  }
};

/// Straight through: rounding counts as the identity, of which nothing else
/// than its result is known.
template <typename Op>
struct RoundingGradient : UnaryGradientModel<RoundingGradient<Op>, Op> {
  Value gradientOf(Op op, Value gradient, GradientBuilder &build) const {
    return build.typedFor(op.getX(), gradient);
  }
};

} // namespace

void qopt::attachLinearGradients(MLIRContext &context) {
  ir::LinearOp::attachInterface<LinearGradients>(context);
  ir::QuantizeOp::attachInterface<RoundingGradient<ir::QuantizeOp>>(context);
  ir::DequantizeOp::attachInterface<RoundingGradient<ir::DequantizeOp>>(
      context);
}
