// Reduction in f64, polynomials in f32.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
#include "lib/Kernels/Builder/Angles.h"

#include "mlir/Dialect/Arith/IR/Arith.h"
#include "mlir/Dialect/Math/IR/Math.h"

using namespace mlir;
using namespace qopt;
using namespace qopt::kernels;

namespace {
/// An angle as quarters of a turn and a rest of at most π/4.
struct Reduced {
  Int quarters;
  Real rest;
};
} // namespace

static Reduced reduce(Int position, Real inverseFrequency) {
  Kernel &k = *position.kernel;
  OpBuilder &b = k.builder();
  Location loc = k.loc();
  Type wide = b.getF64Type();
  auto number = [&](double value) -> Value {
    return arith::ConstantOp::create(b, loc, b.getF64FloatAttr(value));
  };
  Value angle = arith::MulFOp::create(
      b, loc, arith::SIToFPOp::create(b, loc, wide, position.value),
      arith::ExtFOp::create(b, loc, wide, inverseFrequency.value));
  Value turns = math::RoundEvenOp::create(
      b, loc,
      arith::MulFOp::create(b, loc, angle, number(0.63661977236758134308)));
  Value negative = arith::NegFOp::create(b, loc, turns);
  Value rest = angle; // less π/2 in two parts
  for (double part : {1.57079632679489655800, 6.12323399573676603587e-17})
    rest = math::FmaOp::create(b, loc, negative, number(part), rest);
  return {{{&k, arith::FPToSIOp::create(b, loc, b.getI32Type(), turns)}},
          {{&k, arith::TruncFOp::create(b, loc, b.getF32Type(), rest)}}};
}

/// Fits of sine and cosine on |r| ≤ π/4 with errors of 3e-12 and 1e-13.
static Rotation polynomials(Real r) {
  Kernel &k = *r.kernel;
  Real u = r * r;
  Real p = k.real(2.715619410e-06);
  for (double term : {-1.983899921e-04, 8.333328085e-03, -1.666666663e-01})
    p = fma(u, p, k.real(term));
  Real q = k.real(-2.720678656e-07);
  for (double term : {2.479947860e-05, -1.388888360e-03, 4.166666662e-02})
    q = fma(u, q, k.real(term));
  Real base = fma(u, k.real(-0.5), k.real(1));
  return {fma(u * u, q, base), fma(u * r, p, r)};
}

Rotation kernels::rotationOf(Int position, Real inverseFrequency, float scale) {
  Kernel &k = *position.kernel;
  Reduced angle = reduce(position, inverseFrequency);
  Rotation first = polynomials(angle.rest);
  Flag odd = (angle.quarters & 1) == 1;
  auto signedBy = [&](Real value, Int quarters) {
    return k.asReal(k.bits(value) ^ ((quarters & 2) << int64_t(30)));
  };
  Real sine = select(odd, first.cosine, first.sine);
  Real cosine = select(odd, first.sine, first.cosine);
  return {signedBy(cosine, angle.quarters + 1) * scale,
          signedBy(sine, angle.quarters) * scale};
}
