// The terms of a tensor core's sum, aligned to the largest of them, and what
// becomes of the sum: the rules that MatrixProduct.h states, for one number.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
#ifndef QOPT_RUNTIME_EMULATOR_NUMERICS_ALIGNEDTERMS_H
#define QOPT_RUNTIME_EMULATOR_NUMERICS_ALIGNEDTERMS_H

#include "runtime/emulator/numerics/Half.h"

namespace qopt::emulator::numerics {

/// Below the exponent of every product and accumulator, also when two are
/// added.
inline constexpr int32_t zeroExponent = -500;

/// Exponents of numbers but zeros.
struct ExponentRange {
  int32_t least = 127, most = -127;
};

/// Operands as the units see them: the value, and the exponent that counts in
/// the alignment (a subnormal number's is that of the least normal one).
template <int Count> struct SplitNumbers {
  alignas(64) float value[Count];
  alignas(64) int32_t exponent[Count];
  bool finite = true;

  /// What is not finite counts as zero here.
  template <typename Format> void set(const typename Format::Code *codes) {
    int32_t special = 0;
    for (int i = 0; i < Count; ++i) {
      const int32_t magnitude = int32_t(codes[i] & Format::magnitudeMask);
      const int32_t field = magnitude >> Format::fractionBits;
      const bool isSpecial = magnitude >= int32_t(Format::infinity);
      const float number = widenFinite<Format>(codes[i]);
      const int32_t place = (field ? field : 1) - Format::bias;
      value[i] = isSpecial ? 0.0f : number;
      exponent[i] = isSpecial || !magnitude ? zeroExponent : place;
      special |= isSpecial;
    }
    finite = !special;
  }

  ExponentRange range() const {
    ExponentRange all;
    for (int i = 0; i < Count; ++i) {
      const int32_t low = value[i] != 0 ? exponent[i] : 127;
      const int32_t high = value[i] != 0 ? exponent[i] : -127;
      all.least = low < all.least ? low : all.least;
      all.most = high > all.most ? high : all.most;
    }
    return all;
  }
};

/// Fraction bits that Hopper keeps of aligned terms.
inline constexpr int keptBits = 25;

/// A number of at most 34 significant bits as an accumulator: to f32 toward
/// zero, to f16 to nearest.
inline bool isSubnormal(double value) {
  return std::fabs(value) < 0x1p-126 && value != 0;
}
inline float cutNormal(double value) {
  // With 24 significant bits left, the conversion is exact.
  const uint64_t bits = std::bit_cast<uint64_t>(value) & ~uint64_t(0x1fffffff);
  return float(std::bit_cast<double>(bits));
}
inline void accumulate(double value, float &result) {
  // A subnormal number has fewer bits.
  result = isSubnormal(value) ? float(std::trunc(value * 0x1p149) * 0x1p-149)
                              : cutNormal(value);
}
inline void accumulate(double value, uint16_t &result) {
  result = fromOdd<Float16>(value);
}
inline float accumulatorValue(float c) { return c; }
inline float accumulatorValue(uint16_t c) { return widen<Float16>(c); }

/// An accumulator's exponent, and its part of the sum.
inline int32_t exponentOf(float c) {
  const int32_t field = int32_t(std::bit_cast<uint32_t>(c) >> 23 & 0xff);
  return (field ? field : 1) - 127;
}
inline int32_t alignedTerm(float c, int32_t top) {
  const uint32_t bits = std::bit_cast<uint32_t>(c);
  const uint32_t hidden = uint32_t((bits & 0x7f800000u) != 0) << 23;
  const uint32_t value = ((bits & 0x7fffffu) | hidden) << (keptBits - 23);
  const int32_t shift = top - exponentOf(c);
  const int32_t part = int32_t(shift < 31 ? value >> shift : 0u);
  return int32_t(bits) < 0 ? -part : part;
}

/// The range of products' exponents for which f32 holds them exactly, scaled
/// and unscaled.
inline constexpr int32_t leastInFloat = -100, mostInFloat = 120;

constexpr bool fitFloat(ExponentRange a, ExponentRange b) {
  return a.least + b.least >= leastInFloat && a.most + b.most <= mostInFloat;
}
/// Of a format's finite numbers.
template <typename Format>
inline constexpr ExponentRange rangeOf = {1 - Format::bias, Format::bias};

/// 2^(keptBits − top), by which a product becomes a count of the last bit kept.
template <typename Real> inline Real alignedScale(int32_t top) {
  if constexpr (sizeof(Real) == 8) {
    return std::bit_cast<double>(uint64_t(keptBits - top + 1023) << 52);
  } else {
    // Where the top is lower, every product is zero; where it is so high that
    // the scale is no normal number, every product is too small to count.
    const int32_t near = top > leastInFloat ? top : leastInFloat;
    const int32_t field = keptBits - near + 127;
    return std::bit_cast<float>(uint32_t(field > 0 ? field : 0) << 23);
  }
}

} // namespace qopt::emulator::numerics

#endif // QOPT_RUNTIME_EMULATOR_NUMERICS_ALIGNEDTERMS_H
