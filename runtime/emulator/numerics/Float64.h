// f64 arithmetic of PTX. To nearest, the host's own instructions are right;
// the directed roundings are computed on integers: the exact result as a
// significand of 128 bits whose last bit keeps whether anything was cut off,
// rounded once. They serve interval arithmetic and are not meant to be fast.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
#ifndef QOPT_RUNTIME_EMULATOR_NUMERICS_FLOAT64_H
#define QOPT_RUNTIME_EMULATOR_NUMERICS_FLOAT64_H

#include "runtime/emulator/numerics/Rounding.h"
#include <limits>
#include <utility>

namespace qopt::emulator::numerics {

/// A finite number as ±significand · 2^exponent; the significand's last bit may
/// stand for more behind it.
struct WideFloat {
  using Significand = unsigned __int128;
  bool negative = false;
  int exponent = 0;
  Significand significand = 0;

  static WideFloat of(double value) {
    const uint64_t bits = std::bit_cast<uint64_t>(value);
    const int field = int(bits >> 52 & 0x7ff);
    const uint64_t fraction = bits & 0xfffffffffffffull;
    return {bits >> 63 != 0, (field ? field : 1) - 1075,
            fraction | uint64_t(field != 0) << 52};
  }

  /// The highest bit set; −1 for zero.
  int top() const {
    const uint64_t high = uint64_t(significand >> 64);
    return high ? 127 - std::countl_zero(high)
                : 63 - std::countl_zero(uint64_t(significand));
  }

  /// Moves the highest bit to bit 125, so that a sum does not overflow.
  void normalize() {
    const int shift = 125 - top();
    if (shift < 0)
      return shiftRight(-shift);
    significand <<= shift;
    exponent -= shift;
  }

