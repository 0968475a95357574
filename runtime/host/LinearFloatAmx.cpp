// f32 activations × any weights through AMX tiles, for many rows of x. The
// tiles multiply bf16 and add in f32, so an f32 is taken apart into three bf16
// (8 bits of its significand each) and a product into the partial products that
// matter in f32:
//
//   x = x0 + x1 + x2,  w = w0 + w1 + w2        each part 2^−8 of the one before
//   x·w ≈ x0·w0 + x0·w1 + x1·w0 + x0·w2 + x1·w1 + x2·w0        error ~ 2^−24
//
// A bf16 weight has one part, f16 and codes of up to four bits with f16 scales
// have two: then fewer products are needed. That is two to three times as fast
// as f32 multiply-adds.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
#include "runtime/host/Amx.h"
#include "runtime/host/LinearKernels.h"
#include "runtime/host/Scratch.h"

#undef HWY_TARGET_INCLUDE
#define HWY_TARGET_INCLUDE "runtime/host/LinearFloatAmx.cpp"
#include <hwy/foreach_target.h>
// After foreach_target.h.
#include "runtime/host/Dequantize-inl.h"
// Last, because it extends the target.
#include "runtime/host/Amx-inl.h"

HWY_BEFORE_NAMESPACE();
namespace qopt::host::HWY_NAMESPACE {
#if QOPT_HAVE_AMX

using quant::ElementType;

/// Columns of a tile product and of a pass, rows of x in a pass, and tiles of
/// the weight that share one: the parts of x (512 × 256 × 3 bf16) and the sums
/// (512 × 256 f32) fit the second-level cache.
constexpr int64_t stepColumns = 32;
constexpr int64_t passColumns = 256;
constexpr int64_t passRows = 512;
constexpr int64_t groupTiles = 16;
constexpr int64_t passSteps = passColumns / stepColumns;
/// bf16 in a tile register, and rows of x in one.
constexpr int64_t tileElements = 512;
constexpr int64_t amxRows = 16;
constexpr int64_t xParts = 3;

/// Working memory of one thread.
struct Workspace {
  uint16_t *x;  ///< [row / 16][step][part][16][32]
  uint16_t *w;  ///< [tile 0, 1][step][part][16 pairs of columns][16][2]
  float *lines; ///< [passColumns][16]
  float *sums;  ///< [row / 16][tile of the group][16][16]
};

/// 32 values of x as three bf16 each, nearest, one 64-byte row a part.
HWY_INLINE void splitThirtyTwo(__m512 low, __m512 high, uint16_t *out) {
  for (int64_t part = 0; part < xParts; ++part) {
    const __m512i both = (__m512i)_mm512_cvtne2ps_pbh(high, low);
    _mm512_store_si512(out + part * tileElements, both);
    auto widen = [](__m256i half) HWY_ATTR {
      return _mm512_castsi512_ps(
          _mm512_slli_epi32(_mm512_cvtepu16_epi32(half), 16));
    };
    low = _mm512_sub_ps(low, widen(_mm512_castsi512_si256(both)));
    high = _mm512_sub_ps(high, widen(_mm512_extracti64x4_epi64(both, 1)));
  }
}

/// Rows [row, end) and the columns of one pass of x into parts; what a tile
/// lacks is 0.
HWY_INLINE void splitRows(const LinearArguments &a, int64_t row, int64_t end,
                          int64_t from, int64_t steps, uint16_t *out) {
  const FloatTag d;
  const int64_t padded = row + (end - row + amxRows - 1) / amxRows * amxRows;
  for (int64_t m = row; m < padded; ++m)
    for (int64_t step = 0; step < steps; ++step) {
      const int64_t k = from + step * stepColumns;
      FloatVector halves[2] = {hn::Zero(d), hn::Zero(d)};
      for (int64_t i = 0; i < 2 && m < end; ++i) {
        const int64_t left = a.layout.columns - k - i * lineLanes;
        const float *x = a.input + m * a.inputStride + k + i * lineLanes;
        if (left > 0)
          halves[i] =
              left >= lineLanes ? hn::LoadU(d, x) : loadPartial(d, x, left);
      }
      const int64_t tile = (m - row) / amxRows * passSteps + step;
      splitThirtyTwo(halves[0].raw, halves[1].raw,
                     out + tile * xParts * tileElements +
                         (m - row) % amxRows * stepColumns);
    }
}

/// The columns of one pass of a tile as lines of f32; returns where they are.
HWY_INLINE const float *widenLines(const LinearLayout &layout,
                                   const void *weight, const uint8_t *tile,
                                   int64_t from, int64_t steps, float *lines) {
  const FloatTag d;
  const int64_t count = HWY_MIN(passColumns, layout.columns - from);
  if (!layout.isFloat()) {
    const int64_t block = from / blockColumns;
    dequantizeBlocks(layout, weight, tile, block,
                     HWY_MIN(block + passSteps, layout.blocks()), lines);
    return lines;
  }
  const int64_t all = steps * stepColumns;
  for (int64_t k = 0; k < count; ++k) {
    const int64_t column = from + k;
    FloatVector line;
    if (layout.format.element == ElementType::F32) {
      line = loadLine<ElementType::F32>(tile + column * 64, 0);
    } else if (layout.format.element == ElementType::F16) {
      line = loadLine<ElementType::F16>(tile + column * 32, 0);
    } else { // a pair line; the odd column is in the high halves
      const __m512i pair = _mm512_load_si512(tile + column / 2 * 64);
      line = FloatVector{_mm512_castsi512_ps(
          column % 2 ? _mm512_and_si512(pair, _mm512_set1_epi32(~0xffff))
                     : _mm512_slli_epi32(pair, 16))};
    }
    hn::Store(line, d, lines + k * tileRows);
  }
  std::memset(lines + count * tileRows, 0, (all - count) * tileRows * 4);
  return lines;
}

/// Lines of f32 into parts, pairs of columns side by side; cut off, not
/// rounded, which loses nothing in three parts.
template <int parts>
HWY_INLINE void splitLines(const float *lines, int64_t steps, uint16_t *out) {
  const __m512i upper = _mm512_set1_epi32(~0xffff);
  for (int64_t step = 0; step < steps; ++step)
    for (int64_t pair = 0; pair < stepColumns / 2; ++pair) {
      const float *line = lines + (step * stepColumns + 2 * pair) * tileRows;
      __m512 even = _mm512_load_ps(line), odd = _mm512_load_ps(line + tileRows);
      for (int64_t part = 0; part < parts; ++part) {
        const __m512i e = _mm512_castps_si512(even);
        const __m512i o = _mm512_and_si512(_mm512_castps_si512(odd), upper);
        _mm512_store_si512(out + ((step * parts + part) * amxRows + pair) *
                                     stepColumns,
                           _mm512_or_si512(_mm512_srli_epi32(e, 16), o));
        even = _mm512_sub_ps(even,
                             _mm512_castsi512_ps(_mm512_and_si512(e, upper)));
        odd = _mm512_sub_ps(odd, _mm512_castsi512_ps(o));
      }
    }
}

/// Tile registers: 0…3 sums [x tile][w tile], 4 and 5 x, 6 and 7 the weight.
template <int xTiles> HWY_INLINE void loadX(const uint16_t *x) {
  _tile_loadd(4, x, 64);
  if constexpr (xTiles == 2)
    _tile_loadd(5, x + passSteps * xParts * tileElements, 64);
}
template <int wTiles>
HWY_INLINE void loadW(const uint16_t *w, int64_t tileStride) {
  _tile_loadd(6, w, 64);
  if constexpr (wTiles == 2)
    _tile_loadd(7, w + tileStride, 64);
}
template <int xTiles, int wTiles> HWY_INLINE void multiplyLoaded() {
  _tile_dpbf16ps(0, 4, 6);
  if constexpr (wTiles == 2)
    _tile_dpbf16ps(1, 4, 7);
  if constexpr (xTiles == 2)
    _tile_dpbf16ps(2, 5, 6);
  if constexpr (xTiles == 2 && wTiles == 2)
    _tile_dpbf16ps(3, 5, 7);
}

/// All partial products of the steps of a pass, small ones first in each.
template <int parts, int xTiles, int wTiles>
HWY_INLINE void multiplySteps(const uint16_t *x, const uint16_t *w,
                              int64_t steps) {
  constexpr int64_t tileStride = passSteps * parts * tileElements;
  for (int64_t step = 0; step < steps; ++step) {
    const uint16_t *xs = x + step * xParts * tileElements;
    const uint16_t *ws = w + step * parts * tileElements;
    for (int64_t i = xParts - 1; i >= 0; --i) {
      loadX<xTiles>(xs + i * tileElements);
      for (int64_t j = HWY_MIN(parts - 1, xParts - 1 - i); j >= 0; --j) {
        loadW<wTiles>(ws + j * tileElements, tileStride);
        multiplyLoaded<xTiles, wTiles>();
      }
    }
  }
}

/// Adds one pass to up to 2 × 2 tiles of sums; `fresh`: they start at 0.
template <int parts, int xTiles, int wTiles>
HWY_INLINE void multiplyPass(float *sums, bool fresh, const uint16_t *x,
                             const uint16_t *w, int64_t steps) {
  float *right = sums + amxRows * tileRows;
  float *below = sums + groupTiles * amxRows * tileRows;
  float *last = below + amxRows * tileRows;
  if (fresh) {
    _tile_zero(0);
    _tile_zero(1);
    _tile_zero(2);
    _tile_zero(3);
  } else {
    _tile_loadd(0, sums, 64);
    if constexpr (wTiles == 2)
      _tile_loadd(1, right, 64);
    if constexpr (xTiles == 2)
      _tile_loadd(2, below, 64);
    if constexpr (xTiles == 2 && wTiles == 2)
      _tile_loadd(3, last, 64);
  }
  multiplySteps<parts, xTiles, wTiles>(x, w, steps);
  _tile_stored(0, sums, 64);
  if constexpr (wTiles == 2)
    _tile_stored(1, right, 64);
  if constexpr (xTiles == 2)
    _tile_stored(2, below, 64);
  if constexpr (xTiles == 2 && wTiles == 2)
    _tile_stored(3, last, 64);
}

/// One pass over columns for `rows` rows and one or two tiles.
template <int parts, int wTiles>
HWY_INLINE void multiplyRows(const Workspace &work, int64_t rows, float *sums,
                             bool fresh, int64_t steps) {
  for (int64_t m = 0; m < rows; m += 2 * amxRows) {
    const uint16_t *x =
        work.x + m / amxRows * passSteps * xParts * tileElements;
    float *at = sums + m * groupTiles * tileRows;
    if (m + amxRows < rows)
      multiplyPass<parts, 2, wTiles>(at, fresh, x, work.w, steps);
    else
      multiplyPass<parts, 1, wTiles>(at, fresh, x, work.w, steps);
  }
}

HWY_INLINE Workspace divideScratch() {
  constexpr int64_t xBytes = passRows * passColumns * xParts * 2;
  constexpr int64_t wBytes = 2 * passColumns * tileRows * xParts * 2;
  constexpr int64_t lineBytes = passColumns * tileRows * 4;
  constexpr int64_t sumBytes = passRows * groupTiles * tileRows * 4;
  uint8_t *at = static_cast<uint8_t *>(
      threadScratch(xBytes + wBytes + lineBytes + sumBytes));
  Workspace work;
  work.x = reinterpret_cast<uint16_t *>(at);
  work.w = reinterpret_cast<uint16_t *>(at + xBytes);
  work.lines = reinterpret_cast<float *>(at + xBytes + wBytes);
  work.sums = work.lines + passColumns * tileRows;
  return work;
}

/// y = sums + bias + residual for the rows [row, end) and `count` tiles.
HWY_INLINE void storeSums(const LinearArguments &a, const float *sums,
                          int64_t row, int64_t end, int64_t tile,
                          int64_t count) {
  for (int64_t m = row; m < end; ++m) {
    const int64_t at = m - row;
    const float *line = sums + at / amxRows * amxRows * groupTiles * tileRows +
                        at % amxRows * tileRows;
    for (int64_t t = 0; t < count; ++t) {
      FloatVector v = hn::Load(FloatTag(), line + t * amxRows * tileRows);
      storeTileRow(a, m, tile + t, &v);
    }
  }
}

/// All columns for the rows [row, rowEnd) and the tiles [begin, end): y for
/// these stays in the second-level cache from pass to pass.
template <int parts>
HWY_INLINE void multiplyGroup(const LinearArguments &a, const Workspace &work,
                              int64_t row, int64_t rowEnd, int64_t begin,
                              int64_t end) {
  const LinearLayout &layout = a.layout;
  const uint8_t *weight = static_cast<const uint8_t *>(a.weight);
  const int64_t tileBytes = layout.tileBytes();
  for (int64_t from = 0; from < layout.columns; from += passColumns) {
    const int64_t columns = HWY_MIN(passColumns, layout.columns - from);
    const int64_t steps = (columns + stepColumns - 1) / stepColumns;
    const bool fresh = from == 0;
    splitRows(a, row, rowEnd, from, steps, work.x);
    for (int64_t tile = begin; tile < end; tile += 2) {
      const int64_t count = HWY_MIN(2, end - tile);
      float *sums = work.sums + (tile - begin) * amxRows * tileRows;
      for (int64_t t = 0; t < count; ++t)
        splitLines<parts>(widenLines(layout, weight,
                                     weight + (tile + t) * tileBytes, from,
                                     steps, work.lines),
                          steps, work.w + t * passSteps * parts * tileElements);
      if (count == 2)
        multiplyRows<parts, 2>(work, rowEnd - row, sums, fresh, steps);
      else
        multiplyRows<parts, 1>(work, rowEnd - row, sums, fresh, steps);
    }
  }
  storeSums(a, work.sums, row, rowEnd, begin, end - begin);
}

template <int parts>
void multiplyFloatAmx(const LinearArguments &a, int64_t begin, int64_t end) {
  const Workspace work = divideScratch();
  TileShapes shapes;
  for (int i = 0; i < 8; ++i)
    shapes.set(i, amxRows, 64);
  _tile_loadconfig(&shapes);
  for (int64_t row = 0; row < a.rows; row += passRows)
    for (int64_t tile = begin; tile < end; tile += groupTiles)
      multiplyGroup<parts>(a, work, row, HWY_MIN(row + passRows, a.rows), tile,
                           HWY_MIN(tile + groupTiles, end));
  _tile_release();
}

/// How many bf16 hold every value of the format.
LinearBody chooseFloatAmx(const quant::Format &format) {
  if (format.element == ElementType::BF16)
    return multiplyFloatAmx<1>;
  const bool fourBits =
      !format.isFloat() && format.element != ElementType::Nf4 &&
      (numberBits(format.element) <= 4 || quant::isFp8(format.element));
  const bool shortProduct = fourBits && quant::bytesPerScale(format) <= 2 &&
                            !format.hasTwoLevels() &&
                            format.zero != quant::ZeroType::Float;
  if (format.element == ElementType::F16 || shortProduct)
    return multiplyFloatAmx<2>;
  return multiplyFloatAmx<3>;
}

#else
LinearBody chooseFloatAmx(const quant::Format &) { return nullptr; }
#endif // QOPT_HAVE_AMX
} // namespace qopt::host::HWY_NAMESPACE
HWY_AFTER_NAMESPACE();

#if HWY_ONCE
namespace qopt::host {

HWY_EXPORT(chooseFloatAmx);

/// Fewer rows do not pay for taking the weight apart.
constexpr int64_t leastAmxRows = 32;

LinearBody floatTileLinear(const LinearArguments &arguments) {
  if (arguments.rows < leastAmxRows || !amxAvailable())
    return nullptr;
  return HWY_DYNAMIC_DISPATCH(chooseFloatAmx)(arguments.layout.format);
}

} // namespace qopt::host
#endif // HWY_ONCE
