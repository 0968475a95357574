// The products of mma.sp, whose A keeps half of its elements: of every chunk of
// four units two, in order; metadata says which. A unit is an element, a pair
// of them where they have 4 bits, and half of one where they have 32. A's
// registers are those of mma for half of k. Four bits of metadata are a
// chunk's, its first unit in the lower two (PTX ISA, sparse matrix storage). Of
// each four lanes, 4g + t, those that the selector names have it:
//
//   lanes   of                        lane selector · lanes + …
//   1       f16 k16, tf32 k8          0: row g in the lower half, row g + 8
//   2       f16 k32, tf32 k16         0: the same of k's first half, 1: second
//           bytes k32, 4 bits k64     0: row g, 1: row g + 8
//   4       bytes k64, 4 bits k128    0, 1: the same of k's first half, 2, 3
//
// An H200 takes all but those of 4 bits so; these were not tried.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
#ifndef QOPT_RUNTIME_EMULATOR_NUMERICS_SPARSEPRODUCT_H
#define QOPT_RUNTIME_EMULATOR_NUMERICS_SPARSEPRODUCT_H

#include "runtime/emulator/numerics/Fragments.h"

#include <cstring>

namespace qopt::emulator::numerics {

/// Elements of Bits bits, K of them in a row of the whole A.
template <int Bits, int K> struct SparseRows {
  static constexpr int elements = 32 / Bits; ///< of a register
  static constexpr int kept = K / 2;         ///< elements of a row
  static constexpr int chunk = Bits == 4 ? 8 : Bits == 32 ? 2 : 4;
  static constexpr int chunks = K / chunk;
  static constexpr int metadataLanes = chunks / 4; ///< of four
  static constexpr int selectors = 4 / metadataLanes;

  /// The four bits of a chunk of a row; `metadata`: a register.
  static unsigned code(const uint32_t *metadata, int selector, int row,
                       int number) {
    const int lower = row / 8;
    int lane = row % 8 * 4 + selector * metadataLanes;
    if constexpr (Bits >= 16) {
      lane += number / 4;
      return metadata[lane] >> (16 * lower + 4 * (number % 4)) & 15;
    }
    lane += lower + number / 8 * 2;
    return metadata[lane] >> number % 8 * 4 & 15;
  }

  /// A code names two units, the lower one first; of 32 bits, one element.
  /// `ordered`: as ::ordered_metadata asks.
  static bool isValid(unsigned code, bool ordered) {
    if (Bits == 32)
      return code == 0b0100 || code == 0b1110;
    const unsigned first = code & 3, second = code >> 2;
    return ordered ? first < second : first != second;
  }

  /// Where the element `index` that a row keeps lies in the row.
  static int placeOf(const uint32_t *metadata, int selector, int row,
                     int index) {
    constexpr int each = chunk / 2; // kept elements of a chunk
    const unsigned bits = code(metadata, selector, row, index / each);
    const int at = index % each;
    if constexpr (Bits == 32)
      return index * chunk + int(bits & 3) / 2;
    constexpr int unit = chunk / 4;
    return index / each * chunk + int(bits >> at / unit * 2 & 3) * unit +
           at % unit;
  }
};

/// `sources`: the registers of a, b, c and the metadata. Row by row, as the
/// dense product of what A keeps and the elements of B that belong to it:
/// `product(sources, results)` multiplies with k = K / 2.
template <int Bits, int K, typename Product>
inline void multiplySparse(const uint32_t *const *sources,
                           uint32_t *const *results, int sums, int selector,
                           Product product) {
  using Rows = SparseRows<Bits, K>;
  constexpr int inB = Rows::kept * Bits / 64, ofB = K * Bits / 128;
  constexpr uint32_t ones = uint32_t((uint64_t(1) << Bits) - 1);
  constexpr int mostSums = 4;
  const uint32_t *const *b = sources + inB;
  const uint32_t *const *c = b + ofB;
  const uint32_t *metadata = c[sums];
  uint32_t totals[mostSums][warpLanes];
  for (int row = 0; row < 16; ++row) {
    uint32_t gathered[ofB / 2][warpLanes] = {}, tile[mostSums][warpLanes];
    for (int k = 0; k < Rows::kept; ++k) {
      const int from = Rows::placeOf(metadata, selector, row, k);
      for (int column = 0; column < 8; ++column) {
        const FragmentPlace at = placeInB<Rows::elements>(from, column);
        const FragmentPlace to = placeInB<Rows::elements>(k, column);
        gathered[to.number][to.lane] |=
            (b[at.number][at.lane] >> Bits * at.element & ones)
            << Bits * to.element;
      }
    }
    const uint32_t *operands[inB + ofB / 2 + mostSums];
    uint32_t *tiles[mostSums];
    std::memcpy(operands, sources, inB * sizeof *operands);
    for (int i = 0; i < ofB / 2; ++i)
      operands[inB + i] = gathered[i];
    for (int i = 0; i < sums; ++i) {
      operands[inB + ofB / 2 + i] = c[i];
      tiles[i] = tile[i];
    }
    product(operands, tiles);
    // Rows g are in the first half of the registers of sums.
    for (int i = 0; i < sums; ++i)
      if (i / (sums / 2) == row / 8)
        std::memcpy(totals[i] + row % 8 * 4, tile[i] + row % 8 * 4,
                    4 * sizeof(uint32_t));
  }
  for (int i = 0; i < sums; ++i)
    std::memcpy(results[i], totals[i], sizeof totals[i]);
}

} // namespace qopt::emulator::numerics

#endif // QOPT_RUNTIME_EMULATOR_NUMERICS_SPARSEPRODUCT_H
