// Coordinate descent on scales, zeros and numbers. What it keeps is G = Δ H_I,
// in panels of columns; P = H_O G is made for 64 rows at a time, when their
// turn comes.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
#include "lib/Quant/algorithms/Refinement.h"
#include "lib/Quant/algorithms/Tasks.h"
#include "lib/Quant/algorithms/Tiles.h"
#include <cmath>

namespace qopt::quant {

namespace {
/// A moment of any kind as the panels of a full matrix.
Panels momentPanels(const float *moment, const float *diagonal, int64_t size) {
  if (moment)
    return columnPanels({moment, size, size});
  Panels panels(tilesOf(size), size);
  for (int64_t i = 0; i < size; ++i)
    panels.strip(i / tileSize, i)[i % tileSize] = diagonal ? diagonal[i] : 1;
  return panels;
}

/// Δ of the rows of a tile, as one panel.
Panels differences(const QuantizedMatrix &matrix, const MatrixView &weights,
                   int64_t tileRow) {
  const GridShape &shape = matrix.grid.shape;
  int64_t top = tileRow * tileSize, size = shape.groupColumns();
  Panels panel(1, weights.columns);
  for (int64_t row = top; row < std::min(top + tileSize, weights.rows); ++row)
    for (int64_t j = 0; j < weights.columns; ++j) {
      int64_t index = row * weights.columns + j;
      const GroupParameters &group =
          matrix.grid.groups[size_t(shape.indexOf(row, j / size))];
      panel.strip(0, j)[row - top] =
          group.value(matrix.numbers[size_t(index)]) - weights.values[index];
    }
  return panel;
}

/// G of a matrix, and P of 64 of its rows.
class Gradient {
public:
  Gradient(const QuantizedMatrix &matrix, const MatrixView &weights,
           const Metric &metric, unsigned threads);

  const Panels &input() const { return inputMoment; }
  bool couplesRows() const { return outputMoment.count; }
  /// H_O(i,k) of two rows of the tile of rows.
  float output(int64_t tileRow, int64_t i, int64_t k) const {
    return couplesRows()
               ? outputMoment.strip(tileRow, tileRow * tileSize + k)[i]
               : float(i == k);
  }
  int64_t tileColumns() const { return product.count; }
  int64_t tileRows() const { return product.strips / tileSize; }

  /// P of one tile, as tile[i][j].
  void read(int64_t tileRow, int64_t tileColumn, float *tile) const;
  /// G of one tile, to be changed.
  float *tile(int64_t tileRow, int64_t tileColumn) {
    return product.strip(tileColumn, tileRow * tileSize);
  }

private:
  Panels inputMoment, outputMoment{0, 0}, product{0, 0};
  int64_t rows;
};
} // namespace

Gradient::Gradient(const QuantizedMatrix &matrix, const MatrixView &weights,
                   const Metric &metric, unsigned threads)
    : inputMoment(momentPanels(metric.inputMoment, metric.inputDiagonal,
                               weights.columns)),
      rows(weights.rows) {
  if (metric.outputMoment)
    outputMoment = columnPanels({metric.outputMoment, rows, rows});
  product = Panels(inputMoment.count, tilesOf(rows) * tileSize);
  forTasks(threads, tileRows(), [&](int64_t row) {
    Panels difference = differences(matrix, weights, row);
    for (int64_t column = 0; column < product.count; ++column)
      addProduct(difference.strip(0, 0), inputMoment.strip(column, 0),
                 weights.columns, 1.0f, tile(row, column));
  });
}

void Gradient::read(int64_t tileRow, int64_t tileColumn, float *result) const {
  constexpr int64_t size = tileSize * tileSize;
  if (!couplesRows()) {
    const float *from = product.strip(tileColumn, tileRow * tileSize);
    std::copy(from, from + size, result);
    return;
  }
  std::fill(result, result + size, 0.0f);
  addProduct(outputMoment.strip(tileRow, 0), product.strip(tileColumn, 0), rows,
             1.0f, result);
}

namespace {
/// Which parameter of a group is improved.
enum class Part { Scale, Zero };

/// The scales, or the zeros, of one tile of rows.
class ScaleRefiner {
public:
  ScaleRefiner(QuantizedMatrix &matrix, Gradient &gradient, int64_t tileRow,
               unsigned threads)
      : matrix(matrix), gradient(gradient), tileRow(tileRow), threads(threads),
        rows(std::min(tileSize, matrix.grid.shape.rows - tileRow * tileSize)),
        slopes(size_t(gradient.tileColumns() * tileSize * tileSize)),
        effects(slopes.size()) {
    forTasks(threads, gradient.tileColumns(), [&](int64_t tile) {
      gradient.read(tileRow, tile, slopes.data() + tile * tileSize * tileSize);
    });
  }

  void refine(int64_t group, Part part);

private:
  GroupParameters &parameters(int64_t i, int64_t group) {
    const GridShape &shape = matrix.grid.shape;
    return matrix.grid
        .groups[size_t(shape.indexOf(tileRow * tileSize + i, group))];
  }
  /// C of all rows, in strips of the group's columns.
  void chooseDirections(int64_t group, Part part);
  /// The quadratic function of the 64 steps, `curvature` and `slope`.
  void measure();
  std::vector<float> solve(int64_t group, Part part);
  void apply(const std::vector<float> &steps);

