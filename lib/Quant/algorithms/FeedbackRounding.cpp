// The entries are taken in tiles of 64 rows and columns: what other tiles add
// is two products of panels (Tiles.h), what is left is done entry by entry. A
// tile needs those below and to the right of it; all tiles of one diagonal are
// done at the same time.
//
//        columns →
//      4 3 2 1 0
//      5 4 3 2 1      the tiles' turns
//      6 5 4 3 2
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
#include "lib/Quant/algorithms/FeedbackRounding.h"
#include "lib/Quant/algorithms/Tasks.h"

namespace qopt::quant {

StatusOr<MetricFactors> factorMetric(const Metric &metric,
                                     const MatrixView &weights, float damping,
                                     unsigned threads) {
  MetricFactors factors;
  if (metric.inputMoment) {
    auto input =
        factorMoment(metric.inputMoment, weights.columns, damping, threads);
    QOPT_RETURN_IF_ERROR(input.status());
    factors.input = std::move(*input);
  } else {
    factors.input = diagonalFactor(metric.inputDiagonal, weights.columns);
  }
  factors.hasOutput = metric.outputMoment;
  if (metric.outputMoment) {
    auto output =
        factorMoment(metric.outputMoment, weights.rows, damping, threads);
    QOPT_RETURN_IF_ERROR(output.status());
    factors.output = std::move(*output);
  } else {
    factors.output = diagonalFactor(nullptr, weights.rows);
  }
  return factors;
}

std::vector<float> columnCosts(const MetricFactors &factors) {
  std::vector<float> costs(factors.input.pivots.size());
  for (size_t position = 0; position < costs.size(); ++position)
    costs[size_t(factors.input.order[position])] =
        factors.input.pivots[position];
  return costs;
}

namespace {
/// The rounding of one matrix, tile by tile. Indices are positions in the
/// factors' orders.
class TileRounder {
public:
  TileRounder(const Grid &grid, const MatrixView &weights,
              const MetricFactors &factors, std::vector<float> &numbers)
      : grid(grid), weights(weights), factors(factors), numbers(numbers),
        errors(tilesOf(weights.rows), tilesOf(weights.columns) * tileSize),
        sums(factors.output.lower.count ? tilesOf(weights.columns) : 0,
             tilesOf(weights.rows) * tileSize) {}

  void round(int64_t tileRow, int64_t tileColumn);

private:
  /// Entries of one row of a tile, from `column` to the first. `along` is A,
  /// `across` F.
  void roundRow(int64_t row, int64_t begin, int64_t end, float *along,
                const float *across);

  const Grid &grid;
  const MatrixView &weights;
  const MetricFactors &factors;
  std::vector<float> &numbers;
  Panels errors; ///< Δ, panels of rows
  Panels sums;   ///< U, panels of columns; none without H_O
};
} // namespace

void TileRounder::roundRow(int64_t row, int64_t begin, int64_t end,
                           float *along, const float *across) {
  const Panels &lower = factors.input.lower;
  int64_t natural = factors.output.order[size_t(row)];
  int64_t size = grid.shape.groupColumns(), tile = begin / tileSize;
  for (int64_t column = end - 1; column >= begin; --column) {
    int64_t naturalColumn = factors.input.order[size_t(column)];
    int64_t index = natural * weights.columns + naturalColumn;
    const GroupParameters &group =
        grid.groups[size_t(grid.shape.indexOf(natural, naturalColumn / size))];
    float weight = weights.values[index];
    float before = along[column - begin];
    float number =
        grid.shape.nearest(group, weight - (before + across[column - begin]));
    numbers[size_t(index)] = number;
    float error = group.value(number) - weight;
    errors.strip(row / tileSize, column)[row % tileSize] = error;
    if (lower.count)
      addScaled(lower.strip(tile, column), error, along);
    if (sums.count)
      sums.strip(tile, row)[column - begin] = error + before;
  }
}

void TileRounder::round(int64_t tileRow, int64_t tileColumn) {
  std::vector<float> along(size_t(tileSize * tileSize)), across(along.size());
  int64_t top = tileRow * tileSize, left = tileColumn * tileSize;
  int64_t bottom = top + tileSize, right = left + tileSize;
  const Panels &input = factors.input.lower, &output = factors.output.lower;
  if (input.count && right < input.strips)
    addProduct(errors.strip(tileRow, right), input.strip(tileColumn, right),
               input.strips - right, 1.0f, along.data());
  if (sums.count && bottom < output.strips)
    addProduct(output.strip(tileRow, bottom), sums.strip(tileColumn, bottom),
               output.strips - bottom, 1.0f, across.data());
  for (int64_t row = std::min(bottom, weights.rows) - 1; row >= top; --row) {
    roundRow(row, left, std::min(right, weights.columns),
             along.data() + (row - top) * tileSize,
             across.data() + (row - top) * tileSize);
    for (int64_t above = top; sums.count && above < row; ++above)
      addScaled(sums.strip(tileColumn, row),
                output.strip(tileRow, row)[above - top],
                across.data() + (above - top) * tileSize);
  }
}

QuantizedMatrix roundWithFeedback(Grid grid, const MatrixView &weights,
                                  const MetricFactors &factors,
                                  unsigned threads) {
  QuantizedMatrix result{std::move(grid), std::vector<float>(size_t(
                                              weights.rows * weights.columns))};
  TileRounder rounder(result.grid, weights, factors, result.numbers);
  int64_t rows = tilesOf(weights.rows), columns = tilesOf(weights.columns);
  for (int64_t turn = 0; turn < rows + columns - 1; ++turn) {
    int64_t first = std::max<int64_t>(0, turn - columns + 1);
    int64_t last = std::min(turn, rows - 1);
    forTasks(threads, last - first + 1, [&](int64_t task) {
      int64_t fromBottom = first + task;
      rounder.round(rows - 1 - fromBottom, columns - 1 - (turn - fromBottom));
    });
  }
  return result;
}

} // namespace qopt::quant
