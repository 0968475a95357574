// Activation functions and their derivatives (QOptAttrs.td has the formulas).
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
#include "mlir/Dialect/Tensor/IR/Tensor.h"
#include "passes/Calibrate/Gradients.h"
#include "passes/Raise/OnnxBuilder.h"

#include <numbers>

using namespace mlir;
using namespace qopt;

namespace {

/// f(x) and f'(x).
struct Derived {
  Real value, slope;
};

/// x · sigmoid(steepness · x).
Derived sigmoidGate(Real x, double steepness) {
  Real gate = sigmoid(x * steepness);
  return {x * gate, gate + x * gate * (1 - gate) * steepness};
}

/// x/2 · (1 + t) where t' is the slope of t.
Derived halfGate(Real x, Real t, Real slope) {
  Real half = (t + 1) * 0.5;
  return {x * half, half + x * slope * 0.5};
}

Derived geluErf(Real x) {
  // erf'(z) = 2/√π · e^(−z²), and z = x/√2.
  double slope = std::numbers::sqrt2 * std::numbers::inv_sqrtpi;
  return halfGate(x, erf(x / std::numbers::sqrt2), exp(x * x * -0.5) * slope);
}

Derived geluTanh(Real x) {
  double factor = std::numbers::sqrt2 * std::numbers::inv_sqrtpi; // √(2/π)
  Real t = tanh((x + x * x * x * 0.044715) * factor);
  Real inner = (x * x * (3 * 0.044715) + 1) * factor;
  return halfGate(x, t, (1 - t * t) * inner);
}

Derived apply(ir::Function function, Real x) {
  Real zero = x.constant(0), one = x.constant(1);
  switch (function) {
  case ir::Function::Silu:
    return sigmoidGate(x, 1);
  case ir::Function::GeluErf:
    return geluErf(x);
  case ir::Function::GeluTanh:
    return geluTanh(x);
  case ir::Function::GeluQuick:
    return sigmoidGate(x, 1.702);
  case ir::Function::Relu:
    return {selectGreater(x, zero, x, zero), selectGreater(x, zero, one, zero)};
  case ir::Function::Tanh: {
    Real t = tanh(x);
    return {t, 1 - t * t};
  }
  case ir::Function::Sigmoid: {
    Real s = sigmoid(x);
    return {s, s * (1 - s)};
  }
  }
  llvm_unreachable("every function has a derivative");
}

struct ActivationGradient
    : UnaryGradientModel<ActivationGradient, ir::ActivationOp> {
  Value gradientOf(ir::ActivationOp op, Value gradient,
                   GradientBuilder &build) const {
    return build.elementwise(
        op.getX(), {op.getX(), gradient}, [&](ArrayRef<Real> e) {
          return apply(op.getFunction(), e[0]).slope * e[1];
        });
  }
};

/// y = f(gate) · up.
struct GatedActivationGradients
    : GradientModel<GatedActivationGradients, ir::GatedActivationOp> {
  Gradients gradientsOf(ir::GatedActivationOp op, Value gradient,
                        const llvm::BitVector &wanted,
                        GradientBuilder &build) const {
    if (!op.getUp())
      return SmallVector<Value>{halves(op, gradient, build)};
    SmallVector<Value> gradients(2);
    if (wanted[0])
      gradients[0] = ofGate(op, op.getGate(), op.getUp(), gradient, build);
    if (wanted[1])
      gradients[1] = ofUp(op, op.getGate(), op.getUp(), gradient, build);
    return gradients;
  }

private:
  static Value ofGate(ir::GatedActivationOp op, Value gate, Value up,
                      Value gradient, GradientBuilder &build) {
    return build.elementwise(gate, {gate, up, gradient}, [&](ArrayRef<Real> e) {
      return apply(op.getFunction(), e[0]).slope * e[1] * e[2];
    });
  }
  static Value ofUp(ir::GatedActivationOp op, Value gate, Value up,
                    Value gradient, GradientBuilder &build) {
    return build.elementwise(up, {gate, gradient}, [&](ArrayRef<Real> e) {
      return apply(op.getFunction(), e[0]).value * e[1];
    });
  }

  /// Gate and up are halves of one tensor, and so are their gradients.
  static Value halves(ir::GatedActivationOp op, Value gradient,
                      GradientBuilder &build) {
    auto type = cast<RankedTensorType>(op.getGate().getType());
    int64_t last = type.getRank() - 1, columns = type.getDimSize(last) / 2;
    SmallVector<OpFoldResult> sizes =
        tensor::getMixedSizes(build.b, build.loc, op.getGate());
    sizes[last] = build.b.getIndexAttr(columns);
    auto half = [&](int64_t first) -> Value {
      SmallVector<OpFoldResult> offsets(type.getRank(),
                                        build.b.getIndexAttr(0));
      offsets[last] = build.b.getIndexAttr(first);
      SmallVector<OpFoldResult> strides(type.getRank(),
                                        build.b.getIndexAttr(1));
      return tensor::ExtractSliceOp::create(build.b, build.loc, op.getGate(),
                                            offsets, sizes, strides);
    };
    Value gate = half(0), up = half(columns);
    return onnx::OnnxBuilder(build.b, build.loc)
        .concat({ofGate(op, gate, up, gradient, build),
                 ofUp(op, gate, up, gradient, build)},
                last);
  }
};

} // namespace

void qopt::attachActivationGradients(MLIRContext &context) {
  ir::ActivationOp::attachInterface<ActivationGradient>(context);
  ir::GatedActivationOp::attachInterface<GatedActivationGradients>(context);
}