  float *tileOf(std::vector<float> &tiles, int64_t column) {
    return tiles.data() + column / tileSize * tileSize * tileSize;
  }

  QuantizedMatrix &matrix;
  Gradient &gradient;
  int64_t tileRow;
  unsigned threads;
  int64_t rows, begin = 0, end = 0;
  std::vector<float> slopes;     ///< P, tile after tile
  std::vector<float> effects;    ///< C H_I
  std::vector<float> directions; ///< C
  std::vector<double> curvature, slope;
};
} // namespace

void ScaleRefiner::chooseDirections(int64_t group, Part part) {
  const GridShape &shape = matrix.grid.shape;
  begin = group * shape.groupColumns();
  end = std::min(begin + shape.groupColumns(), shape.columns);
  directions.assign(size_t((end - begin) * tileSize), 0.0f);
  for (int64_t i = 0; i < rows; ++i) {
    const GroupParameters &now = parameters(i, group);
    const float *numbers =
        matrix.numbers.data() + (tileRow * tileSize + i) * shape.columns;
    for (int64_t j = begin; j < end; ++j)
      directions[size_t((j - begin) * tileSize + i)] =
          part == Part::Scale ? numbers[j] - now.zero : -now.scale;
  }
}

void ScaleRefiner::measure() {
  std::fill(effects.begin(), effects.end(), 0.0f);
  forTasks(threads, gradient.tileColumns(), [&](int64_t tile) {
    addProduct(directions.data(), gradient.input().strip(tile, begin),
               end - begin, 1.0f, effects.data() + tile * tileSize * tileSize);
  });
  curvature.assign(size_t(tileSize * tileSize), 0.0);
  slope.assign(size_t(tileSize), 0.0);
  for (int64_t i = 0; i < rows; ++i)
    for (int64_t j = begin; j < end; ++j) {
      const float *others = directions.data() + (j - begin) * tileSize;
      int64_t at = i * tileSize + j % tileSize;
      slope[size_t(i)] += double(others[i]) * tileOf(slopes, j)[at];
      double effect = tileOf(effects, j)[at];
      for (int64_t k = gradient.couplesRows() ? 0 : i,
                   last = gradient.couplesRows() ? rows : i + 1;
           k < last; ++k)
        curvature[size_t(i * tileSize + k)] += effect * double(others[k]);
    }
  for (int64_t i = 0; i < rows; ++i)
    for (int64_t k = 0; k < rows; ++k)
      curvature[size_t(i * tileSize + k)] *= gradient.output(tileRow, i, k);
}

std::vector<float> ScaleRefiner::solve(int64_t group, Part part) {
  const GridShape &shape = matrix.grid.shape;
  std::vector<float> steps(size_t(tileSize), 0.0f);
  std::vector<double> now = slope;
  for (int64_t round = 0; round < 4; ++round)
    for (int64_t i = 0; i < rows; ++i) {
      double bend = curvature[size_t(i * tileSize + i)];
      GroupParameters &stored = parameters(i, group);
      if (!(bend > 0) || stored.scale == 0)
        continue;
      float &value = part == Part::Scale ? stored.scale : stored.zero;
      float wanted = float(value - now[size_t(i)] / bend);
      int64_t index = shape.indexOf(tileRow * tileSize + i, group);
      float better = part == Part::Scale ? shape.storableScale(index, wanted)
                                         : shape.storableZero(wanted);
      // A scale of zero, or beyond its type, has no numbers.
      if (part == Part::Scale && (better == 0 || !std::isfinite(better)))
        continue;
      double step = double(better) - value;
      if (!(2 * step * now[size_t(i)] + step * step * bend < 0))
        continue;
      value = better;
      steps[size_t(i)] += float(step);
      for (int64_t k = 0; k < rows; ++k)
        now[size_t(k)] += step * curvature[size_t(i * tileSize + k)];
    }
  return steps;
}

void ScaleRefiner::apply(const std::vector<float> &steps) {
  forTasks(threads, gradient.tileColumns(), [&](int64_t column) {
    float *effect = effects.data() + column * tileSize * tileSize;
    float *slopeTile = slopes.data() + column * tileSize * tileSize;
    float *product = gradient.tile(tileRow, column);
    for (int64_t i = 0; i < rows; ++i) {
      if (steps[size_t(i)] == 0)
        continue;
      addScaled(effect + i * tileSize, steps[size_t(i)],
                product + i * tileSize);
      for (int64_t k = 0; k < rows; ++k)
        if (float output = gradient.output(tileRow, i, k))
          addScaled(effect + i * tileSize, steps[size_t(i)] * output,
                    slopeTile + k * tileSize);
    }
  });
}

void ScaleRefiner::refine(int64_t group, Part part) {
  chooseDirections(group, part);
  measure();
  apply(solve(group, part));
}

namespace {
/// The numbers of one tile.
class NumberRefiner {
public:
  NumberRefiner(QuantizedMatrix &matrix, const MatrixView &weights,
                Gradient &gradient)
      : matrix(matrix), weights(weights), gradient(gradient),
        slopes(size_t(tileSize * tileSize)), changes(slopes.size()) {}