  /// Right by `shift`, keeping in the last bit whether anything was lost.
  void shiftRight(int shift) {
    if (shift > 127) {
      significand = significand != 0;
    } else if (shift > 0) {
      const bool lost = significand << (128 - shift) != 0;
      significand = significand >> shift | Significand(lost);
    }
    exponent += shift;
  }
};

inline WideFloat operator*(WideFloat a, WideFloat b) {
  return {a.negative != b.negative, a.exponent + b.exponent,
          a.significand * b.significand};
}

/// Terms have at most 106 significant bits, so that what the alignment loses
/// lies below every bit that a rounding to 53 asks for.
inline WideFloat operator+(WideFloat a, WideFloat b) {
  if (!a.significand || !b.significand)
    return a.significand ? a : b;
  a.normalize();
  b.normalize();
  if (a.exponent < b.exponent)
    std::swap(a, b);
  b.shiftRight(a.exponent - b.exponent);
  if (a.negative == b.negative) {
    a.significand += b.significand;
  } else {
    if (a.significand < b.significand)
      std::swap(a, b);
    a.significand -= b.significand;
  }
  return a;
}

/// To f64; `zero` is the result where the significand is 0.
template <Rounding R> inline double rounded(WideFloat value, double zero) {
  if (!value.significand)
    return zero;
  value.normalize();
  value.shiftRight(125 - 61);
  // The significand has 62 bits now, 9 more than f64; a subnormal keeps fewer.
  const int least = -1074;
  const int cut = value.exponent + 9 >= least ? 9 : least - value.exponent;
  const uint64_t significand = uint64_t(value.significand);
  const uint64_t kept = roundingShift<R>(
      significand, unsigned(cut < 63 ? cut : 63), value.negative);
  const int exponent = cut < 63 ? value.exponent + cut : least;
  // kept ≤ 2^53, exponent ≥ −1074: what ldexp rounds is beyond the range only.
  double magnitude = std::ldexp(double(kept), exponent);
  if (std::isinf(magnitude) &&
      (R == Rounding::Zero ||
       R == (value.negative ? Rounding::Up : Rounding::Down)))
    magnitude = std::numeric_limits<double>::max();
  return value.negative ? -magnitude : magnitude;
}

/// The sign of an exact zero sum in rounding R.
template <Rounding R> inline double zeroSum(double a, double b) {
  const double toNearest = a + b;
  if (R == Rounding::Down && (std::signbit(a) || std::signbit(b)))
    return -0.0;
  return toNearest;
}

/// The result of an operation of which an operand may be a NaN: that operand
/// made quiet, the second one where both are.
inline double quietened(double result, double a, double b) {
  const double nan = b != b ? b : a;
  const uint64_t quiet = std::bit_cast<uint64_t>(nan) | 0x8000000000000ull;
  return nan != nan ? std::bit_cast<double>(quiet) : result;
}

template <Rounding R> inline double add(double a, double b) {
  const double nearest = quietened(a + b, a, b);
  if (R == Rounding::NearestEven || !std::isfinite(a) || !std::isfinite(b))
    return nearest;
  const double zero =
      a == 0 && b == 0 ? zeroSum<R>(a, b) : (R == Rounding::Down ? -0.0 : 0.0);
  return rounded<R>(WideFloat::of(a) + WideFloat::of(b), zero);
}

template <Rounding R> inline double subtract(double a, double b) {
  return add<R>(a, -b);
}

template <Rounding R> inline double multiply(double a, double b) {
  const double nearest = quietened(a * b, a, b);
  if (R == Rounding::NearestEven || !std::isfinite(a) || !std::isfinite(b))
    return nearest;
  return rounded<R>(WideFloat::of(a) * WideFloat::of(b), nearest);
}

/// a · b + c, rounded once.
template <Rounding R>
inline double fusedMultiplyAdd(double a, double b, double c) {
  const double nearest = __builtin_fma(a, b, c);
  if (R == Rounding::NearestEven || !std::isfinite(a) || !std::isfinite(b) ||
      !std::isfinite(c))
    return nearest;
  const double sign = std::copysign(1.0, a) * std::copysign(1.0, b);
  const bool zeros = (a == 0 || b == 0) && c == 0;
  const double zero = zeros ? zeroSum<R>(std::copysign(0.0, sign), c)
                            : (R == Rounding::Down ? -0.0 : 0.0);
  return rounded<R>(WideFloat::of(a) * WideFloat::of(b) + WideFloat::of(c),
                    zero);
}

template <Rounding R> inline double divide(double a, double b) {
  const double nearest = a / b;
  if (R == Rounding::NearestEven || !std::isfinite(a) || !std::isfinite(b) ||
      a == 0 || b == 0)
    return nearest;
  WideFloat x = WideFloat::of(a), y = WideFloat::of(b);
  x.normalize(); // 126 bits over at most 53: a quotient of at least 73
  const auto quotient = x.significand / y.significand;
  const bool rest = quotient * y.significand != x.significand;
  return rounded<R>({x.negative != y.negative, x.exponent - y.exponent,
                     quotient | WideFloat::Significand(rest)},
                    nearest);
}

template <Rounding R> inline double reciprocal(double a) {
  return divide<R>(1.0, a);
}

template <Rounding R> inline double squareRoot(double a) {
  const double nearest = __builtin_sqrt(a);
  if (R == Rounding::NearestEven || !(a > 0) || !std::isfinite(a))
    return nearest;
  // Roots of normal numbers are far from the ends of the range.
  const double scaled = a < 0x1p-900 ? a * 0x1p+120 : a;
  const double root = __builtin_sqrt(scaled);
  const double rest = __builtin_fma(-root, root, scaled);
  uint64_t bits = std::bit_cast<uint64_t>(root);
  if (R == Rounding::Up && rest > 0)
    ++bits;
  if (R != Rounding::Up && rest < 0)
    --bits;
  const double result = std::bit_cast<double>(bits);
  return a < 0x1p-900 ? result * 0x1p-60 : result;
}

} // namespace qopt::emulator::numerics

#endif // QOPT_RUNTIME_EMULATOR_NUMERICS_FLOAT64_H
