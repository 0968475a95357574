// An oracle for the narrow formats: every number that a format holds, listed
// from its definition with ldexp; rounding is a search in that list with exact
// distances in __float128.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
#ifndef QOPT_TEST_RUNTIME_EMULATOR_NUMERICS_FORMATORACLE_H
#define QOPT_TEST_RUNTIME_EMULATOR_NUMERICS_FORMATORACLE_H

#include "runtime/emulator/numerics/Rounding.h"
#include <algorithm>
#include <cmath>
#include <vector>

namespace qopt::emulator::numerics {

/// A format by its numbers of bits; the codes are sign, exponent, fraction.
struct FormatOracle {
  int exponentBits, fractionBits, bias;
  bool hasInfinity; ///< all codes of the highest exponent are infinity and NaN
  bool hasNan;      ///< with no infinity: the highest code is NaN

  /// Values of the finite codes without sign, ascending: the index is the code.
  std::vector<double> values;

  FormatOracle(int exponentBits, int fractionBits, int bias, bool hasInfinity,
               bool hasNan)
      : exponentBits(exponentBits), fractionBits(fractionBits), bias(bias),
        hasInfinity(hasInfinity), hasNan(hasNan) {
    const int codes = 1 << (exponentBits + fractionBits);
    const int finite =
        hasInfinity ? codes - (1 << fractionBits) : codes - int(hasNan);
    for (int code = 0; code < finite; ++code) {
      const int exponent = code >> fractionBits;
      const int fraction = code & ((1 << fractionBits) - 1);
      const double significand =
          fraction + (exponent ? std::ldexp(1.0, fractionBits) : 0.0);
      values.push_back(
          std::ldexp(significand, std::max(exponent, 1) - bias - fractionBits));
    }
  }
  unsigned sign() const { return 1u << (exponentBits + fractionBits); }
  unsigned largest() const { return unsigned(values.size()) - 1; }
  unsigned infinity() const { return unsigned(values.size()); }

  /// The code of a finite `value`. `saturate`: the largest number for all
  /// beyond it; else infinity where the rounding leads there.
  unsigned round(__float128 value, Rounding r, bool saturate) const {
    const bool negative =
        value < 0 || (value == 0 && std::signbit(double(value)));
    const __float128 magnitude = negative ? -value : value;
    const unsigned signBit = negative ? sign() : 0;
    const bool up =
        r == Rounding::Up ? !negative : r == Rounding::Down && negative;
    // The first number above, where one more follows the largest in thought.
    const auto above = std::upper_bound(
        values.begin(), values.end(), magnitude,
        [](__float128 a, double b) { return a < __float128(b); });
    const unsigned low = unsigned(above - values.begin()) - 1;
    if (magnitude == __float128(values[low]))
      return signBit | low;
    const double next =
        low == largest() ? 2 * values[low] - values[low - 1] : values[low + 1];
    const __float128 toLow = magnitude - values[low];
    const __float128 toHigh = __float128(next) - magnitude;
    bool takeHigh = up;
    if (r == Rounding::NearestEven)
      takeHigh = toHigh < toLow || (toHigh == toLow && (low & 1));
    if (r == Rounding::NearestAway)
      takeHigh = toHigh <= toLow;
    const unsigned code = low + takeHigh;
    if (code > largest() && saturate)
      return signBit | largest();
    return signBit | code;
  }
};

} // namespace qopt::emulator::numerics

#endif // QOPT_TEST_RUNTIME_EMULATOR_NUMERICS_FORMATORACLE_H
