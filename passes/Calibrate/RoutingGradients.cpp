// Weights of experts. Which experts a token takes is constant: the gradient is
// that of a softmax whose other weights are zero.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
#include "passes/Calibrate/Gradients.h"

using namespace mlir;
using namespace qopt;

namespace {
/// With weights y, probabilities p and gradients g of y: y (g − Σ y g) where
/// the weights are normalized, else y g − p Σ y g.
struct RouteGradient : UnaryGradientModel<RouteGradient, ir::RouteOp> {
  Value gradientOf(ir::RouteOp op, Value gradient,
                   GradientBuilder &build) const {
    Value scores = op.getScores();
    int64_t experts =
        cast<RankedTensorType>(scores.getType()).getShape().back();
    bool normalized = op.getNormalized();
    Value y = ir::RouteOp::create(build.b, build.loc, scores,
                                  int64_t(op.getCount()), normalized);
    Value p = normalized ? y
                         : ir::RouteOp::create(build.b, build.loc, scores,
                                               experts, /*normalized=*/false)
                               .getResult();
    Value sum = build.rowSums(scores, {y, gradient},
                              [](ArrayRef<Real> e) { return e[0] * e[1]; });
    return build.elementwise(
        scores, {y, gradient, p, sum},
        [](ArrayRef<Real> e) { return e[0] * e[1] - e[2] * e[3]; });
  }
};
} // namespace

void qopt::attachRoutingGradients(MLIRContext &context) {
  ir::RouteOp::attachInterface<RouteGradient>(context);
}
