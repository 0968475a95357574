// The rounding modifiers of PTX, and the two tools that make every narrowing
// exact: a shift that rounds an integer significand, and results "rounded to
// odd" in f64. A value rounded to odd in f64 is exact but for a last bit that
// says "something follows"; rounding it once more, in any direction, to a
// format of at most 51 significant bits gives what rounding the exact value
// gives (Boldo and Melquiond, "Emulation of FMA and correctly rounded sums",
// 2008).
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
#ifndef QOPT_RUNTIME_EMULATOR_NUMERICS_ROUNDING_H
#define QOPT_RUNTIME_EMULATOR_NUMERICS_ROUNDING_H

#include <bit>
#include <cmath>
#include <cstdint>

namespace qopt::emulator::numerics {

/// .rn/.rni, .rz/.rzi, .rm/.rmi, .rp/.rpi and .rna of PTX.
enum class Rounding : uint8_t { NearestEven, Zero, Down, Up, NearestAway };

/// `magnitude >> shift`, rounded; `negative` is the sign that belongs to the
/// magnitude. `shift` may be 0…63; magnitude < 2^63.
template <Rounding R>
constexpr uint64_t roundingShift(uint64_t magnitude, unsigned shift,
                                 bool negative) {
  const uint64_t one = uint64_t(1) << shift;
  const uint64_t rest = magnitude & (one - 1), kept = magnitude >> shift;
  bool up = false;
  if constexpr (R == Rounding::NearestEven)
    up = rest * 2 > one || (rest * 2 == one && (kept & 1));
  else if constexpr (R == Rounding::NearestAway)
    up = rest * 2 >= one && shift;
  else if constexpr (R == Rounding::Down)
    up = negative && rest;
  else if constexpr (R == Rounding::Up)
    up = !negative && rest;
  return kept + up;
}

/// The f64 that stands for `rounded` + `error` in later roundings: `rounded` is
/// the sum to nearest, `error` any number of the sign of what it leaves out (0:
/// nothing; NaN, as infinities give it: nothing).
inline double roundedToOdd(double rounded, double error) {
  const uint64_t bits = std::bit_cast<uint64_t>(rounded);
  const bool adjust = (error > 0 || error < 0) && !(bits & 1);
  const bool outward = (error > 0) == (rounded > 0);
  const uint64_t step = outward ? uint64_t(1) : ~uint64_t(0);
  return std::bit_cast<double>(bits + (adjust ? step : uint64_t(0)));
}

/// a + b to odd, for operands far from the ends of f64's range.
inline double sumToOdd(double a, double b) {
  // The error of a sum is an f64 (Knuth's TwoSum).
  const double sum = a + b;
  const double bPart = sum - a;
  const double aPart = sum - bPart;
  const double aError = a - aPart;
  const double bError = b - bPart;
  return roundedToOdd(sum, aError + bError);
}

/// a / b to odd, for operands far from the ends of f64's range.
inline double quotientToOdd(double a, double b) {
  const double quotient = a / b;
  const double rest = __builtin_fma(-quotient, b, a);
  return roundedToOdd(quotient, b < 0 ? -rest : rest);
}

/// The square root to odd; the operand far from the ends of f64's range.
inline double squareRootToOdd(double a) {
  const double root = __builtin_sqrt(a);
  return roundedToOdd(root, __builtin_fma(-root, root, a));
}

/// An integer to odd.
inline double integerToOdd(uint64_t magnitude, bool negative) {
  // The 53 leading bits; what is cut off sets the last of them.
  const int length = 64 - std::countl_zero(magnitude);
  const int cut = length > 53 ? length - 53 : 0;
  const uint64_t kept = magnitude >> cut;
  const uint64_t odd = kept | uint64_t((kept << cut) != magnitude);
  const double value = double(odd) * double(uint64_t(1) << cut);
  return negative ? -value : value;
}
inline double integerToOdd(int64_t value) {
  return integerToOdd(value < 0 ? 0 - uint64_t(value) : uint64_t(value),
                      value < 0);
}

/// To an integer in floating point (cvt.rni.f64.f64 and its kin); the sign of a
/// zero result is that of the operand.
template <Rounding R, typename Float> inline Float toIntegral(Float value) {
  if constexpr (R == Rounding::NearestEven)
    return std::nearbyint(value); // the process rounds to nearest
  else if constexpr (R == Rounding::Zero)
    return std::trunc(value);
  else if constexpr (R == Rounding::Down)
    return std::floor(value);
  else if constexpr (R == Rounding::Up)
    return std::ceil(value);
  else
    return std::round(value);
}

} // namespace qopt::emulator::numerics

#endif // QOPT_RUNTIME_EMULATOR_NUMERICS_ROUNDING_H
