// The dot products of mma.sync on fragments of 8- and 4-bit integers, exact.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
#ifndef QOPT_RUNTIME_EMULATOR_NUMERICS_INTEGERPRODUCT_H
#define QOPT_RUNTIME_EMULATOR_NUMERICS_INTEGERPRODUCT_H

#include "runtime/emulator/numerics/FragmentVectors.h"
#include "runtime/emulator/numerics/Integer.h"

namespace qopt::emulator::numerics {

/// A register's elements as numbers of 16 bits: [element of a half word][half
/// word]. T: int8_t or uint8_t, also for 4 bits.
template <typename T, int Bits>
inline void widenElements(const uint32_t *from, int16_t *to) {
  uint16_t halves[2 * warpLanes];
  std::memcpy(halves, from, sizeof halves);
  using Wide = std::conditional_t<std::is_signed_v<T>, int16_t, uint16_t>;
  for (int e = 0; e < 16 / Bits; ++e)
    for (int i = 0; i < 2 * warpLanes; ++i) {
      const auto top = Wide(uint16_t(halves[i] << (16 - Bits * (e + 1))));
      to[e * 2 * warpLanes + i] = int16_t(top >> (16 - Bits));
    }
}

/// Σ a · b of the two numbers in each lane.
inline void addPairProducts(const QuarterInts &a, const QuarterInts &b,
                            QuarterInts &sum) {
  typedef int16_t Pairs __attribute__((vector_size(64)));
  typedef int16_t Halves __attribute__((vector_size(32)));
  Pairs x, y;
  std::memcpy(&x, &a, sizeof x);
  std::memcpy(&y, &b, sizeof y);
  const auto product = [&](const Halves &left, const Halves &right)
                           __attribute__((always_inline)) {
                             sum += __builtin_convertvector(left, QuarterInts) *
                                    __builtin_convertvector(right, QuarterInts);
                           };
  // Compilers know an instruction for this pair of products.
  product(__builtin_shufflevector(x, x, 0, 2, 4, 6, 8, 10, 12, 14, 16, 18, 20,
                                  22, 24, 26, 28, 30),
          __builtin_shufflevector(y, y, 0, 2, 4, 6, 8, 10, 12, 14, 16, 18, 20,
                                  22, 24, 26, 28, 30));
  product(__builtin_shufflevector(x, x, 1, 3, 5, 7, 9, 11, 13, 15, 17, 19, 21,
                                  23, 25, 27, 29, 31),
          __builtin_shufflevector(y, y, 1, 3, 5, 7, 9, 11, 13, 15, 17, 19, 21,
                                  23, 25, 27, 29, 31));
}

/// d = a · b + c on registers, as multiplyFragments has them: the sum modulo
/// 2^32, or with .satfinite the nearest int32. A and B: int8_t or uint8_t, also
/// for elements of 4 bits.
template <typename A, typename B, int Bits, int K>
inline void multiplyIntegerFragments(const uint32_t *const *sources,
                                     uint32_t *const *results,
                                     bool saturating) {
  constexpr int parts = K * Bits / 128, elements = 16 / Bits;
  constexpr int registerElements = elements * 2 * warpLanes;
  alignas(64) int16_t left[2 * parts][registerElements];
  alignas(64) int16_t right[parts][registerElements];
  for (int i = 0; i < 2 * parts; ++i)
    widenElements<A, Bits>(sources[i], left[i]);
  for (int i = 0; i < parts; ++i) {
    uint32_t ordered[warpLanes];
    orderColumns(sources[2 * parts + i], ordered);
    widenElements<B, Bits>(ordered, right[i]);
  }
  alignas(64) int32_t sums[4][warpLanes];
  for (int at = 0; at < 2 * warpLanes; at += quarter) {
    const int lower = at / warpLanes, lane = at % warpLanes;
    QuarterInts sum[2] = {};
    forEachStep<K / 2, elements>(
        [&]<int T>(int inA, int inB, int) __attribute__((always_inline)) {
          QuarterInts quads, a, b;
          const int first = lower * elements * warpLanes + lane + inA;
          std::memcpy(&quads, left[0] + size_t(2) * size_t(first),
                      sizeof quads);
          spread<T>(quads, a);
          for (int odd = 0; odd < 2; ++odd) {
            int32_t pairs[4];
            std::memcpy(pairs, right[0] + size_t(2) * size_t(inB + 4 * odd),
                        sizeof pairs);
            repeat(pairs, b);
            addPairProducts(a, b, sum[odd]);
          }
        });
    for (int odd = 0; odd < 2; ++odd)
      std::memcpy(&sums[2 * lower + odd][lane], &sum[odd], sizeof sum[odd]);
  }
  for (int i = 0; i < 4; ++i)
    for (int lane = 0; lane < warpLanes; ++lane) {
      const int32_t c = int32_t(sources[3 * parts + i][lane]);
      const int64_t total = int64_t(sums[i][lane]) + c;
      results[i][lane] = uint32_t(saturating ? saturateInteger<int32_t>(total)
                                             : int32_t(total));
    }
}

} // namespace qopt::emulator::numerics

#endif // QOPT_RUNTIME_EMULATOR_NUMERICS_INTEGERPRODUCT_H
