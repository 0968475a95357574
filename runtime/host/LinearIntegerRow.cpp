// int8 activations × int8 weights, both with one scale a row and perhaps a zero
// point. The whole sum is exact in int32, so its order does not matter: what a
// GPU computes has the same bits.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
#include "runtime/host/LinearKernels.h"

#include <algorithm>

#undef HWY_TARGET_INCLUDE
#define HWY_TARGET_INCLUDE "runtime/host/LinearIntegerRow.cpp"
#include <hwy/foreach_target.h>
// After foreach_target.h.
#include "runtime/host/CodeLines-inl.h"
#include "runtime/host/DotProduct-inl.h"
#include "runtime/host/RowScales-inl.h"

HWY_BEFORE_NAMESPACE();
namespace qopt::host::HWY_NAMESPACE {

/// Rows of x that share one pass over the weight, and tiles that one row of x
/// runs through side by side: several streams come faster from memory than one.
constexpr int64_t maxRows = lineVectors == 1 ? 6 : 2;
constexpr int64_t fewRows = lineVectors == 1 ? 4 : 2;
constexpr int64_t sideBySide = lineVectors == 1 ? 4 : 2;
/// How far ahead of its use a weight is asked for.
constexpr int64_t prefetchBytes = 1024;

/// Σ cx·(c − byteOffset) of `count` rows of x and `tiles` tiles; of centred
/// ones Σ cx·c.
template <bool centred, int64_t count, int64_t tiles>
HWY_INLINE void addRows(const RowRecords &x, int64_t row, const uint8_t *codes,
                        int64_t tileBytes,
                        IntVector (&sums)[tiles][count][lineVectors]) {
  const int8_t *rows[count];
  for (int64_t m = 0; m < count; ++m)
    rows[m] = reinterpret_cast<const int8_t *>(x.codes(row + m));
  for (int64_t quad = 0; quad < x.layout.blocks() * quadsPerBlock; ++quad)
    for (int64_t t = 0; t < tiles; ++t) {
      const uint8_t *line = codes + t * tileBytes + quad * lineBytes;
      __builtin_prefetch(line + prefetchBytes);
      for (int64_t part = 0; part < lineVectors; ++part) {
        const auto w = hn::LoadU(ByteTag(), line + part * lineLanes * 4);
        for (int64_t m = 0; m < count; ++m) {
          const auto four = broadcastFour(rows[m] + 4 * quad);
          sums[t][m][part] = centred ? dotAnyBytes(sums[t][m][part], w, four)
                                     : dotBytes(sums[t][m][part], w, four);
        }
      }
    }
}

/// As storeCentredRow, of sums Σ cx·(c − byteOffset).
HWY_NOINLINE void storeRow(const LinearArguments &a, const TileSizes &sizes,
                           const RowRecords &x, int64_t row, int64_t tile,
                           const IntVector *sums) {
  // What the codes are relative to, and dotBytes has not taken off.
  constexpr int zero = symmetricZero(quant::ElementType::Int8) - byteOffset;
  const auto rest = hn::Set(IntTag(), zero * x.sum(row));
  FloatVector values[lineVectors];
  for (int64_t part = 0; part < lineVectors; ++part)
    values[part] = hn::ConvertTo(FloatTag(), hn::Sub(sums[part], rest));
  storeScaledRow(a, sizes, x.scale(row), row, tile, values);
}

template <bool centred, int64_t count, int64_t tiles>
HWY_INLINE void multiplyTile(const LinearArguments &a, const TileSizes &sizes,
                             const RowRecords &x, int64_t row, int64_t tile) {
  const uint8_t *first =
      static_cast<const uint8_t *>(a.weight) + tile * sizes.tileBytes;
  IntVector sums[tiles][count][lineVectors];
  for (auto &tileSums : sums)
    for (auto &line : tileSums)
      for (auto &v : line)
        v = hn::Zero(IntTag());
  addRows<centred, count, tiles>(x, row, first, sizes.tileBytes, sums);
  for (int64_t t = 0; t < tiles; ++t)
    for (int64_t m = 0; m < count; ++m) {
      // A copy: what a call has the address of is in no register.
      IntVector line[lineVectors];
      std::copy_n(sums[t][m], lineVectors, line);
      if constexpr (centred)
        storeCentredRow(a, sizes, x, row + m, tile + t, line);
      else
        storeRow(a, sizes, x, row + m, tile + t, line);
    }
}

template <bool centred>
void multiplyTiles(const LinearArguments &a, int64_t begin, int64_t end) {
  const TileSizes sizes(a.layout);
  const RowRecords x(a);
  int64_t tile = begin;
  if (a.rows == 1)
    for (; tile + sideBySide <= end; tile += sideBySide)
      multiplyTile<centred, 1, sideBySide>(a, sizes, x, 0, tile);
  for (; tile < end; ++tile) {
    int64_t row = 0;
    for (; row + maxRows <= a.rows; row += maxRows)
      multiplyTile<centred, maxRows, 1>(a, sizes, x, row, tile);
    // A pass over the tile for each row that is left would take as long as one
    // for all.
    for (; row + fewRows <= a.rows; row += fewRows)
      multiplyTile<centred, fewRows, 1>(a, sizes, x, row, tile);
    for (; row + 2 <= a.rows; row += 2)
      multiplyTile<centred, 2, 1>(a, sizes, x, row, tile);
    for (; row < a.rows; ++row)
      multiplyTile<centred, 1, 1>(a, sizes, x, row, tile);
  }
}

LinearBody chooseIntegerRow(bool centred) {
  return centred ? multiplyTiles<true> : multiplyTiles<false>;
}

} // namespace qopt::host::HWY_NAMESPACE
HWY_AFTER_NAMESPACE();

#if HWY_ONCE
namespace qopt::host {

HWY_EXPORT(chooseIntegerRow);

LinearBody integerRowLinear(const LinearArguments &arguments) {
  if (LinearBody tiles = integerRowTileLinear(arguments))
    return tiles;
  return HWY_DYNAMIC_DISPATCH(chooseIntegerRow)(arguments.codes ==
                                                ActivationCodes::Int8Centred);
}

} // namespace qopt::host
#endif // HWY_ONCE
