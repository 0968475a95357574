// cvt between integers and floating point, and between integers. What is out of
// an integer's range becomes its nearest end; NaN becomes 0, or 1 << (width −
// 1) where an f64 or a 64-bit integer takes part (PTX ISA, cvt). Conversions
// between floating point formats are narrow and widen of NarrowFloat.h.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
#ifndef QOPT_RUNTIME_EMULATOR_NUMERICS_CONVERSION_H
#define QOPT_RUNTIME_EMULATOR_NUMERICS_CONVERSION_H

#include "runtime/emulator/numerics/Float32.h"
#include <limits>
#include <type_traits>
#include <utility>

namespace qopt::emulator::numerics {

/// A floating point number (float, double, or a half's value as float) to an
/// integer.
template <typename Int, Rounding R, typename Float>
inline Int toInteger(Float value) {
  constexpr bool wide = sizeof(Int) == 8 || sizeof(Float) == 8;
  constexpr Int nan =
      wide ? Int(std::make_unsigned_t<Int>(1) << (sizeof(Int) * 8 - 1))
           : Int(0);
  // The first integer beyond the range is a power of two, exact in both.
  constexpr Float beyond =
      Float(std::make_unsigned_t<Int>(1) << (sizeof(Int) * 8 - 1)) *
      (std::is_signed_v<Int> ? Float(1) : Float(2));
  constexpr Float lowest = std::is_signed_v<Int> ? -beyond : Float(0);
  const Float whole = toIntegral<R>(value);
  const bool inside = whole >= lowest && whole < beyond;
  const Int converted = Int(inside ? whole : Float(0));
  const Int end = whole < lowest ? std::numeric_limits<Int>::min()
                                 : std::numeric_limits<Int>::max();
  return value != value ? nan : (inside ? converted : end);
}

/// An integer to a format of NarrowFloat.h.
template <typename Format, Rounding R, typename Int>
inline typename Format::Code narrowInteger(Int value) {
  if constexpr (std::is_signed_v<Int>)
    return narrow<Format, R>(integerToOdd(int64_t(value)));
  else
    return narrow<Format, R>(integerToOdd(uint64_t(value), false));
}

/// An integer to f64.
template <Rounding R, typename Int> inline double integerToDouble(Int value) {
  if constexpr (R == Rounding::NearestEven || sizeof(Int) <= 4) {
    return double(value);
  } else {
    const bool negative = std::is_signed_v<Int> && value < 0;
    const uint64_t magnitude = negative ? 0 - uint64_t(value) : uint64_t(value);
    const int length = 64 - std::countl_zero(magnitude);
    const int cut = length > 53 ? length - 53 : 0;
    const uint64_t below = magnitude & ((uint64_t(1) << cut) - 1);
    const bool away = below && R == (negative ? Rounding::Down : Rounding::Up);
    const double kept = double((magnitude >> cut) + away);
    const double scaled = kept * double(uint64_t(1) << cut);
    return negative ? -scaled : scaled;
  }
}

/// f64 to f32 with .ftz and .sat. A NaN keeps the upper bits of its payload.
template <Rounding R, bool Ftz = false, bool Sat = false>
inline float toFloat(double value) {
  const float nearest = float(value); // rounds as IEEE 754 wants, NaN too
  float result = nearest;
  if constexpr (R != Rounding::NearestEven) {
    const float directed = std::bit_cast<float>(narrow<Float32, R>(value));
    result = value != value ? nearest : directed;
  }
  const float flushed = flushIf<Ftz>(result);
  return Sat ? saturate(flushed) : flushed;
}

/// Between integers with .sat: the nearest value of the result's type.
template <typename To, typename From> inline To saturateInteger(From value) {
  if (std::cmp_less(value, std::numeric_limits<To>::min()))
    return std::numeric_limits<To>::min();
  if (std::cmp_greater(value, std::numeric_limits<To>::max()))
    return std::numeric_limits<To>::max();
  return To(value);
}

} // namespace qopt::emulator::numerics

#endif // QOPT_RUNTIME_EMULATOR_NUMERICS_CONVERSION_H
