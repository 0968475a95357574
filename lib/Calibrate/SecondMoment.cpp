// A product of a matrix and itself, in tiles of registers. Of each stretch of
// tokens two panels are copied, so that the inner loop reads memory in order:
//
//   left   [tokens][tileRows]      wₜ · x[t, i … i + tileRows)
//   right  [tokens][tileColumns]        x[t, j … j + tileColumns)
//
//   tile[i, j] += Σₜ left[t, i] · right[t, j]
//
// Tiles that lie wholly below the diagonal are not computed; the other half is
// mirrored when it is asked for.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
#include "lib/Calibrate/SecondMoment.h"
#include <algorithm>
#include <cstring>

#undef HWY_TARGET_INCLUDE
#define HWY_TARGET_INCLUDE "lib/Calibrate/SecondMoment.cpp"
#include <hwy/foreach_target.h>
// foreach_target.h comes first.
#include <hwy/highway.h>

#ifndef QOPT_LIB_CALIBRATE_SECONDMOMENT_SIZES
#define QOPT_LIB_CALIBRATE_SECONDMOMENT_SIZES
namespace qopt::calibrate {
/// Tokens of a panel: both panels of a tile stay in the first-level cache.
constexpr int64_t panelTokens = 128;
constexpr int64_t tileRows = 8;
constexpr int64_t mostTileColumns = 64;

/// Columns [from, from + width) of `tokens` rows, `stride` wide in the panel;
/// what is beyond the matrix is zero.
inline void copyPanel(const float *x, int64_t size, int64_t tokens,
                      int64_t from, int64_t stride, const float *weights,
                      float *panel) {
  int64_t width = std::min(stride, size - from);
  for (int64_t t = 0; t < tokens; ++t, panel += stride) {
    const float *row = x + t * size + from;
    for (int64_t c = 0; c < width; ++c)
      panel[c] = weights ? weights[t] * row[c] : row[c];
    std::fill(panel + width, panel + stride, 0.0f);
  }
}

/// The block of columns that a task owns, and all that is needed for it.
struct MomentTask {
  const float *x;
  int64_t size, tokens;
  const float *weights;
  float *sums;
};
} // namespace qopt::calibrate
#endif

HWY_BEFORE_NAMESPACE();
namespace qopt::calibrate::HWY_NAMESPACE {
namespace hn = hwy::HWY_NAMESPACE;
using Tag = hn::ScalableTag<float>;

/// Adds to tile [tileRows, 2 vectors] of `sums`, whose rows are `stride` apart.
HWY_INLINE void addTile(const float *left, const float *right, int64_t tokens,
                        float *tile, int64_t stride) {
  const Tag tag;
  const int64_t lanes = int64_t(hn::Lanes(tag));
  hn::Vec<Tag> low[tileRows], high[tileRows];
  for (int64_t r = 0; r < tileRows; ++r) {
    low[r] = hn::LoadU(tag, tile + r * stride);
    high[r] = hn::LoadU(tag, tile + r * stride + lanes);
  }
  for (int64_t t = 0; t < tokens; ++t) {
    auto a = hn::LoadU(tag, right), b = hn::LoadU(tag, right + lanes);
    for (int64_t r = 0; r < tileRows; ++r) {
      auto factor = hn::Set(tag, left[r]);
      low[r] = hn::MulAdd(factor, a, low[r]);
      high[r] = hn::MulAdd(factor, b, high[r]);
    }
    left += tileRows;
    right += 2 * lanes;
  }
  for (int64_t r = 0; r < tileRows; ++r) {
    hn::StoreU(low[r], tag, tile + r * stride);
    hn::StoreU(high[r], tag, tile + r * stride + lanes);
  }
}

/// The tiles of columns [from, from + width) on and above the diagonal.
void addColumns(const MomentTask &task, int64_t from, float *leftPanels,
                float *right) {
  const int64_t width = 2 * int64_t(hn::Lanes(Tag()));
  for (int64_t begin = 0; begin < task.tokens; begin += panelTokens) {
    int64_t tokens = std::min(panelTokens, task.tokens - begin);
    const float *x = task.x + begin * task.size;
    copyPanel(x, task.size, tokens, from, width, nullptr, right);
    for (int64_t row = 0; row < std::min(from + width, task.size);
         row += tileRows) {
      copyPanel(x, task.size, tokens, row, tileRows,
                task.weights ? task.weights + begin : nullptr, leftPanels);
      float tile[tileRows * mostTileColumns];
      int64_t rows = std::min(tileRows, task.size - row),
              columns = std::min(width, task.size - from);
      std::fill_n(tile, tileRows * width, 0.0f);
      for (int64_t r = 0; r < rows; ++r)
        std::memcpy(tile + r * width,
                    task.sums + (row + r) * task.size + from,
                    size_t(columns) * sizeof(float));
      addTile(leftPanels, right, tokens, tile, width);
      for (int64_t r = 0; r < rows; ++r)
        std::memcpy(task.sums + (row + r) * task.size + from, tile + r * width,
                    size_t(columns) * sizeof(float));
    }
  }
}

int64_t tileColumns() { return 2 * int64_t(hn::Lanes(Tag())); }

} // namespace qopt::calibrate::HWY_NAMESPACE
HWY_AFTER_NAMESPACE();

#if HWY_ONCE
namespace qopt::calibrate {

HWY_EXPORT(addColumns);
HWY_EXPORT(tileColumns);

void SecondMoment::add(const float *x, int64_t tokens, const float *weights,
                       host::ThreadPool &pool) {
  const int64_t width = HWY_DYNAMIC_DISPATCH(tileColumns)();
  const int64_t blocks = (length + width - 1) / width;
  MomentTask task{x, length, tokens, weights, sums.data()};
  // Later blocks of columns have more tiles: a part takes one from each end.
  pool.parallelFor((blocks + 1) / 2, 1, [&](int64_t begin, int64_t end) {
    std::vector<float> left(size_t(panelTokens * tileRows)),
        right(size_t(panelTokens * width));
    for (int64_t i = begin; i < end; ++i) {
      HWY_DYNAMIC_DISPATCH(addColumns)(task, i * width, left.data(), right.data());
      if (int64_t other = blocks - 1 - i; other != i)
        HWY_DYNAMIC_DISPATCH(addColumns)(task, other * width, left.data(),
                                         right.data());
    }
  });
  count += tokens;
}

std::vector<float> SecondMoment::matrix() const {
  std::vector<float> values = sums;
  constexpr int64_t block = 32; // both sides of the diagonal stay in the cache
  for (int64_t from = 0; from < length; from += block)
    for (int64_t row = from; row < length; ++row)
      for (int64_t column = from; column < std::min(row, from + block);
           ++column)
        values[size_t(row * length + column)] =
            sums[size_t(column * length + row)];
  return values;
}

void SecondMoment::add(const SecondMoment &other) {
  for (size_t i = 0; i < sums.size(); ++i)
    sums[i] += other.sums[i];
  count += other.count;
}

} // namespace qopt::calibrate
#endif // HWY_ONCE
