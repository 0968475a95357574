// The dot products of mma.sync on one 16 × 8 tile, as Hopper's tensor cores
// compute them.
//
// Known from tests that probe such units with chosen inputs (Fasi, Higham,
// Mikaitis and Pranesh, "Numerical behavior of NVIDIA tensor cores", 2021; Li
// et al., "FTTN: feature-targeted testing for numerical properties of NVIDIA
// and AMD matrix accelerators", 2024): products are exact; they and the
// accumulator are aligned to the largest exponent among them; what falls below
// a fixed number of fraction bits is cut off, toward zero; the sum is exact and
// is then cut to f32, toward zero, or rounded to nearest for an f16
// accumulator. This file gives the bits of an H200 for f16, bf16, tf32, e4m3
// and e5m2, subnormal operands and zeros included (MatrixProductTest.cpp holds
// results of one): 25 fraction bits are kept, all k of an instruction are one
// sum, a product's exponent is the sum of its factors', and zeros have none.
// e4m3 and e5m2 are no units there: the compiler makes f16 products of them,
// see multiplyFp8Tile.
//
// Other architectures keep fewer bits and make several sums of one instruction
// (Volta 23 bits and 4 terms, Ampere 24 and 8). Each sum of n terms is off by
// less than (n + 1) · 2^-23 of its largest term: the tolerance that a
// comparison across architectures needs.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
#ifndef QOPT_RUNTIME_EMULATOR_NUMERICS_MATRIXPRODUCT_H
#define QOPT_RUNTIME_EMULATOR_NUMERICS_MATRIXPRODUCT_H

#include "runtime/emulator/numerics/Half.h"
#include "runtime/emulator/numerics/Integer.h"

namespace qopt::emulator::numerics {

/// Below the exponent of every product and accumulator, also when two are
/// added.
inline constexpr int32_t zeroExponent = -500;

/// Operands as the units see them: the value, and the exponent that counts in
/// the alignment (a subnormal number's is that of the least normal one).
template <int Count> struct SplitNumbers {
  alignas(64) float value[Count];
  alignas(64) int32_t exponent[Count];
  bool finite = true;
  int32_t least = 127, most = -127; ///< exponents of the numbers but zeros

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
    for (int i = 0; i < Count; ++i) {
      const int32_t low = value[i] != 0 ? exponent[i] : 127;
      const int32_t high = value[i] != 0 ? exponent[i] : -127;
      least = low < least ? low : least;
      most = high > most ? high : most;
    }
  }
};

/// Fraction bits that Hopper keeps of aligned terms.
inline constexpr int keptBits = 25;

