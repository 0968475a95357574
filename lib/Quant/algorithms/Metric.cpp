// The error of a quantized matrix under its moments.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
#include "lib/Quant/algorithms/Metric.h"
#include "lib/Quant/algorithms/Tasks.h"
#include "lib/Quant/algorithms/Tiles.h"
#include <algorithm>
#include <cmath>
#include <limits>
#include <string>

namespace qopt::quant {

std::vector<float> inputDiagonal(const Metric &metric, int64_t columns) {
  std::vector<float> diagonal(size_t(columns), 1.0f);
  for (int64_t j = 0; j < columns; ++j)
    if (metric.inputMoment)
      diagonal[size_t(j)] = metric.inputMoment[j * columns + j];
    else if (metric.inputDiagonal)
      diagonal[size_t(j)] = metric.inputDiagonal[j];
  return diagonal;
}

static std::string place(int64_t row, int64_t column) {
  return " at row " + std::to_string(row) + ", column " +
         std::to_string(column);
}

static Status checkFinite(const MatrixView &matrix, const std::string &what) {
  for (int64_t i = 0; i < matrix.rows * matrix.columns; ++i)
    if (!std::isfinite(matrix.values[i]))
      return Status(
          StatusCode::InvalidArgument,
          what + (std::isnan(matrix.values[i]) ? "NaN" : "infinity") +
              place(matrix.firstRow + i / matrix.columns, i % matrix.columns) +
              "; expected finite values");
  return {};
}

static Status checkPositive(float value, const std::string &what, int64_t row,
                            int64_t column) {
  if (value >= 0)
    return {};
  return Status(StatusCode::InvalidArgument,
                what + std::to_string(value) + place(row, column) +
                    "; expected the mean of a square");
}

static Status checkMoment(const float *moment, int64_t size,
                          const std::string &what) {
  if (!moment)
    return {};
  QOPT_RETURN_IF_ERROR(checkFinite({moment, size, size}, what));
  for (int64_t i = 0; i < size; ++i) {
    QOPT_RETURN_IF_ERROR(checkPositive(moment[i * size + i], what, i, i));
    for (int64_t j = 0; j < i; ++j) {
      float below = moment[i * size + j], above = moment[j * size + i];
      float scale = std::sqrt(moment[i * size + i] * moment[j * size + j]);
      if (std::fabs(below - above) > 1e-3f * scale + 1e-30f)
        return Status(StatusCode::InvalidArgument,
                      what + "no symmetric matrix: " + std::to_string(below) +
                          place(i, j) + " and " + std::to_string(above) +
                          place(j, i));
    }
  }
  return {};
}

static Status checkDiagonal(const float *diagonal, int64_t size,
                            const std::string &what) {
  if (!diagonal)
    return {};
  QOPT_RETURN_IF_ERROR(checkFinite({diagonal, 1, size}, what));
  for (int64_t i = 0; i < size; ++i)
    QOPT_RETURN_IF_ERROR(checkPositive(diagonal[i], what, 0, i));
  return {};
}

Status checkMetric(const Metric &metric, const MatrixView &weights) {
  QOPT_RETURN_IF_ERROR(checkFinite(weights, ""));
  QOPT_RETURN_IF_ERROR(checkMoment(metric.inputMoment, weights.columns,
                                   "second moment of the inputs: "));
  QOPT_RETURN_IF_ERROR(checkMoment(metric.outputMoment, weights.rows,
                                   "second moment of the outputs: "));
  QOPT_RETURN_IF_ERROR(checkDiagonal(metric.inputDiagonal, weights.columns,
                                     "mean square of the inputs: "));
  return checkDiagonal(metric.outputDiagonal, weights.rows,
                       "mean square of the outputs: ");
}

/// Adds to the values of a diagonal, `stride` apart, a part of their mean.
static void damp(std::vector<float> &values, int64_t size, int64_t stride,
                 float damping) {
  if (values.empty())
    return;
  double sum = 0;
  for (int64_t i = 0; i < size; ++i)
    sum += values[size_t(i * stride)];
  for (int64_t i = 0; i < size; ++i)
    values[size_t(i * stride)] += float(damping * sum / double(size));
}

DampedMetric::DampedMetric(const Metric &metric, const MatrixView &weights,
                           const Damping &damping) {
  int64_t columns = weights.columns, rows = weights.rows;
  if (metric.inputMoment)
    inputMoment.assign(metric.inputMoment,
                       metric.inputMoment + columns * columns);
  if (metric.inputDiagonal)
    inputDiagonal.assign(metric.inputDiagonal, metric.inputDiagonal + columns);
  if (metric.outputMoment)
    outputMoment.assign(metric.outputMoment, metric.outputMoment + rows * rows);
  if (metric.outputDiagonal)
    outputDiagonal.assign(metric.outputDiagonal, metric.outputDiagonal + rows);
  damp(inputMoment, columns, columns + 1, damping.input);
  damp(inputDiagonal, columns, 1, damping.input);
  damp(outputMoment, rows, rows + 1, damping.output);
  damp(outputDiagonal, rows, 1, damping.output);
}

Metric DampedMetric::metric() const {
  auto of = [](const std::vector<float> &values) {
    return values.empty() ? nullptr : values.data();
  };
  return {of(inputMoment), of(inputDiagonal), of(outputMoment),
          of(outputDiagonal)};
}

std::vector<float> blendMoments(const float *weighted, const float *plain,
                                int64_t size, float share) {
  double weightedSquares = 0, plainSquares = 0;
  for (int64_t i = 0; i < size * size; ++i) {
    weightedSquares += double(weighted[i]) * weighted[i];
    plainSquares += double(plain[i]) * plain[i];
  }
  double scale =
      plainSquares > 0 ? std::sqrt(weightedSquares / plainSquares) : 0;
  std::vector<float> blend(static_cast<size_t>(size * size));
  for (int64_t i = 0; i < size * size; ++i)
    blend[size_t(i)] =
        float(share * weighted[i] + (1 - share) * scale * plain[i]);
  return blend;
}

/// Δ H_I as panels of Δ's rows.
static Panels timesInputMoment(Panels rows, const Metric &metric,
                               int64_t columns, unsigned threads) {
  if (metric.inputMoment)
    return multiply(rows, columnPanels({metric.inputMoment, columns, columns}),
                    threads);
  if (metric.inputDiagonal)
    for (int64_t panel = 0; panel < rows.count; ++panel)
      for (int64_t j = 0; j < columns; ++j)
        for (int64_t i = 0; i < tileSize; ++i)
          rows.strip(panel, j)[i] *= metric.inputDiagonal[j];
  return rows;
}

/// H_O X, the left side, in panels of X's rows.
static Panels timesOutputMoment(const MatrixView &x, const Metric &metric,
                                unsigned threads) {
  Panels left = rowPanels(x);
  if (metric.outputMoment) {
    // X's columns, transposed, are what its rows are summed over.
    Panels product =
        multiply(columnPanels({metric.outputMoment, x.rows, x.rows}),
                 columnPanels(x), threads);
    for (int64_t panel = 0; panel < left.count; ++panel)
      for (int64_t j = 0; j < x.columns; ++j)
        std::copy(product.strip(panel, j), product.strip(panel, j) + tileSize,
                  left.strip(panel, j));
  } else if (metric.outputDiagonal) {
    for (int64_t row = 0; row < x.rows; ++row)
      for (int64_t j = 0; j < x.columns; ++j)
        left.strip(row / tileSize, j)[row % tileSize] *=
            metric.outputDiagonal[row];
  }
  return left;
}

/// tr(H_O X H_I Xᵀ) of the panels of some rows: the sum over all elements of
/// (H_O X) · (X H_I), added to `sum` one by one.
static double addTrace(const Panels &left, const Panels &right, double sum) {
  for (int64_t panel = 0; panel < left.count; ++panel)
    for (int64_t j = 0; j < left.strips; ++j)
      for (int64_t i = 0; i < tileSize; ++i)
        sum += double(left.strip(panel, j)[i]) * right.strip(panel, j)[i];
  return sum;
}

/// Rows that are taken at once where they have nothing to do with each other:
/// copies of a vocabulary's would be the largest that a calibration has.
constexpr int64_t rowsTogether = 32 * tileSize;

/// tr(H_O X H_I Xᵀ), with `fill(first, last, x)` for the rows of X.
template <typename Fill>
static double traceOf(int64_t rows, int64_t columns, const Fill &fill,
                      const Metric &metric, unsigned threads) {
  int64_t some = metric.outputMoment ? rows : std::min(rows, rowsTogether);
  std::vector<float> values(size_t(some * columns));
  double sum = 0;
  for (int64_t first = 0; first < rows; first += some) {
    int64_t last = std::min(first + some, rows);
    fill(first, last, values.data());
    MatrixView x{values.data(), last - first, columns};
    Metric own = metric;
    if (own.outputDiagonal)
      own.outputDiagonal += first;
    sum = addTrace(timesOutputMoment(x, own, threads),
                   timesInputMoment(rowPanels(x), own, columns, threads), sum);
  }
  return sum;
}

double weightError(const MatrixView &weights, const float *values,
                   const Metric &metric, unsigned threads) {
  int64_t columns = weights.columns;
  return traceOf(
      weights.rows, columns,
      [&](int64_t first, int64_t last, float *difference) {
        for (int64_t i = first * columns; i < last * columns; ++i)
          difference[i - first * columns] = weights.values[i] - values[i];
      },
      metric, threads);
}

double relativeError(const MatrixView &weights, const float *values,
                     const Metric &metric, unsigned threads) {
  double error = weightError(weights, values, metric, threads);
  double magnitude = traceOf(
      weights.rows, weights.columns,
      [&](int64_t first, int64_t last, float *x) {
        std::copy(weights.row(first), weights.row(last), x);
      },
      metric, threads);
  if (magnitude > 0)
    return error / magnitude;
  return error > 0 ? std::numeric_limits<double>::infinity() : 0;
}

} // namespace qopt::quant
