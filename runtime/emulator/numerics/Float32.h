// f32 arithmetic of PTX: add, mul, fma, div, rcp and sqrt in the four IEEE
// roundings, .ftz and .sat, minima and maxima, classes. A NaN result is the one
// that NVIDIA's GPUs give, 0x7fffffff. Every function is branch-free where it
// matters, so that a loop over the lanes of a warp becomes vector code.
//
// Statements are kept to one operation, so that no compiler contracts them to
// an fma on its own.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
#ifndef QOPT_RUNTIME_EMULATOR_NUMERICS_FLOAT32_H
#define QOPT_RUNTIME_EMULATOR_NUMERICS_FLOAT32_H

#include "runtime/emulator/numerics/NarrowFloat.h"

namespace qopt::emulator::numerics {

/// A NaN becomes the canonical one.
inline float canonical(float value) {
  return value != value ? std::bit_cast<float>(0x7fffffffu) : value;
}

/// .ftz: subnormal numbers become zeros of their sign.
inline float flush(float value) {
  const uint32_t bits = std::bit_cast<uint32_t>(value);
  const bool subnormal = (bits & 0x7f800000u) == 0;
  return std::bit_cast<float>(subnormal ? bits & 0x80000000u : bits);
}
template <bool Ftz> inline float flushIf(float value) {
  return Ftz ? flush(value) : value;
}

/// .sat: to [+0, 1]; NaN becomes +0.
template <typename Float> inline Float saturate(Float value) {
  const Float low = value > Float(0) ? value : Float(0);
  return low < Float(1) ? low : Float(1);
}

/// What happens to every result, in this order.
template <bool Ftz, bool Sat> inline float finished(float value) {
  const float flushed = flushIf<Ftz>(value);
  return Sat ? saturate(flushed) : canonical(flushed);
}

/// A sum of products of f32, given to odd, in rounding R. An exact zero that is
/// no sum of equal zeros is −0 when rounding down; `anyNegative`: one of the
/// two terms has its sign set.
template <Rounding R> inline float roundedSum(double odd, bool anyNegative) {
  const float rounded = std::bit_cast<float>(narrow<Float32, R>(odd));
  if constexpr (R == Rounding::Down)
    return odd == 0 ? (anyNegative ? -0.0f : 0.0f) : rounded;
  return rounded;
}

template <Rounding R, bool Ftz = false, bool Sat = false>
inline float add(float a, float b) {
  const float x = flushIf<Ftz>(a), y = flushIf<Ftz>(b);
  if constexpr (R == Rounding::NearestEven)
    return finished<Ftz, Sat>(x + y);
  const bool anyNegative = std::signbit(x) || std::signbit(y);
  return finished<Ftz, Sat>(roundedSum<R>(sumToOdd(x, y), anyNegative));
}

template <Rounding R, bool Ftz = false, bool Sat = false>
inline float subtract(float a, float b) {
  return add<R, Ftz, Sat>(a, -b);
}

template <Rounding R, bool Ftz = false, bool Sat = false>
inline float multiply(float a, float b) {
  const float x = flushIf<Ftz>(a), y = flushIf<Ftz>(b);
  if constexpr (R == Rounding::NearestEven)
    return finished<Ftz, Sat>(x * y);
  const double product = double(x) * double(y); // exact: 48 bits
  return finished<Ftz, Sat>(std::bit_cast<float>(narrow<Float32, R>(product)));
}

/// a · b + c, rounded once.
template <Rounding R, bool Ftz = false, bool Sat = false>
inline float fusedMultiplyAdd(float a, float b, float c) {
  const float x = flushIf<Ftz>(a), y = flushIf<Ftz>(b), z = flushIf<Ftz>(c);
#if defined(__FMA__) || defined(__aarch64__)
  if constexpr (R == Rounding::NearestEven)
    return finished<Ftz, Sat>(__builtin_fmaf(x, y, z));
#endif
  const double product = double(x) * double(y); // exact
  const double odd = sumToOdd(product, double(z));
  if constexpr (R == Rounding::NearestEven)
    return finished<Ftz, Sat>(float(odd));
  const bool anyNegative = std::signbit(product) || std::signbit(z);
  return finished<Ftz, Sat>(roundedSum<R>(odd, anyNegative));
}

template <Rounding R, bool Ftz = false> inline float divide(float a, float b) {
  const float x = flushIf<Ftz>(a), y = flushIf<Ftz>(b);
  if constexpr (R == Rounding::NearestEven)
    return finished<Ftz, false>(x / y);
  return finished<Ftz, false>(
      std::bit_cast<float>(narrow<Float32, R>(quotientToOdd(x, y))));
}

template <Rounding R, bool Ftz = false> inline float reciprocal(float a) {
  return divide<R, Ftz>(1.0f, a);
}

template <Rounding R, bool Ftz = false> inline float squareRoot(float a) {
  const float x = flushIf<Ftz>(a);
  if constexpr (R == Rounding::NearestEven)
    return finished<Ftz, false>(__builtin_sqrtf(x));
  return finished<Ftz, false>(
      std::bit_cast<float>(narrow<Float32, R>(squareRootToOdd(x))));
}

/// min and max: −0 is less than +0; of a number and a NaN the number, or, with
/// .NaN, a NaN: the canonical one of f32; of f64 an operand, the second first.
/// Float: float or double.
enum class NanRule : uint8_t { Number, Nan };
template <typename Float> inline bool isLess(Float a, Float b) {
  return a < b || (a == b && std::signbit(a) && !std::signbit(b));
}
inline float nanOf(float, float) { return std::bit_cast<float>(0x7fffffffu); }
inline double nanOf(double a, double b) {
  const uint64_t bits = std::bit_cast<uint64_t>(b != b ? b : a);
  return std::bit_cast<double>(bits | 0x8000000000000ull);
}
template <NanRule N = NanRule::Number, typename Float>
inline Float minimum(Float a, Float b) {
  const Float less = isLess(b, a) ? b : a;
  const bool aNan = a != a, bNan = b != b;
  if constexpr (N == NanRule::Nan)
    return aNan || bNan ? nanOf(a, b) : less;
  const Float number = aNan ? b : (bNan ? a : less);
  return aNan && bNan ? nanOf(a, b) : number;
}
template <NanRule N = NanRule::Number, typename Float>
inline Float maximum(Float a, Float b) {
  const Float more = isLess(a, b) ? b : a;
  const bool aNan = a != a, bNan = b != b;
  if constexpr (N == NanRule::Nan)
    return aNan || bNan ? nanOf(a, b) : more;
  const Float number = aNan ? b : (bNan ? a : more);
  return aNan && bNan ? nanOf(a, b) : number;
}

/// min.xorsign.abs and max.xorsign.abs: of the magnitudes, with the exclusive
/// or of the signs.
template <NanRule N = NanRule::Number>
inline float minimumXorSign(float a, float b) {
  const float least = minimum<N>(std::fabs(a), std::fabs(b));
  const float sign = std::signbit(a) != std::signbit(b) ? -1.0f : 1.0f;
  return least != least ? least : std::copysign(least, sign);
}
template <NanRule N = NanRule::Number>
inline float maximumXorSign(float a, float b) {
  const float most = maximum<N>(std::fabs(a), std::fabs(b));
  const float sign = std::signbit(a) != std::signbit(b) ? -1.0f : 1.0f;
  return most != most ? most : std::copysign(most, sign);
}

/// copysign: PTX puts the sign of its first operand on the second.
inline float copySign(float sign, float magnitude) {
  return std::copysign(magnitude, sign);
}
inline double copySign(double sign, double magnitude) {
  return std::copysign(magnitude, sign);
}

/// testp.
enum class FloatClass : uint8_t {
  Finite,
  Infinite,
  Number,
  NotANumber,
  Normal,
  Subnormal
};
template <typename Float> inline bool isOfClass(Float a, FloatClass c) {
  const Float magnitude = std::fabs(a);
  const Float infinity = Float(HUGE_VAL);
  constexpr Float least =
      sizeof(Float) == 4 ? Float(0x1p-126) : Float(0x1p-1022);
  switch (c) {
  case FloatClass::Finite:
    return magnitude < infinity;
  case FloatClass::Infinite:
    return magnitude == infinity;
  case FloatClass::Number:
    return a == a;
  case FloatClass::NotANumber:
    return a != a;
  case FloatClass::Normal:
    return magnitude >= least && magnitude < infinity;
  case FloatClass::Subnormal: // PTX counts zeros as numbers of neither class
    return magnitude > 0 && magnitude < least;
  }
  return false;
}

} // namespace qopt::emulator::numerics

#endif // QOPT_RUNTIME_EMULATOR_NUMERICS_FLOAT32_H
