// The Cholesky decomposition in f64, tile column after tile column, each tile
// from those to its left (arithmetic on whole tiles, Tiles.h).
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
#include "lib/Quant/algorithms/Factor.h"
#include "lib/Quant/algorithms/Tasks.h"
#include <algorithm>
#include <cmath>
#include <numeric>
#include <string>

namespace qopt::quant {

namespace {
/// The lower triangle in panels of 64 rows; panel I has the strips of the
/// columns up to its own tile's last.
class Triangle {
public:
  explicit Triangle(int64_t tiles) {
    for (int64_t i = 0; i < tiles; ++i)
      panels.emplace_back(size_t((i + 1) * tileSize * tileSize));
  }
  int64_t tiles() const { return int64_t(panels.size()); }
  double *strip(int64_t panel, int64_t column) {
    return panels[size_t(panel)].data() + column * tileSize;
  }

private:
  std::vector<std::vector<double>> panels;
};
} // namespace

/// tile[j][i] of a panel, as C(i, j) = C(i, j) − Σ_{k<j} …, within the tile on
/// the diagonal. False where the matrix is not positive definite.
static bool factorDiagonalTile(double *tile) {
  for (int64_t j = 0; j < tileSize; ++j) {
    double *column = tile + j * tileSize;
    for (int64_t k = 0; k < j; ++k) {
      const double *before = tile + k * tileSize;
      for (int64_t i = j; i < tileSize; ++i)
        column[i] -= before[i] * before[j];
    }
    if (!(column[j] > 0) || !std::isfinite(column[j]))
      return false;
    double root = std::sqrt(column[j]);
    for (int64_t i = j; i < tileSize; ++i)
      column[i] /= root;
  }
  return true;
}

/// X of X Cᵀ = tile, in its place; C is the diagonal's tile.
static void solveTile(const double *diagonal, double *tile) {
  for (int64_t j = 0; j < tileSize; ++j) {
    double *column = tile + j * tileSize;
    for (int64_t k = 0; k < j; ++k) {
      double factor = diagonal[k * tileSize + j];
      for (int64_t i = 0; i < tileSize; ++i)
        column[i] -= tile[k * tileSize + i] * factor;
    }
    for (int64_t i = 0; i < tileSize; ++i)
      column[i] /= diagonal[j * tileSize + j];
  }
}

/// Cholesky's decomposition in place. False where there is none.
static bool decompose(Triangle &c, unsigned threads) {
  for (int64_t j = 0; j < c.tiles(); ++j) {
    int64_t before = j * tileSize;
    addProduct(c.strip(j, 0), c.strip(j, 0), before, -1.0, c.strip(j, before));
    if (!factorDiagonalTile(c.strip(j, before)))
      return false;
    forTasks(threads, c.tiles() - j - 1, [&](int64_t task) {
      int64_t i = j + 1 + task;
      // A panel's strips are columns, so the tile is transposed.
      addProduct(c.strip(j, 0), c.strip(i, 0), before, -1.0,
                 c.strip(i, before));
      solveTile(c.strip(j, before), c.strip(i, before));
    });
  }
  return true;
}

static void fill(Triangle &c, const float *moment, int64_t size,
                 const std::vector<int64_t> &order, double added) {
  for (int64_t panel = 0; panel < c.tiles(); ++panel)
    for (int64_t column = 0; column < (panel + 1) * tileSize; ++column)
      for (int64_t i = 0; i < tileSize; ++i) {
        int64_t row = panel * tileSize + i;
        double &to = c.strip(panel, column)[i];
        if (row >= size || column >= size) {
          to = row == column; // the padding is the identity
          continue;
        }
        int64_t a = order[size_t(row)], b = order[size_t(column)];
        to = moment[std::max(a, b) * size + std::min(a, b)] +
             (row == column ? added : 0);
      }
}

static std::vector<int64_t> ascending(const std::vector<float> &values) {
  std::vector<int64_t> order(values.size());
  std::iota(order.begin(), order.end(), int64_t{0});
  std::sort(order.begin(), order.end(), [&](int64_t a, int64_t b) {
    return std::pair(values[size_t(a)], a) < std::pair(values[size_t(b)], b);
  });
  return order;
}

/// L and D from Cholesky's C = L √D.
static void readFactor(Triangle &c, int64_t size, Factor &factor) {
  factor.pivots.resize(size_t(size));
  factor.lower = Panels(c.tiles(), c.tiles() * tileSize);
  for (int64_t column = 0; column < size; ++column) {
    int64_t tile = column / tileSize, j = column % tileSize;
    double root = c.strip(tile, column)[j];
    factor.pivots[size_t(column)] = float(root * root);
    for (int64_t row = column + 1; row < size; ++row)
      factor.lower.strip(tile, row)[j] =
          float(c.strip(row / tileSize, column)[row % tileSize] / root);
  }
}

StatusOr<Factor> factorMoment(const float *moment, int64_t size, float damping,
                              unsigned threads) {
  std::vector<float> diagonal(static_cast<size_t>(size));
  for (int64_t i = 0; i < size; ++i)
    diagonal[size_t(i)] = moment[i * size + i];
  double mean =
      std::accumulate(diagonal.begin(), diagonal.end(), 0.0) / double(size);
  if (mean == 0) // no input at all: every error is as good as another
    return diagonalFactor(nullptr, size);
  Factor factor;
  factor.order = ascending(diagonal);
  Triangle c(tilesOf(size));
  for (factor.damping = std::max(damping, 1e-6f); factor.damping <= 100;
       factor.damping *= 10) {
    fill(c, moment, size, factor.order, factor.damping * mean);
    if (!decompose(c, threads))
      continue;
    readFactor(c, size, factor);
    return factor;
  }
  return Status(StatusCode::InvalidArgument,
                "the second moment is not positive definite, even with " +
                    std::to_string(std::lround(factor.damping / 10)) +
                    " times its mean diagonal added; expected a mean of "
                    "products x · xᵀ");
}

Factor diagonalFactor(const float *diagonal, int64_t size) {
  Factor factor;
  factor.pivots.assign(size_t(size), 1.0f);
  if (diagonal)
    factor.pivots.assign(diagonal, diagonal + size);
  factor.order = ascending(factor.pivots);
  std::sort(factor.pivots.begin(), factor.pivots.end());
  return factor;
}

} // namespace qopt::quant