/// A number of at most 34 significant bits as an accumulator: to f32 toward
/// zero, to f16 to nearest.
inline void accumulate(double value, float &result) {
  // Cut to 24 significant bits, the conversion is exact for normal numbers.
  const uint64_t bits = std::bit_cast<uint64_t>(value) & ~uint64_t(0x1fffffff);
  const float cut = float(std::bit_cast<double>(bits));
  // A subnormal number has fewer bits.
  const double magnitude = std::fabs(value);
  const double below = std::trunc(magnitude * 0x1p149) * 0x1p-149;
  const float subnormal = float(value < 0 ? -below : below);
  result = magnitude < 0x1p-126 ? subnormal : cut;
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

/// One row of the tile: d[j] = Σ_k a[k] · b[k][j] + c[j], finite operands,
/// K ≤ 16. Real is float where the exponents of all products lie within the
/// range above, else double.
template <int K, typename Real, typename Accumulator>
inline void alignedRow(const float *a, const int32_t *exponent,
                       const SplitNumbers<K * 8> &b, const float *c,
                       Accumulator *d) {
  typedef int32_t Ints __attribute__((vector_size(32)));
  typedef float Floats __attribute__((vector_size(32)));
  typedef Real Reals __attribute__((vector_size(8 * sizeof(Real))));
  const auto *exponents = reinterpret_cast<const Ints *>(b.exponent);
  const auto *values = reinterpret_cast<const Floats *>(b.value);
  Ints top;
  for (int j = 0; j < 8; ++j)
    top[j] = exponentOf(c[j]);
  for (int k = 0; k < K; ++k) {
    const Ints sum = exponent[k] + exponents[k];
    top = top > sum ? top : sum;
  }
  Ints low, high = {};
  Reals scale;
  for (int j = 0; j < 8; ++j) {
    low[j] = alignedTerm(c[j], top[j]);
    scale[j] = alignedScale<Real>(top[j]);
  }
  // The conversion cuts toward zero. A term is below 2^27, so that eight of
  // them and the accumulator fit 31 bits.
  for (int k = 0; k < K; ++k) {
    const Reals product =
        Real(a[k]) * __builtin_convertvector(values[k], Reals);
    const Ints term = __builtin_convertvector(product * scale, Ints);
    (k < 8 ? low : high) += term;
  }
  for (int j = 0; j < 8; ++j) {
    const uint64_t unit = uint64_t(top[j] - keptBits + 1023) << 52;
    const double sum = double(low[j]) + double(high[j]);
    accumulate(sum * std::bit_cast<double>(unit), d[j]);
  }
}

/// The result where an operand is infinite or NaN: the sum of the terms, of
/// which only the kind of the result counts.
template <typename Format, int K>
inline float specialSum(const typename Format::Code *a,
                        const typename Format::Code *b, float c) {
  float sum = std::isfinite(c) ? 0.0f : c;
  for (int k = 0; k < K; ++k) {
    const float x = widen<Format>(a[k]), y = widen<Format>(b[k * 8]);
    if (!std::isfinite(x) || !std::isfinite(y))
      sum += x * y;
  }
  return canonical(sum);
}

/// d = a · b + c: a is 16 × K, b K × 8, c and d 16 × 8, row by row; d may be c.
/// Format: Float16, Bfloat16 or Tf32 (the upper 19 bits of an f32), K at most
/// 16. Accumulator: float, or uint16_t for f16.
template <typename Format, int K, typename Accumulator>
inline void multiplyTile(const typename Format::Code *a,
                         const typename Format::Code *b, const Accumulator *c,
                         Accumulator *d) {
  SplitNumbers<16 * K> left;
  SplitNumbers<K * 8> right;
  left.template set<Format>(a);
  right.template set<Format>(b);
  bool finite = left.finite && right.finite;
  alignas(64) float start[16 * 8];
  alignas(64) Accumulator result[16 * 8];
  for (int i = 0; i < 16 * 8; ++i) {
    const float value = accumulatorValue(c[i]);
    const bool isSpecial = exponentOf(value) == 128;
    finite &= !isSpecial;
    start[i] = isSpecial ? 0.0f : value;
  }
  const bool narrow = left.least + right.least >= leastInFloat &&
                      left.most + right.most <= mostInFloat;
  const auto row = narrow ? alignedRow<K, float, Accumulator>
                          : alignedRow<K, double, Accumulator>;
  for (int i = 0; i < 16; ++i)
    row(left.value + i * K, left.exponent + i * K, right, start + i * 8,
        result + i * 8);
  for (int i = 0; !finite && i < 16 * 8; ++i) {
    const float special =
        specialSum<Format, K>(a + i / 8 * K, b + i % 8, accumulatorValue(c[i]));
    if (!std::isfinite(special))
      accumulate(special, result[i]);
  }
  for (int i = 0; i < 16 * 8; ++i)
    d[i] = result[i];
}

/// The same for k = 32 of e4m3 and e5m2, as code for Hopper does it: the
/// operands become f16; one product of the k with k mod 4 < 2, a second of the
/// others on top of it, and c is added to that in f32.
template <typename FormatA, typename FormatB>
inline void multiplyFp8Tile(const uint8_t *a, const uint8_t *b, const float *c,
                            float *d) {
  uint16_t left[2][16 * 16], right[2][16 * 8];
  for (int i = 0; i < 16; ++i)
    for (int k = 0; k < 32; ++k)
      left[k / 2 % 2][i * 16 + k / 4 * 2 + k % 2] =
          toHalf(widen<FormatA>(a[i * 32 + k]));
  for (int k = 0; k < 32; ++k)
    for (int j = 0; j < 8; ++j)
      right[k / 2 % 2][(k / 4 * 2 + k % 2) * 8 + j] =
          toHalf(widen<FormatB>(b[k * 8 + j]));
  float sums[16 * 8] = {};
  for (int half = 0; half < 2; ++half)
    multiplyTile<Float16, 16>(left[half], right[half], sums, sums);
  for (int i = 0; i < 16 * 8; ++i)
    d[i] = canonical(sums[i] + c[i]);
}

/// The same for integers of 8 or 4 bits, exact: the sum modulo 2^32, or with
/// .satfinite the nearest int32. A and B: int8_t or uint8_t (4-bit operands
/// extended to 8).
template <typename A, typename B, int K>
inline void multiplyIntegerTile(const A *a, const B *b, const int32_t *c,
                                int32_t *d, bool saturating) {
  for (int i = 0; i < 16; ++i) {
    int32_t sums[8] = {};
    for (int k = 0; k < K; ++k)
      for (int j = 0; j < 8; ++j)
        sums[j] += int32_t(a[i * K + k]) * int32_t(b[k * 8 + j]);
    for (int j = 0; j < 8; ++j) {
      const int64_t total = int64_t(sums[j]) + c[i * 8 + j];
      d[i * 8 + j] =
          saturating ? saturateInteger<int32_t>(total) : int32_t(total);
    }
  }
}

} // namespace qopt::emulator::numerics

#endif // QOPT_RUNTIME_EMULATOR_NUMERICS_MATRIXPRODUCT_H
