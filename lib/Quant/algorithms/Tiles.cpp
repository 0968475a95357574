// Tiles of products with Highway: four rows of a tile times a few vectors stay
// in registers while the strips pass by.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
#include "lib/Quant/algorithms/Tiles.h"
#include "lib/Quant/algorithms/Tasks.h"

#undef HWY_TARGET_INCLUDE
#define HWY_TARGET_INCLUDE "lib/Quant/algorithms/Tiles.cpp"
#include <hwy/foreach_target.h>
// After foreach_target.h.
#include <hwy/highway.h>

HWY_BEFORE_NAMESPACE();
namespace qopt::quant::HWY_NAMESPACE {
namespace hn = hwy::HWY_NAMESPACE;

/// AVX2 and SSE4 have half of the others' registers.
#if HWY_TARGET == HWY_AVX2 || HWY_TARGET == HWY_SSE4
constexpr int64_t maxVectors = 2;
#else
constexpr int64_t maxVectors = 4;
#endif

/// Rows [row, row + 4) times columns [column, column + vectors) of a tile.
template <int64_t vectors, typename T>
HWY_INLINE void addBlock(const T *HWY_RESTRICT a, const T *HWY_RESTRICT b,
                         int64_t count, T sign, T *HWY_RESTRICT tile) {
  const hn::ScalableTag<T> d;
  const auto lanes = static_cast<int64_t>(hn::Lanes(d));
  hn::Vec<decltype(d)> sums[4][vectors];
  for (int64_t i = 0; i < 4; ++i)
    for (int64_t v = 0; v < vectors; ++v)
      sums[i][v] = hn::Zero(d);
  for (int64_t k = 0; k < count; ++k) {
    hn::Vec<decltype(d)> right[vectors];
    for (int64_t v = 0; v < vectors; ++v)
      right[v] = hn::LoadU(d, b + k * tileSize + v * lanes);
    for (int64_t i = 0; i < 4; ++i) {
      auto left = hn::Set(d, a[k * tileSize + i]);
      for (int64_t v = 0; v < vectors; ++v)
        sums[i][v] = hn::MulAdd(left, right[v], sums[i][v]);
    }
  }
  for (int64_t i = 0; i < 4; ++i)
    for (int64_t v = 0; v < vectors; ++v) {
      T *to = tile + i * tileSize + v * lanes;
      hn::StoreU(hn::MulAdd(hn::Set(d, sign), sums[i][v], hn::LoadU(d, to)), d,
                 to);
    }
}

template <typename T>
void addAllBlocks(const T *a, const T *b, int64_t count, T sign, T *tile) {
  const hn::ScalableTag<T> d;
  constexpr auto most = static_cast<int64_t>(hn::MaxLanes(d));
  constexpr int64_t vectors =
      tileSize / most < maxVectors ? tileSize / most : maxVectors;
  const int64_t step = vectors * static_cast<int64_t>(hn::Lanes(d));
  // As many strips at a time as stay in the nearest caches.
  constexpr int64_t some = 128;
  for (int64_t k = 0; k < count; k += some)
    for (int64_t i = 0; i < tileSize; i += 4)
      for (int64_t j = 0; j < tileSize; j += step)
        addBlock<vectors>(a + k * tileSize + i, b + k * tileSize + j,
                          count - k < some ? count - k : some, sign,
                          tile + i * tileSize + j);
}

void addFloats(const float *a, const float *b, int64_t count, float sign,
               float *tile) {
  addAllBlocks(a, b, count, sign, tile);
}
void addDoubles(const double *a, const double *b, int64_t count, double sign,
                double *tile) {
  addAllBlocks(a, b, count, sign, tile);
}

void addScaledStrip(const float *addends, float factor, float *values) {
  const hn::ScalableTag<float> d;
  const auto lanes = static_cast<int64_t>(hn::Lanes(d));
  for (int64_t j = 0; j < tileSize; j += lanes)
    hn::StoreU(hn::MulAdd(hn::Set(d, factor), hn::LoadU(d, addends + j),
                          hn::LoadU(d, values + j)),
               d, values + j);
}

} // namespace qopt::quant::HWY_NAMESPACE
HWY_AFTER_NAMESPACE();

#if HWY_ONCE
namespace qopt::quant {

HWY_EXPORT(addFloats);
HWY_EXPORT(addDoubles);
HWY_EXPORT(addScaledStrip);

void addProduct(const float *a, const float *b, int64_t count, float sign,
                float *tile) {
  HWY_DYNAMIC_DISPATCH(addFloats)(a, b, count, sign, tile);
}
void addProduct(const double *a, const double *b, int64_t count, double sign,
                double *tile) {
  HWY_DYNAMIC_DISPATCH(addDoubles)(a, b, count, sign, tile);
}
void addScaled(const float *addends, float factor, float *values) {
  HWY_DYNAMIC_DISPATCH(addScaledStrip)(addends, factor, values);
}

Panels rowPanels(const MatrixView &matrix) {
  Panels panels(tilesOf(matrix.rows), matrix.columns);
  for (int64_t row = 0; row < matrix.rows; ++row)
    for (int64_t k = 0; k < matrix.columns; ++k)
      panels.strip(row / tileSize, k)[row % tileSize] = matrix.row(row)[k];
  return panels;
}

Panels columnPanels(const MatrixView &matrix) {
  Panels panels(tilesOf(matrix.columns), matrix.rows);
  for (int64_t k = 0; k < matrix.rows; ++k)
    for (int64_t column = 0; column < matrix.columns; ++column)
      panels.strip(column / tileSize, k)[column % tileSize] =
          matrix.row(k)[column];
  return panels;
}

Panels multiply(const Panels &a, const Panels &b, unsigned threads) {
  Panels product(a.count, b.count * tileSize);
  forTasks(threads, a.count * b.count, [&](int64_t task) {
    int64_t i = task / b.count, j = task % b.count;
    // The tile's columns are strips of the result: the operands trade places.
    addProduct(b.strip(j, 0), a.strip(i, 0), a.strips, 1.0f,
               product.strip(i, j * tileSize));
  });
  return product;
}

} // namespace qopt::quant
#endif // HWY_ONCE
