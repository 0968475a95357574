// The products of mma.sync on fragments of single bits, exact: an element of D
// is C's and the number of bits that a row of A and a column of B have in
// common (.and), or not in common (.xor).
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
#ifndef QOPT_RUNTIME_EMULATOR_NUMERICS_BITPRODUCT_H
#define QOPT_RUNTIME_EMULATOR_NUMERICS_BITPRODUCT_H

#include "runtime/emulator/numerics/Fragments.h"

#include <bit>

namespace qopt::emulator::numerics {

enum class BitOperation : uint8_t { And, ExclusiveOr };

/// d = popc(a op b) + c modulo 2^32 on registers, as multiplyFragments has
/// them, with 32 elements in each.
template <BitOperation Operation, int K>
inline void multiplyBitFragments(const uint32_t *const *sources,
                                 uint32_t *const *results) {
  constexpr int inB = K / 64, inC = inB + K / 128;
  uint32_t sums[16][8];
  for (int row = 0; row < 16; ++row)
    for (int column = 0; column < 8; ++column) {
      const FragmentPlace inSums = placeInC<1>(row, column);
      uint32_t &sum = sums[row][column] =
          sources[inC + inSums.number][inSums.lane];
      for (int k = 0; k < K; k += 32) {
        const FragmentPlace left = placeInA<32>(row, k);
        const FragmentPlace right = placeInB<32>(k, column);
        const uint32_t a = sources[left.number][left.lane];
        const uint32_t b = sources[inB + right.number][right.lane];
        sum += uint32_t(
            std::popcount(Operation == BitOperation::And ? a & b : a ^ b));
      }
    }
  for (int row = 0; row < 16; ++row)
    for (int column = 0; column < 8; ++column) {
      const FragmentPlace place = placeInC<1>(row, column);
      results[place.number][place.lane] = sums[row][column];
    }
}

} // namespace qopt::emulator::numerics

#endif // QOPT_RUNTIME_EMULATOR_NUMERICS_BITPRODUCT_H
