// The dot products of mma.sync on tiles that lie row by row: those of fragments
// (MatrixProduct.h) for who has no fragments, and the products that are made of
// others or are exact.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
#ifndef QOPT_RUNTIME_EMULATOR_NUMERICS_ROWMAJORTILES_H
#define QOPT_RUNTIME_EMULATOR_NUMERICS_ROWMAJORTILES_H

#include "runtime/emulator/numerics/Integer.h"
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
  /// `first`: the register that the place counts from.
  template <typename Code>
  void put(int first, FragmentPlace place, Code code) {
    words[first + place.number][place.lane] |=
        sizeof(Code) == 4 ? code : uint32_t(code) << 16 * place.element;
  }
};

/// d = a · b + c: a is 16 × K, b K × 8, c and d 16 × 8, row by row; d may be c.
/// The types are those of multiplyFragments.
template <typename Format, int K, typename Accumulator>
inline void multiplyTile(const typename Format::Code *a,
                         const typename Format::Code *b, const Accumulator *c,
                         Accumulator *d) {
  using Codes = FragmentCodes<Format, K>;
  constexpr int elements = Codes::elements;
  constexpr int sumsEach = 4 / int(sizeof(Accumulator));
  constexpr int inB = 2 * Codes::parts, inC = 3 * Codes::parts;
  // tf32 is the upper bits of an f32.
  constexpr int up = elements == 1 ? 13 : 0;
  using Bits = std::conditional_t<sumsEach == 1, uint32_t, uint16_t>;
  TileRegisters<inC + 4 / sumsEach> sources;
  for (int k = 0; k < K; ++k) {
    for (int i = 0; i < 16; ++i)
      sources.put(0, placeInA<elements>(i, k),
                  typename Format::Code(a[i * K + k] << up));
    for (int j = 0; j < 8; ++j)
      sources.put(inB, placeInB<elements>(k, j),
                  typename Format::Code(b[k * 8 + j] << up));
  }
  for (int i = 0; i < 16 * 8; ++i)
    sources.put(inC, placeInC<sumsEach>(i / 8, i % 8), std::bit_cast<Bits>(c[i]));
  TileRegisters<4 / sumsEach> results;
  multiplyFragments<Format, K, Accumulator>(sources.pointers, results.pointers);
  for (int i = 0; i < 16 * 8; ++i) {
    const FragmentPlace place = placeInC<sumsEach>(i / 8, i % 8);
    d[i] = std::bit_cast<Accumulator>(
        Bits(results.words[place.number][place.lane] >> 16 * place.element));
  }
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

#endif // QOPT_RUNTIME_EMULATOR_NUMERICS_ROWMAJORTILES_H
