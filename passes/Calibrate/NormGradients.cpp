// Norms over rows of K channels. With z = (x − m) · r, r = 1/√(v + ε) and
// h = dy · scale:
//
//   rms_norm (m = 0):  dx = r · (h − z · mean(h · z))
//   layer_norm:        dx = r · (h − mean(h) − z · mean(h · z))
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
#include "dialects/Onnx/OnnxOps.h"
#include "passes/Calibrate/Gradients.h"

using namespace mlir;
using namespace qopt;

namespace {

/// 1/√(mean + ε) of a row whose squares have the sum `squares`.
Real inverseRoot(Real squares, double columns, double epsilon) {
  return squares.constant(1) / sqrt(squares / columns + epsilon);
}

/// `scale` broadcasts to x, whose last axis is static.
Value rmsNormGradient(Value x, Value scale, double epsilon, Value gradient,
                      GradientBuilder &build) {
  double columns = cast<RankedTensorType>(x.getType()).getShape().back();
  Value squares =
      build.rowSums(x, x, [](ArrayRef<Real> e) { return e[0] * e[0]; });
  Value products = build.rowSums(x, {x, gradient, scale}, [](ArrayRef<Real> e) {
    return e[0] * e[1] * e[2];
  });
  return build.elementwise(x, {x, gradient, scale, squares, products},
                           [&](ArrayRef<Real> e) {
                             Real root = inverseRoot(e[3], columns, epsilon);
                             Real mean = e[4] * root / columns;
                             return root * (e[1] * e[2] - e[0] * root * mean);
                           });
}

struct RmsNormGradient : UnaryGradientModel<RmsNormGradient, ir::RmsNormOp> {
  Value gradientOf(ir::RmsNormOp op, Value gradient,
                   GradientBuilder &build) const {
    return rmsNormGradient(op.getX(), op.getScale(),
                           op.getEpsilon().convertToDouble(), gradient, build);
  }
};

/// As a file has it, with a scale of more axes than one.
struct OnnxRmsNormGradient
    : UnaryGradientModel<OnnxRmsNormGradient, onnx::RMSNormalizationOp> {
  Value gradientOf(onnx::RMSNormalizationOp op, Value gradient,
                   GradientBuilder &build) const {
    auto type = cast<RankedTensorType>(op.getX().getType());
    bool isLast = op.getAxis() == -1 || op.getAxis() == type.getRank() - 1;
    if (!isLast || type.isDynamicDim(type.getRank() - 1)) {
      op.emitOpError("is over more axes than the last, or over one of a size "
                     "that is not known, which is not differentiated");
      return {};
    }
    build.requireFits(op.getScale(), op.getX());
    return rmsNormGradient(op.getX(), op.getScale(),
                           op.getEpsilon().convertToDouble(), gradient, build);
  }
};

struct LayerNormGradient
    : UnaryGradientModel<LayerNormGradient, ir::LayerNormOp> {
  Value gradientOf(ir::LayerNormOp op, Value gradient,
                   GradientBuilder &build) const {
    Value x = op.getX(), scale = op.getScale();
    double columns = op.getX().getType().getShape().back();
    double epsilon = op.getEpsilon().convertToDouble();
    auto centred = [&](ArrayRef<Real> e) { return e[0] - e[1] / columns; };
    Value sums = build.rowSums(x, x, [](ArrayRef<Real> e) { return e[0]; });
    Value squares = build.rowSums(x, {x, sums}, [&](ArrayRef<Real> e) {
      return centred(e) * centred(e);
    });
    Value total = build.rowSums(x, {gradient, scale},
                                [](ArrayRef<Real> e) { return e[0] * e[1]; });
    Value products =
        build.rowSums(x, {x, sums, gradient, scale}, [&](ArrayRef<Real> e) {
          return centred(e) * e[2] * e[3];
        });
    return build.elementwise(
        x, {x, sums, gradient, scale, squares, total, products},
        [&](ArrayRef<Real> e) {
          Real root = inverseRoot(e[4], columns, epsilon);
          Real mean = e[6] * root / columns;
          return root *
                 (e[2] * e[3] - e[5] / columns - centred(e) * root * mean);
        });
  }
};

} // namespace

void qopt::attachNormGradients(MLIRContext &context) {
  ir::RmsNormOp::attachInterface<RmsNormGradient>(context);
  ir::LayerNormOp::attachInterface<LayerNormGradient>(context);
}

void qopt::attachOnnxNormGradients(MLIRContext &context) {
  onnx::RMSNormalizationOp::attachInterface<OnnxRmsNormGradient>(context);
}
