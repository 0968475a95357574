// int8 activations × int8 weights with one scale a row through AMX tiles. A
// packed block of 32 columns is the right operand of a tile product as it lies
// there: eight rows of 64 bytes. Codes of x are signed and those of the weight
// are not, which is one of the products; what they are relative to comes off in
// the end. 64 columns are a product, 32 one of half the depth.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
#include "runtime/host/Amx.h"
#include "runtime/host/LinearKernels.h"

#undef HWY_TARGET_INCLUDE
#define HWY_TARGET_INCLUDE "runtime/host/LinearIntegerRowAmx.cpp"
#include <hwy/foreach_target.h>
// After foreach_target.h.
#include "runtime/host/RowScales-inl.h"
// Last, because it extends the target.
#include "runtime/host/Amx-inl.h"

HWY_BEFORE_NAMESPACE();
namespace qopt::host::HWY_NAMESPACE {
#if QOPT_HAVE_AMX

/// Rows of x in a product, and columns of one.
constexpr int64_t amxRows = 16;
constexpr int64_t stepColumns = 64;
/// Tiles of the weight that share the operand of x.
constexpr int64_t sideBySide = 2;

/// Tile registers: 0 and 1 sums of two tiles; 2 x, 3 and 4 the weight; 5, 6, 7
/// the same of a last block alone.
HWY_INLINE void configure(int64_t rows) {
  TileShapes shapes;
  for (int sum : {0, 1})
    shapes.set(sum, rows, 64);
  shapes.set(2, rows, stepColumns);
  shapes.set(5, rows, blockColumns);
  for (int i : {0, 1}) {
    shapes.set(3 + i, stepColumns / 4, 64);
    shapes.set(6 + i, blockColumns / 4, 64);
  }
  _tile_loadconfig(&shapes);
}

/// Σ cx·c of the rows that are configured and one or two tiles.
template <int64_t tiles>
HWY_INLINE void multiply(const RowRecords &x, int64_t row, const uint8_t *codes,
                         int64_t tileBytes, int32_t *sums) {
  const uint8_t *rows = x.codes(row);
  const int64_t stride = x.layout.rowBytes();
  const int64_t columns = x.layout.scaleOffset();
  _tile_zero(0);
  _tile_zero(1);
  int64_t k = 0;
  for (; k + stepColumns <= columns; k += stepColumns) {
    _tile_loadd(2, rows + k, stride);
    _tile_loadd(3, codes + k * tileRows, 64);
    _tile_dpbsud(0, 2, 3);
    if constexpr (tiles == 2) {
      _tile_loadd(4, codes + tileBytes + k * tileRows, 64);
      _tile_dpbsud(1, 2, 4);
    }
  }
  if (k < columns) {
    _tile_loadd(5, rows + k, stride);
    _tile_loadd(6, codes + k * tileRows, 64);
    _tile_dpbsud(0, 5, 6);
    if constexpr (tiles == 2) {
      _tile_loadd(7, codes + tileBytes + k * tileRows, 64);
      _tile_dpbsud(1, 5, 7);
    }
  }
  _tile_stored(0, sums, 64);
  if constexpr (tiles == 2)
    _tile_stored(1, sums + amxRows * tileRows, 64);
}

/// `count` rows of x times `tiles` tiles from `tile` on.
template <bool centred, int64_t tiles>
HWY_INLINE void multiplyRows(const LinearArguments &a, const TileSizes &sizes,
                             const RowRecords &x, int64_t row, int64_t count,
                             int64_t tile) {
  alignas(64) int32_t sums[sideBySide * amxRows * tileRows];
  multiply<tiles>(
      x, row, static_cast<const uint8_t *>(a.weight) + tile * sizes.tileBytes,
      sizes.tileBytes, sums);
  const hn::RebindToSigned<FloatTag> di;
  constexpr int zero = symmetricZero(quant::ElementType::Int8);
  for (int64_t t = 0; t < tiles; ++t)
    for (int64_t m = 0; m < count; ++m) {
      const auto sum = hn::Load(di, sums + (t * amxRows + m) * tileRows);
      if constexpr (centred) {
        storeCentredRow(a, sizes, x, row + m, tile + t, &sum);
        continue;
      }
      FloatVector value = hn::ConvertTo(
          FloatTag(), hn::Sub(sum, hn::Set(di, zero * x.sum(row + m))));
      storeScaledRow(a, sizes, x.scale(row + m), row + m, tile + t, &value);
    }
}

template <bool centred>
void multiplyRowAmx(const LinearArguments &a, int64_t begin, int64_t end) {
  const TileSizes sizes(a.layout);
  const RowRecords x(a);
  for (int64_t row = 0; row < a.rows; row += amxRows) {
    const int64_t count = HWY_MIN(amxRows, a.rows - row);
    if (row == 0 || count < amxRows)
      configure(count);
    int64_t tile = begin;
    for (; tile + sideBySide <= end; tile += sideBySide)
      multiplyRows<centred, sideBySide>(a, sizes, x, row, count, tile);
    for (; tile < end; ++tile)
      multiplyRows<centred, 1>(a, sizes, x, row, count, tile);
  }
  _tile_release();
}

LinearBody chooseRowAmx(bool centred) {
  return centred ? multiplyRowAmx<true> : multiplyRowAmx<false>;
}

#else
LinearBody chooseRowAmx(bool) { return nullptr; }
#endif // QOPT_HAVE_AMX
} // namespace qopt::host::HWY_NAMESPACE
HWY_AFTER_NAMESPACE();

#if HWY_ONCE
namespace qopt::host {

HWY_EXPORT(chooseRowAmx);

/// Fewer rows leave most of a product empty.
constexpr int64_t leastAmxRows = 4;

LinearBody integerRowTileLinear(const LinearArguments &arguments) {
  if (arguments.rows < leastAmxRows || !amxAvailable())
    return nullptr;
  return HWY_DYNAMIC_DISPATCH(chooseRowAmx)(arguments.codes ==
                                            ActivationCodes::Int8Centred);
}

} // namespace qopt::host
#endif // HWY_ONCE
