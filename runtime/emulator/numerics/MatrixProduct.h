// The dot products of mma.sync on the fragments of one 16 × 8 tile, as Hopper's
// tensor cores compute them.
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
// e4m3 and e5m2 are no units there: the compiler makes f16 products of them
// (Fp8Product.h).
//
// Other architectures keep fewer bits and make several sums of one instruction
// (Volta 23 bits and 4 terms, Ampere 24 and 8). Each sum of n terms is off by
// less than (n + 1) · 2^-23 of its largest term: the tolerance that a
// comparison across architectures needs.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
#ifndef QOPT_RUNTIME_EMULATOR_NUMERICS_MATRIXPRODUCT_H
#define QOPT_RUNTIME_EMULATOR_NUMERICS_MATRIXPRODUCT_H

#include "runtime/emulator/numerics/AlignedTerms.h"
#include "runtime/emulator/numerics/FragmentVectors.h"

#include <algorithm>

namespace qopt::emulator::numerics {

/// A quarter's sums as accumulators. Few are subnormal.
[[gnu::always_inline]] inline void accumulate(const double *sums,
                                              float *results) {
  bool subnormal = false;
  for (int i = 0; i < quarter; ++i) {
    results[i] = cutNormal(sums[i]);
    subnormal |= isSubnormal(sums[i]);
  }
  for (int i = 0; subnormal && i < quarter; ++i)
    accumulate(sums[i], results[i]);
}
inline void accumulate(const double *sums, uint16_t *results) {
  for (int i = 0; i < quarter; ++i)
    accumulate(sums[i], results[i]);
}

/// The codes of A and B in the order of forEachStep.
template <typename Format, int K> struct FragmentCodes {
  using Code = typename Format::Code;
  static constexpr int elements = 4 / int(sizeof(Code));
  static constexpr int parts = K / (4 * elements);
  alignas(64) Code a[16 * K];
  alignas(64) Code b[K * 8];

  Code inA(int row, int k) const {
    const FragmentPlace place = placeInA<elements>(row, k);
    return a[(place.number * elements + place.element) * warpLanes +
             place.lane];
  }
  Code inB(int k, int column) const {
    const FragmentPlace place = placeInB<elements>(k, column);
    const int at = place.number * elements + place.element;
    return b[(at * 4 + place.lane % 4) * 8 + column % 2 * 4 + column / 2];
  }

  /// `registers`: those of A, then those of B.
  void set(const uint32_t *const *registers) {
    for (int i = 0; i < 2 * parts; ++i)
      split(registers[i], a + i * elements * warpLanes);
    for (int i = 0; i < parts; ++i) {
      uint32_t ordered[warpLanes];
      orderColumns(registers[2 * parts + i], ordered);
      split(ordered, b + i * elements * warpLanes);
    }
  }

private:
  static void split(const uint32_t *from, Code *to) {
    for (int e = 0; e < elements; ++e)
      for (int lane = 0; lane < warpLanes; ++lane)
        to[e * warpLanes + lane] = codeOf<Code>(from[lane], e);
  }
};

/// The results of a quarter whose terms are counted in `low` and `high`.
template <typename Accumulator>
[[gnu::always_inline]] inline void
finishQuarter(const QuarterInts &low, const QuarterInts &high,
              const int32_t *top, Accumulator *d) {
  alignas(64) double sums[quarter];
  for (int i = 0; i < quarter; ++i) {
    const uint64_t unit = uint64_t(top[i] - keptBits + 1023) << 52;
    sums[i] = (double(low[i]) + double(high[i])) * std::bit_cast<double>(unit);
  }
  accumulate(sums, d);
}

/// The largest exponent among the products and the accumulator, of a quarter of
/// C and the one beside it, of the odd columns. c is [even or odd][lane];
/// `first`: A's lanes in its arrays.
template <int K, int E>
inline void findTops(const SplitNumbers<16 * K> &a,
                     const SplitNumbers<K * 8> &b, int first, const float *c,
                     int32_t (&tops)[2][quarter]) {
  for (int odd = 0; odd < 2; ++odd)
    for (int i = 0; i < quarter; ++i)
      tops[odd][i] = exponentOf(c[odd * warpLanes + i]);
  QuarterInts top[2];
  std::memcpy(top, tops, sizeof top);
  forEachStep<K, E>(
      [&]<int T>(int inA, int inB, int) __attribute__((always_inline)) {
        QuarterInts quads, left, right;
        std::memcpy(&quads, a.exponent + first + inA, sizeof quads);
        spread<T>(quads, left);
        for (int odd = 0; odd < 2; ++odd) {
          repeat(b.exponent + inB + 4 * odd, right);
          const QuarterInts sum = left + right;
          top[odd] = top[odd] > sum ? top[odd] : sum;
        }
      });
  std::memcpy(tops, top, sizeof top);
}

/// d = Σ_k a[k] · b[k] + c for the same elements, d as c. Operands are finite,
/// K ≤ 16. Real is float where the exponents of all products lie within the
/// range of AlignedTerms.h, else double.
template <int K, int E, typename Real, typename Accumulator>
inline void sumQuarters(const SplitNumbers<16 * K> &a,
                        const SplitNumbers<K * 8> &b, int first, const float *c,
                        Accumulator *d) {
  typedef Real Reals __attribute__((vector_size(quarter * sizeof(Real))));
  alignas(64) int32_t tops[2][quarter], terms[2][quarter];
  alignas(64) Real scales[2][quarter];
  findTops<K, E>(a, b, first, c, tops);
  for (int odd = 0; odd < 2; ++odd)
    for (int i = 0; i < quarter; ++i) {
      terms[odd][i] = alignedTerm(c[odd * warpLanes + i], tops[odd][i]);
      scales[odd][i] = alignedScale<Real>(tops[odd][i]);
    }
  QuarterInts low[2], high[2] = {};
  Reals scale[2];
  std::memcpy(low, terms, sizeof low);
  std::memcpy(scale, scales, sizeof scale);
  // The conversion cuts toward zero. A term is below 2^27, so that eight of
  // them and the accumulator fit 31 bits.
  forEachStep<K, E>(
      [&]<int T>(int inA, int inB, int part) __attribute__((always_inline)) {
        QuarterFloats quads, left, right;
        std::memcpy(&quads, a.value + first + inA, sizeof quads);
        spread<T>(quads, left);
        for (int odd = 0; odd < 2; ++odd) {
          repeat(b.value + inB + 4 * odd, right);
          const Reals product = __builtin_convertvector(left, Reals) *
                                __builtin_convertvector(right, Reals);
          (part ? high : low)[odd] +=
              __builtin_convertvector(product * scale[odd], QuarterInts);
        }
      });
  for (int odd = 0; odd < 2; ++odd)
    finishQuarter(low[odd], high[odd], tops[odd], d + odd * warpLanes);
}

/// The result where an operand is infinite or NaN: the sum of the terms, of
/// which only the kind of the result counts.
template <typename Format, int K>
inline float specialSum(const FragmentCodes<Format, K> &codes, int row,
                        int column, float c) {
  float sum = std::isfinite(c) ? 0.0f : c;
  for (int k = 0; k < K; ++k) {
    const float x = widen<Format>(codes.inA(row, k));
    const float y = widen<Format>(codes.inB(k, column));
    if (!std::isfinite(x) || !std::isfinite(y))
      sum += x * y;
  }
  return canonical(sum);
}

/// C's elements as [upper or lower rows][even or odd columns][lane], from the
/// registers, and D's to them.
inline void takeSums(const uint32_t *const *registers, float *sums) {
  for (int i = 0; i < 4; ++i)
    std::memcpy(sums + size_t(i) * warpLanes, registers[i],
                sizeof(float) * warpLanes);
}
inline void takeSums(const uint32_t *const *registers, uint16_t *sums) {
  for (int i = 0; i < 4; ++i)
    for (int lane = 0; lane < warpLanes; ++lane)
      sums[i * warpLanes + lane] =
          uint16_t(registers[i / 2][lane] >> 16 * (i % 2));
}
inline void putSums(const float *sums, uint32_t *const *registers) {
  for (int i = 0; i < 4; ++i)
    std::memcpy(registers[i], sums + size_t(i) * warpLanes,
                sizeof(float) * warpLanes);
}
inline void putSums(const uint16_t *sums, uint32_t *const *registers) {
  for (int i = 0; i < 2; ++i)
    for (int lane = 0; lane < warpLanes; ++lane) {
      const uint16_t *pair = sums + size_t(2 * i) * warpLanes + lane;
      registers[i][lane] = uint32_t(pair[warpLanes]) << 16 | pair[0];
    }
}

/// d = a · b + c on registers: `sources` are those of a, b and c, as the
/// instruction has them; `results` may be among them. Format: Float16,
/// Bfloat16 or Tf32, K at most 16. Accumulator: float, or uint16_t for f16.
template <typename Format, int K, typename Accumulator>
inline void multiplyFragments(const uint32_t *const *sources,
                              uint32_t *const *results) {
  using Codes = FragmentCodes<Format, K>;
  constexpr int elements = Codes::elements;
  Codes codes;
  SplitNumbers<16 * K> left;
  SplitNumbers<K * 8> right;
  codes.set(sources);
  left.template set<Format>(codes.a);
  right.template set<Format>(codes.b);
  bool finite = left.finite && right.finite;
  alignas(64) Accumulator c[16 * 8], d[16 * 8];
  alignas(64) float start[16 * 8];
  takeSums(sources + 3 * Codes::parts, c);
  for (int i = 0; i < 16 * 8; ++i) {
    const float value = accumulatorValue(c[i]);
    const bool isSpecial = exponentOf(value) == 128;
    finite &= !isSpecial;
    start[i] = isSpecial ? 0.0f : value;
  }
  constexpr bool always = fitFloat(rangeOf<Format>, rangeOf<Format>);
  const bool narrow = always || fitFloat(left.range(), right.range());
  const auto quarters = narrow ? sumQuarters<K, elements, float, Accumulator>
                               : sumQuarters<K, elements, double, Accumulator>;
  for (int lower = 0; lower < 2; ++lower)
    for (int lane = 0; lane < warpLanes; lane += quarter) {
      const int at = lower * 2 * warpLanes + lane;
      quarters(left, right, lower * elements * warpLanes + lane, start + at,
               d + at);
    }
  for (int i = 0; !finite && i < 16 * 8; ++i) {
    const int lane = i % warpLanes, odd = i / warpLanes % 2;
    const float special =
        specialSum(codes, lane / 4 + i / (2 * warpLanes) * 8,
                   lane % 4 * 2 + odd, accumulatorValue(c[i]));
    if (!std::isfinite(special))
      accumulate(special, d[i]);
  }
  putSums(d, results);
}

} // namespace qopt::emulator::numerics

#endif // QOPT_RUNTIME_EMULATOR_NUMERICS_MATRIXPRODUCT_H
