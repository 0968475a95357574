// Elementary functions on vectors of f32. The polynomials are weighted minimax
// fits made for these intervals; each comment gives the error of the fit, to
// which rounding adds about one unit in the last place.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
#include "runtime/host/Simd-inl.h"

#if defined(QOPT_RUNTIME_HOST_VECTORMATH_INL_H) == defined(HWY_TARGET_TOGGLE)
#ifdef QOPT_RUNTIME_HOST_VECTORMATH_INL_H
#undef QOPT_RUNTIME_HOST_VECTORMATH_INL_H
#else
#define QOPT_RUNTIME_HOST_VECTORMATH_INL_H
#endif

HWY_BEFORE_NAMESPACE();
namespace qopt::host::HWY_NAMESPACE {

/// c[0] + c[1]·x + … by Horner's rule.
template <size_t count>
HWY_INLINE FloatVector polynomial(FloatTag d, FloatVector x,
                                  const float (&c)[count]) {
  FloatVector y = hn::Set(d, c[count - 1]);
  for (size_t i = count - 1; i-- > 0;)
    y = hn::MulAdd(y, x, hn::Set(d, c[i]));
  return y;
}

/// e^x: x = n·ln 2 + r, and e^r = 1 + r + r²·P(r) on |r| ≤ ln 2 / 2 (5e-11
/// relative). 0 below −87.3, where f32 becomes subnormal; x above 88.3 counts
/// as 88.3 (2.2e38). NaN stays NaN.
HWY_INLINE FloatVector exponential(FloatTag d, FloatVector x) {
  static constexpr float c[] = {5.000000068e-01f, 1.666666587e-01f,
                                4.166629455e-02f, 8.333497246e-03f,
                                1.394468934e-03f, 1.979031755e-04f};
  const auto vanishes = hn::Lt(x, hn::Set(d, -87.3f));
  // On x86 the second operand is the result where one of them is NaN.
  x = hn::Min(hn::Set(d, 88.3f), hn::Max(hn::Set(d, -87.3f), x));
  const auto n = hn::NearestInt(hn::Mul(x, hn::Set(d, 1.44269504f)));
  const auto whole = hn::ConvertTo(d, n);
  // ln 2 in two parts; the first has so few digits that its product is exact.
  auto r = hn::NegMulAdd(whole, hn::Set(d, 0.693359375f), x);
  r = hn::NegMulAdd(whole, hn::Set(d, -2.12194440e-4f), r);
  auto y = hn::MulAdd(hn::Mul(r, r), polynomial(d, r, c), r);
  y = hn::Add(y, hn::Set(d, 1.0f));
  const hn::RebindToSigned<FloatTag> di;
  const auto power =
      hn::BitCast(d, hn::ShiftLeft<23>(hn::Add(n, hn::Set(di, 127))));
  return hn::IfThenZeroElse(vanishes, hn::Mul(y, power));
}

/// 1 / (1 + e^−x); 0 below −88, so that a product with any x vanishes there.
HWY_INLINE FloatVector sigmoidOf(FloatTag d, FloatVector x) {
  const auto one = hn::Set(d, 1.0f);
  const auto y = hn::Div(one, hn::Add(one, exponential(d, hn::Neg(x))));
  return hn::IfThenZeroElse(hn::Lt(x, hn::Set(d, -88.0f)), y);
}

/// tanh x: x + x³·P(x²) for |x| < 0.625 (2e-10), else 1 − 2 / (e^2|x| + 1).
HWY_INLINE FloatVector tanhOf(FloatTag d, FloatVector x) {
  static constexpr float c[] = {-3.333333063e-01f, 1.333319830e-01f,
                                -5.394568962e-02f, 2.169435604e-02f,
                                -8.160693202e-03f, 2.126850389e-03f};
  const auto one = hn::Set(d, 1.0f), a = hn::Abs(x);
  const auto square = hn::Mul(x, x);
  const auto near = hn::MulAdd(hn::Mul(a, square), polynomial(d, square, c), a);
  const auto e = exponential(d, hn::Add(a, a));
  const auto far = hn::Sub(one, hn::Div(hn::Set(d, 2.0f), hn::Add(e, one)));
  const auto y = hn::IfThenElse(hn::Lt(a, hn::Set(d, 0.625f)), near, far);
  return hn::CopySignToAbs(y, x);
}

/// erfc z for z ≥ 0: 1 − z·P(z²) below 1 (1.2e-9), else e^−Q(z) (4e-8 absolute,
/// 1e-5 relative), 0 from 6 on.
HWY_INLINE FloatVector erfcOf(FloatTag d, FloatVector z) {
  static constexpr float p[] = {
      1.128379166e+00f, -3.761262714e-01f, 1.128360017e-01f, -2.685444451e-02f,
      5.189535198e-03f, -8.020840142e-04f, 7.889116025e-05f};
  static constexpr float q[] = {
      9.307792110e-05f,  1.128484583e+00f,  6.349209044e-01f,
      1.070982077e-01f,  -2.471365297e-02f, 4.164649924e-03f,
      -4.733507998e-04f, 3.205414245e-05f,  -9.690826332e-07f};
  const auto one = hn::Set(d, 1.0f);
  const auto near = hn::NegMulAdd(z, polynomial(d, hn::Mul(z, z), p), one);
  const auto end = hn::Set(d, 6.0f), bounded = hn::Min(z, end);
  const auto far = hn::IfThenZeroElse(
      hn::Ge(z, end), exponential(d, hn::Neg(polynomial(d, bounded, q))));
  return hn::IfThenElse(hn::Lt(z, one), near, far);
}

} // namespace qopt::host::HWY_NAMESPACE
HWY_AFTER_NAMESPACE();

#endif // per-target guard