  /// True where a number changed.
  bool refine(int64_t tileRow, int64_t tileColumn);
  /// Adds what changed to all of G's tiles in the row of the last tile.
  void apply(int64_t tileRow, int64_t tileColumn, unsigned threads);

private:
  bool refineOne(int64_t tileRow, int64_t row, int64_t column);

  QuantizedMatrix &matrix;
  const MatrixView &weights;
  Gradient &gradient;
  std::vector<float> slopes, changes; ///< changes in strips of columns
};
} // namespace

bool NumberRefiner::refineOne(int64_t tileRow, int64_t row, int64_t column) {
  const GridShape &shape = matrix.grid.shape;
  int64_t i = row % tileSize, j = column % tileSize;
  const float *input = gradient.input().strip(column / tileSize, column);
  float bend = input[j] * gradient.output(tileRow, i, i);
  if (!(bend > 0))
    return false;
  const GroupParameters &group =
      matrix.grid
          .groups[size_t(shape.indexOf(row, column / shape.groupColumns()))];
  float &number = matrix.numbers[size_t(row * weights.columns + column)];
  float before = group.value(number), slope = slopes[size_t(i * tileSize + j)];
  float better = shape.nearest(group, before - slope / bend);
  float step = group.value(better) - before;
  if (!(2 * step * slope + step * step * bend < 0))
    return false;
  number = better;
  changes[size_t(j * tileSize + i)] += step;
  for (int64_t k = 0; k < tileSize; ++k)
    if (float output = gradient.output(tileRow, i, k))
      addScaled(input, step * output, slopes.data() + k * tileSize);
  return true;
}

bool NumberRefiner::refine(int64_t tileRow, int64_t tileColumn) {
  gradient.read(tileRow, tileColumn, slopes.data());
  std::fill(changes.begin(), changes.end(), 0.0f);
  bool changed = false;
  int64_t left = tileColumn * tileSize, top = tileRow * tileSize;
  for (int64_t row = top; row < std::min(top + tileSize, weights.rows); ++row)
    for (int64_t column = left;
         column < std::min(left + tileSize, weights.columns); ++column)
      changed |= refineOne(tileRow, row, column);
  return changed;
}

void NumberRefiner::apply(int64_t tileRow, int64_t tileColumn,
                          unsigned threads) {
  int64_t left = tileColumn * tileSize;
  int64_t count = std::min(tileSize, weights.columns - left);
  forTasks(threads, gradient.tileColumns(), [&](int64_t column) {
    addProduct(changes.data(), gradient.input().strip(column, left), count,
               1.0f, gradient.tile(tileRow, column));
  });
}

/// One pass over a tile of rows.
static void refineRows(QuantizedMatrix &matrix, const MatrixView &weights,
                       Gradient &gradient, Refine pass, int64_t tileRow,
                       unsigned threads) {
  if (pass == Refine::Numbers) {
    NumberRefiner refiner(matrix, weights, gradient);
    for (int64_t column = 0; column < gradient.tileColumns(); ++column)
      if (refiner.refine(tileRow, column))
        refiner.apply(tileRow, column, threads);
    return;
  }
  const GridShape &shape = matrix.grid.shape;
  if (shape.format.granularity == Granularity::Tensor ||
      rowsPerBlock(shape.format) > 1)
    return; // rows share their scales
  ScaleRefiner refiner(matrix, gradient, tileRow, threads);
  for (int64_t group = 0; group < shape.groupsPerRow(); ++group) {
    refiner.refine(group, Part::Scale);
    if (shape.format.zero == ZeroType::Float)
      refiner.refine(group, Part::Zero);
  }
}

/// All passes, whether the error itself falls or not.
static void descend(QuantizedMatrix &matrix, const MatrixView &weights,
                    const Metric &metric, const std::vector<Refine> &passes,
                    unsigned threads) {
  Gradient gradient(matrix, weights, metric, threads);
  for (Refine pass : passes)
    if (gradient.couplesRows()) // a tile needs what those before it have done
      for (int64_t row = 0; row < gradient.tileRows(); ++row)
        refineRows(matrix, weights, gradient, pass, row, threads);
    else
      forTasks(threads, gradient.tileRows(), [&](int64_t row) {
        refineRows(matrix, weights, gradient, pass, row, 1);
      });
}

void refine(QuantizedMatrix &matrix, const MatrixView &weights,
            const Metric &metric, const std::vector<Refine> &passes,
            unsigned threads) {
  QuantizedMatrix candidate = matrix;
  descend(candidate, weights, metric, passes, threads);
  // Steps are taken by sums in f32; here is the error itself.
  std::vector<float> values(matrix.numbers.size());
  auto errorOf = [&](const QuantizedMatrix &of) {
    dequantize(of, values.data());
    return weightError(weights, values.data(), metric, threads);
  };
  if (errorOf(candidate) < errorOf(matrix))
    matrix = std::move(candidate);
}

} // namespace qopt::quant
