// The dot products of mma.sync on one 16 × 8 tile, as Hopper's tensor cores
// compute them.
//
// Known, from tests that probe the units with chosen inputs (Fasi, Higham,
// Mikaitis and Pranesh, "Numerical behavior of NVIDIA tensor cores", 2021; Li
// et al., "FTTN: feature-targeted testing of numerical properties of matrix
// accelerators", 2024): products are exact; they and the accumulator are
// aligned to the largest exponent among them, where a product counts the sum of
// its factors' exponents; what falls below a fixed number of fraction bits is
// cut off, toward zero; the sum is exact; it is normalised and cut to f32,
// toward zero. Fraction bits kept and terms in a sum: Volta 23 and 4, Ampere 24
// and 8, Hopper 25 and 16 (f16, bf16) or 8 (tf32).
//
// On another GPU, and wherever the order of the k-blocks differs, results
// differ by less than (terms + 1) · 2^-23 of the largest term: that is the
// tolerance that a comparison of f32 accumulators across architectures needs.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
#ifndef QOPT_RUNTIME_EMULATOR_NUMERICS_MATRIXPRODUCT_H
#define QOPT_RUNTIME_EMULATOR_NUMERICS_MATRIXPRODUCT_H

#include "runtime/emulator/numerics/Conversion.h"

namespace qopt::emulator::numerics {

/// Numbers as ±significand · 2^(exponent − fraction bits of their format).
template <int Count> struct SplitNumbers {
  alignas(64) int32_t significand[Count];
  alignas(64) int32_t exponent[Count];
  bool finite = true;

  template <typename Format> void set(int at, typename Format::Code code) {
    const uint32_t magnitude = code & Format::magnitudeMask;
    const uint32_t field = magnitude >> Format::fractionBits;
    const uint32_t fraction = magnitude & ((1u << Format::fractionBits) - 1);
    const uint32_t hidden = uint32_t(field != 0) << Format::fractionBits;
    const int32_t value = int32_t(fraction | hidden);
    significand[at] = code & Format::signBit ? -value : value;
    exponent[at] = int32_t(field ? field : 1) - Format::bias;
    if constexpr (Format::specials == Specials::InfinityAndNan)
      finite &= magnitude < Format::infinity;
    else
      finite &= magnitude != Format::nan;
  }
};

/// Fraction bits that Hopper keeps of aligned terms.
inline constexpr int keptBits = 25;

/// sum · 2^(top − keptBits), toward zero.
inline float truncatedSum(int64_t sum, int32_t top) {
  const uint64_t scale = uint64_t(top - keptBits + 1023) << 52;
  const double value = double(sum) * std::bit_cast<double>(scale);
  return std::bit_cast<float>(narrow<Float32, Rounding::Zero>(value));
}

/// One row of the tile: d[j] = Σ_k a[k] · b[k][j] + c[j], finite operands of
/// formats with `Fraction` fraction bits. K ≤ 16.
template <int K, int Fraction>
inline void alignedRow(const int32_t *aSignificand, const int32_t *aExponent,
                       const SplitNumbers<K * 8> &b, const float *c, float *d) {
  alignas(64) int32_t top[8], low[8], high[8];
  for (int j = 0; j < 8; ++j) {
    const uint32_t field = std::bit_cast<uint32_t>(c[j]) >> 23 & 0xff;
    top[j] = int32_t(field ? field : 1) - 127;
  }
  for (int k = 0; k < K; ++k)
    for (int j = 0; j < 8; ++j) {
      const int32_t exponent = aExponent[k] + b.exponent[k * 8 + j];
      top[j] = top[j] > exponent ? top[j] : exponent;
    }
  for (int j = 0; j < 8; ++j) {
    const uint32_t bits = std::bit_cast<uint32_t>(c[j]);
    const uint32_t field = bits >> 23 & 0xff;
    const uint32_t value = ((bits & 0x7fffffu) | uint32_t(field != 0) << 23)
                           << (keptBits - 23);
    const int32_t shift = top[j] - (int32_t(field ? field : 1) - 127);
    const int32_t part = int32_t(shift < 31 ? value >> shift : 0u);
    low[j] = int32_t(bits) < 0 ? -part : part;
    high[j] = 0;
  }
  // A term is below 2^27: eight of them and the accumulator fit 31 bits.
  for (int k = 0; k < K; ++k) {
    int32_t *sum = k < 8 ? low : high;
    for (int j = 0; j < 8; ++j) {
      const int32_t product = aSignificand[k] * b.significand[k * 8 + j];
      const int32_t exponent = aExponent[k] + b.exponent[k * 8 + j];
      const int32_t shift = top[j] - exponent;
      const uint32_t value = uint32_t(product < 0 ? -product : product)
                             << (keptBits - 2 * Fraction);
      const int32_t part = int32_t(shift < 31 ? value >> shift : 0u);
      sum[j] += product < 0 ? -part : part;
    }
  }
  for (int j = 0; j < 8; ++j)
    d[j] = truncatedSum(int64_t(low[j]) + high[j], top[j]);
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

/// d = a · b + c of one sum: a is 16 × K, b K × 8, c and d 16 × 8, row by row;
/// d may be c. Format: Float16, Bfloat16 or Tf32 (the upper 19 bits of an f32),
/// K at most 16.
template <typename Format, int K>
inline void multiplyTile(const typename Format::Code *a,
                         const typename Format::Code *b, const float *c,
                         float *d) {
  SplitNumbers<16 * K> left;
  SplitNumbers<K * 8> right;
  for (int i = 0; i < 16 * K; ++i)
    left.template set<Format>(i, a[i]);
  for (int i = 0; i < K * 8; ++i)
    right.template set<Format>(i, b[i]);
  bool finite = left.finite && right.finite;
  for (int i = 0; i < 16 * 8; ++i)
    finite &= (std::bit_cast<uint32_t>(c[i]) & 0x7f800000u) != 0x7f800000u;
  float result[16 * 8];
  for (int i = 0; i < 16; ++i)
    alignedRow<K, Format::fractionBits>(left.significand + i * K,
                                        left.exponent + i * K, right, c + i * 8,
                                        result + i * 8);
  for (int i = 0; !finite && i < 16 * 8; ++i) {
    const float special = specialSum<Format, K>(a + i / 8 * K, b + i % 8, c[i]);
    result[i] = std::isfinite(special) ? result[i] : special;
  }
  for (int i = 0; i < 16 * 8; ++i)
    d[i] = result[i];
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
