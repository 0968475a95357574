// ex2, lg2, sin, cos, tanh, rcp, rsqrt, sqrt and div with .approx or .full. PTX
// bounds their errors and leaves the bits open; here they are the correctly
// rounded result but for about one case in 2^10, computed in f64 by polynomials
// without any library, so that every machine gives the same bits. A GPU's bits
// differ within the bounds of the PTX ISA: ex2 2 ulp, lg2 2^-22 absolute (near
// 1), sin and cos 2^-20.5 absolute (in ±π), tanh 2^-11 relative, rcp 1 ulp,
// rsqrt 2^-22.9 relative, sqrt 2^-23 relative, div 2 ulp.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
#ifndef QOPT_RUNTIME_EMULATOR_NUMERICS_APPROXIMATE_H
#define QOPT_RUNTIME_EMULATOR_NUMERICS_APPROXIMATE_H

#include "runtime/emulator/numerics/Float32.h"

namespace qopt::emulator::numerics {

/// Σ coefficients[i] · x^i. Products and sums are statements of their own, so
/// that no compiler makes an fma of them.
template <int N>
inline double polynomial(const double (&coefficients)[N], double x) {
  double value = coefficients[N - 1];
  for (int i = N - 2; i >= 0; --i) {
    const double product = value * x;
    value = product + coefficients[i];
  }
  return value;
}

/// 2^x for |x| < 1000 in f64, relative error below 2^-36.
inline double powerOfTwo(double x) {
  // Adding 1.5 · 2^52 leaves the nearest integer in the low bits.
  const double shifted = x + 0x1.8p52;
  const double whole = shifted - 0x1.8p52;
  const int64_t exponent =
      int64_t(std::bit_cast<uint64_t>(shifted) << 12) >> 12;
  constexpr int64_t offset = int64_t(1) << 51;                // of the 1.5
  const double fraction = (x - whole) * 0x1.62e42fefa39efp-1; // ln 2
  static constexpr double taylor[] = {
      1,         1,         1.0 / 2,    1.0 / 6,     1.0 / 24,
      1.0 / 120, 1.0 / 720, 1.0 / 5040, 1.0 / 40320, 1.0 / 362880};
  const uint64_t scale = uint64_t(exponent + offset + 1023) << 52;
  return polynomial(taylor, fraction) * std::bit_cast<double>(scale);
}

/// ex2.approx.f32.
template <bool Ftz = false> inline float exponential2(float a) {
  const float x = flushIf<Ftz>(a);
  const float clamped = x < -200 ? -200.0f : (x < 200 ? x : 200.0f);
  const float value = float(powerOfTwo(double(clamped)));
  return finished<Ftz, false>(x != x ? x : value);
}

/// lg2.approx.f32.
template <bool Ftz = false> inline float logarithm2(float a) {
  const float x = flushIf<Ftz>(a);
  const uint64_t bits = std::bit_cast<uint64_t>(double(x));
  const double first = std::bit_cast<double>((bits & 0xfffffffffffffull) |
                                             0x3ff0000000000000ull);
  const bool large = first > 1.4142135623730951;
  const double mantissa = large ? first * 0.5 : first;
  const double exponent = double(int32_t(bits >> 52 & 0x7ff) - 1023 + large);
  // log2 m = 2/ln 2 · artanh((m − 1)/(m + 1))
  const double t = (mantissa - 1) / (mantissa + 1);
  static constexpr double artanh[] = {1,       1.0 / 3,  1.0 / 5, 1.0 / 7,
                                      1.0 / 9, 1.0 / 11, 1.0 / 13};
  const double scaled = t * 2.8853900817779268;
  const double fraction = scaled * polynomial(artanh, t * t);
  const float value = float(exponent + fraction);
  const float infinity = float(HUGE_VAL);
  const float special =
      x == 0 ? -infinity : (x > 0 ? x : x - x + HUGE_VALF * 0);
  return finished<Ftz, false>(x > 0 && x < infinity ? value : special);
}

/// sin of an angle in turns (1 is 2π) plus a number of quarter turns.
inline double sineOfTurns(double turns, int quarters) {
  // To the nearest quarter turn, whose number is in the low bits, and a rest.
  const double count = turns * 4;
  const double shifted = count + 0x1.8p52;
  const double whole = shifted - 0x1.8p52;
  const double r = (count - whole) * 1.5707963267948966;
  const int quadrant = int(std::bit_cast<uint64_t>(shifted) & 3);
  const double square = r * r;
  static constexpr double sine[] = {1,
                                    -1.0 / 6,
                                    1.0 / 120,
                                    -1.0 / 5040,
                                    1.0 / 362880,
                                    -1.0 / 39916800,
                                    1.0 / 6227020800};
  static constexpr double cosine[] = {
      1,           -1.0 / 2,       1.0 / 24,        -1.0 / 720,
      1.0 / 40320, -1.0 / 3628800, 1.0 / 479001600, -1.0 / 87178291200};
  const int turn = (quadrant + quarters) & 3;
  const double value =
      turn & 1 ? polynomial(cosine, square) : r * polynomial(sine, square);
  return turn & 2 ? -value : value;
}

/// The angle in turns as a GPU forms it: an f32 product, then a fixed-point
/// number with 25 fraction bits, both cut toward zero. So small angles lose
/// bits and large ones their fraction. What is no number stays none.
inline double turnsOf(float angle) {
  const double product = double(angle) * double(0x1.45f306p-3f); // 1/(2π)
  const uint64_t bits = std::bit_cast<uint64_t>(product);
  const double cut = std::bit_cast<double>(bits & ~uint64_t(0x1fffffff));
  const double fixed = std::trunc(cut * 0x1p25) * 0x1p-25;
  const double whole = std::copysign(product - product, product);
  return std::fabs(product) < 0x1p24 ? fixed : whole;
}

/// sin.approx.f32 and cos.approx.f32.
template <bool Ftz = false> inline float sine(float a) {
  return finished<Ftz, false>(float(sineOfTurns(turnsOf(flushIf<Ftz>(a)), 0)));
}
template <bool Ftz = false> inline float cosine(float a) {
  return finished<Ftz, false>(float(sineOfTurns(turnsOf(flushIf<Ftz>(a)), 1)));
}

/// tanh.approx.f32, which has no .ftz and keeps subnormal numbers.
inline float hyperbolicTangent(float a) {
  const double x = std::fabs(double(a));
  const double clamped = x < 40 ? x : 40.0;
  const double decay = powerOfTwo(clamped * -2.8853900817779268); // e^(−2x)
  const double large = (1 - decay) / (1 + decay);
  static constexpr double series[] = {1, -1.0 / 3, 2.0 / 15};
  const double small = x * polynomial(series, x * x);
  const float value = float(x < 0.02 ? small : large);
  return a != a ? canonical(a) : std::copysign(value, a);
}

/// rcp.approx.f32, sqrt.approx.f32, rsqrt.approx.f32.
template <bool Ftz = false> inline float reciprocalApproximate(float a) {
  return reciprocal<Rounding::NearestEven, Ftz>(a);
}
template <bool Ftz = false> inline float squareRootApproximate(float a) {
  return squareRoot<Rounding::NearestEven, Ftz>(a);
}
template <bool Ftz = false> inline float reciprocalSquareRoot(float a) {
  const double x = flushIf<Ftz>(a);
  const double root = __builtin_sqrt(x);
  return finished<Ftz, false>(float(1.0 / root));
}

/// div.full.f32 and div.approx.f32; the latter gives 0 for divisors beyond
/// 2^126 (NaN for an infinite dividend), as PTX says.
template <bool Ftz = false> inline float divideFull(float a, float b) {
  return divide<Rounding::NearestEven, Ftz>(a, b);
}
template <bool Ftz = false> inline float divideApproximate(float a, float b) {
  const float magnitude = std::fabs(b);
  const bool large = magnitude > 0x1p126f && magnitude < HUGE_VALF;
  const float quotient = divideFull<Ftz>(a, b);
  const float beyond = a * std::copysign(0.0f, b); // NaN for an infinite a
  return large ? canonical(beyond) : quotient;
}

/// rcp.approx.ftz.f64 and rsqrt.approx.ftz.f64: only the upper 32 bits of the
/// operand count, and the result's lower 32 are 0; relative error 2^-20.
inline double coarse(double value) {
  return std::bit_cast<double>(std::bit_cast<uint64_t>(value) &
                               0xffffffff00000000ull);
}
inline double flushDouble(double value) {
  const uint64_t bits = std::bit_cast<uint64_t>(value);
  const bool subnormal = (bits & 0x7ff0000000000000ull) == 0;
  return std::bit_cast<double>(subnormal ? bits & 0x8000000000000000ull : bits);
}
inline double reciprocalCoarse(double a) {
  return coarse(flushDouble(1.0 / flushDouble(coarse(a))));
}
inline double reciprocalSquareRootCoarse(double a) {
  const double value = coarse(1.0 / __builtin_sqrt(flushDouble(coarse(a))));
  return value != value ? std::bit_cast<double>(0x7fffffff00000000ull) : value;
}

} // namespace qopt::emulator::numerics

#endif // QOPT_RUNTIME_EMULATOR_NUMERICS_APPROXIMATE_H
