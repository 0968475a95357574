// Each operator is one arith or math operation.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
#include "passes/Calibrate/Real.h"

#include "mlir/Dialect/Arith/IR/Arith.h"
#include "mlir/Dialect/Math/IR/Math.h"
#include "passes/Lower/ScalarMath.h"

using namespace mlir;

namespace qopt {

template <typename Op> static Real binary(Real a, Real b) {
  return {a.builder, a.loc, Op::create(*a.builder, a.loc, a.value, b.value)};
}
template <typename Op> static Real unary(Real x) {
  return {x.builder, x.loc, Op::create(*x.builder, x.loc, x.value)};
}
static ScalarMath mathOf(Real x) { return ScalarMath(*x.builder, x.loc); }

Real Real::constant(double number) const {
  return {builder, loc, mathOf(*this).constant(value.getType(), number)};
}
Value Real::as(Type type) const { return mathOf(*this).convert({value}, type); }

Real operator+(Real a, Real b) { return binary<arith::AddFOp>(a, b); }
Real operator-(Real a, Real b) { return binary<arith::SubFOp>(a, b); }
Real operator*(Real a, Real b) { return binary<arith::MulFOp>(a, b); }
Real operator/(Real a, Real b) { return binary<arith::DivFOp>(a, b); }
Real operator+(Real a, double b) { return a + a.constant(b); }
Real operator-(double a, Real b) { return b.constant(a) - b; }
Real operator*(Real a, double b) { return a * a.constant(b); }
Real operator/(Real a, double b) { return a / a.constant(b); }
Real operator-(Real a) { return unary<arith::NegFOp>(a); }

Real exp(Real x) { return unary<math::ExpOp>(x); }
Real log(Real x) { return unary<math::LogOp>(x); }
Real sqrt(Real x) { return unary<math::SqrtOp>(x); }
Real tanh(Real x) { return unary<math::TanhOp>(x); }
Real erf(Real x) { return unary<math::ErfOp>(x); }
Real sin(Real x) { return unary<math::SinOp>(x); }
Real cos(Real x) { return unary<math::CosOp>(x); }
Real sigmoid(Real x) { return {x.builder, x.loc, mathOf(x).sigmoid(x.value)}; }
Real power(Real x, Real y) {
  return {x.builder, x.loc, mathOf(x).power({x.value}, {y.value})};
}
Real selectGreater(Real x, Real y, Real a, Real b) {
  ScalarMath math = mathOf(x);
  Value greater =
      math.compare(ScalarMath::Order::Greater, {x.value}, {y.value});
  return {x.builder, x.loc, math.select(greater, a.value, b.value)};
}

} // namespace qopt
