// Products of matrices in tiles, the one piece of linear algebra that costs
// time here. A matrix is cut into panels of 64 rows (or of 64 columns); in a
// panel lies for each index of the other side, which products sum over, one
// *strip* of 64 values:
//
//        64 rows                        panel
//      ┌─────────┐              strip 0 │ w(0,0) w(1,0) … w(63,0) │
//      │ w(i, k) │    becomes   strip 1 │ w(0,1) w(1,1) … w(63,1) │
//      └─────────┘                 …    │           …             │
//        k →
//
// A tile of the product of two matrices is then a sum of outer products of
// strips, and everything that is read lies in the order in which it is read.
// Rows and columns behind a matrix's last are zeros.
//
// Sums run over k in order, in runs of 128 fused multiply-adds, one chain for
// each element: the results are the same bits for every width of vectors, on
// every processor that has such an instruction.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
#ifndef QOPT_LIB_QUANT_ALGORITHMS_TILES_H
#define QOPT_LIB_QUANT_ALGORITHMS_TILES_H

#include "lib/Quant/Grid.h"
#include <cstdint>
#include <vector>

namespace qopt::quant {

inline constexpr int64_t tileSize = 64;

inline int64_t tilesOf(int64_t count) {
  return (count + tileSize - 1) / tileSize;
}

/// tile[i][j] += sign · Σ_k a[k][i] · b[k][j] over `count` strips; sign is 1 or
/// −1, and tile [64, 64].
void addProduct(const float *a, const float *b, int64_t count, float sign,
                float *tile);
void addProduct(const double *a, const double *b, int64_t count, double sign,
                double *tile);

/// values[j] += factor · addends[j] for a strip.
void addScaled(const float *addends, float factor, float *values);

/// Panels of 64 rows of a matrix, all of the same number of strips.
struct Panels {
  int64_t count = 0;  ///< panels
  int64_t strips = 0; ///< in each
  std::vector<float> values;

  Panels(int64_t count, int64_t strips)
      : count(count), strips(strips),
        values(static_cast<size_t>(count * strips * tileSize)) {}
  float *strip(int64_t panel, int64_t index) {
    return values.data() + (panel * strips + index) * tileSize;
  }
  const float *strip(int64_t panel, int64_t index) const {
    return values.data() + (panel * strips + index) * tileSize;
  }
};

/// Panels of the rows, whose strips are along the columns.
Panels rowPanels(const MatrixView &matrix);
/// Panels of the columns, whose strips are along the rows.
Panels columnPanels(const MatrixView &matrix);

/// The product of two matrices, [rows of the panels of a, those of b], as
/// panels of a's rows: Σ_k a[k][i] · b[k][j].
Panels multiply(const Panels &a, const Panels &b, unsigned threads);

} // namespace qopt::quant

#endif // QOPT_LIB_QUANT_ALGORITHMS_TILES_H
