// The products of mma.sync for who has tiles row by row and no fragments.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
#ifndef QOPT_RUNTIME_EMULATOR_NUMERICS_ROWMAJORTILES_H
#define QOPT_RUNTIME_EMULATOR_NUMERICS_ROWMAJORTILES_H

#include "runtime/emulator/numerics/MatrixProduct.h"

namespace qopt::emulator::numerics {

/// Registers that a tile is put into and taken from.
template <int Count> struct TileRegisters {
  uint32_t words[Count][warpLanes] = {};
  uint32_t *pointers[Count];

  TileRegisters() {
    for (int i = 0; i < Count; ++i)
      pointers[i] = words[i];
  }
  /// `first`: the register that the place counts from; `width`: of an element.
  void put(int first, FragmentPlace place, int width, uint32_t code) {
    words[first + place.number][place.lane] |= code << width * place.element;
  }
};

/// d = a · b + c: a is 16 × K, b K × 8, c and d 16 × 8, row by row; d may be c.
/// Codes of Bits bits; those of 32 are tf32 without the bits that do not count.
/// `product(sources, results)` multiplies the fragments.
template <int Bits, int K, typename A, typename B, typename Sum,
          typename Product>
inline void multiplyRows(const A *a, const B *b, const Sum *c, Sum *d,
                         Product product) {
  constexpr int elements = 32 / Bits, sumWidth = 8 * int(sizeof(Sum));
  constexpr int inB = K * Bits / 64, inC = inB + K * Bits / 128;
  constexpr int up = Bits == 32 ? 13 : 0;
  constexpr uint32_t ones = uint32_t((uint64_t(1) << Bits) - 1);
  using SumBits = std::conditional_t<sumWidth == 32, uint32_t, uint16_t>;
  TileRegisters<inC + sumWidth / 8> sources;
  for (int k = 0; k < K; ++k) {
    for (int i = 0; i < 16; ++i)
      sources.put(0, placeInA<elements>(i, k), Bits,
                  uint32_t(a[i * K + k]) << up & ones);
    for (int j = 0; j < 8; ++j)
      sources.put(inB, placeInB<elements>(k, j), Bits,
                  uint32_t(b[k * 8 + j]) << up & ones);
  }
  for (int i = 0; i < 16 * 8; ++i)
    sources.put(inC, placeInC<32 / sumWidth>(i / 8, i % 8), sumWidth,
                std::bit_cast<SumBits>(c[i]));
  TileRegisters<sumWidth / 8> results;
  product(sources.pointers, results.pointers);
  for (int i = 0; i < 16 * 8; ++i) {
    const FragmentPlace place = placeInC<32 / sumWidth>(i / 8, i % 8);
    d[i] = std::bit_cast<Sum>(SumBits(results.words[place.number][place.lane] >>
                                      sumWidth * place.element));
  }
}

/// The same by multiplyFragments.
template <typename Format, int K, typename Accumulator>
inline void multiplyTile(const typename Format::Code *a,
                         const typename Format::Code *b, const Accumulator *c,
                         Accumulator *d) {
  constexpr int bits = 8 * int(sizeof(typename Format::Code));
  multiplyRows<bits, K>(a, b, c, d, multiplyFragments<Format, K, Accumulator>);
}

} // namespace qopt::emulator::numerics

#endif // QOPT_RUNTIME_EMULATOR_NUMERICS_ROWMAJORTILES_H
