// AWQ's search and the correction of biases.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
#include "lib/Quant/algorithms/ChannelScales.h"
#include <cmath>
#include <string>

namespace qopt::quant {

static constexpr int exponents = 20;

static Status checkMagnitudes(const float *magnitudes, int64_t columns) {
  for (int64_t j = 0; j < columns; ++j)
    if (!std::isfinite(magnitudes[j]) || magnitudes[j] < 0)
      return Status(StatusCode::InvalidArgument,
                    "mean magnitude " + std::to_string(magnitudes[j]) +
                        " of input column " + std::to_string(j) +
                        "; expected a finite number that is not negative");
  return {};
}

static std::vector<float> scalesOf(const float *magnitudes, int64_t columns,
                                   float exponent) {
  // An input that never fires must not make a scale of nothing.
  constexpr float smallest = 1e-4f;
  std::vector<float> scales;
  float low = HUGE_VALF, high = 0;
  for (int64_t j = 0; j < columns; ++j) {
    scales.push_back(std::pow(std::max(magnitudes[j], smallest), exponent));
    low = std::min(low, scales.back());
    high = std::max(high, scales.back());
  }
  float middle = std::sqrt(low * high);
  for (float &scale : scales)
    scale /= middle;
  return scales;
}

/// tr(Δ H_I Δᵀ) of one matrix with scales.
static StatusOr<double> errorWith(const Format &format,
                                  const MatrixView &weights,
                                  const std::vector<float> &scales,
                                  const Metric &metric, unsigned threads) {
  std::vector<float> scaled(size_t(weights.rows * weights.columns));
  for (size_t i = 0; i < scaled.size(); ++i)
    scaled[i] = weights.values[i] * scales[i % size_t(weights.columns)];
  MatrixView view{scaled.data(), weights.rows, weights.columns};
  StatusOr<Grid> grid =
      coveringGrid(gridShape(format, weights.rows, weights.columns), view);
  QOPT_RETURN_IF_ERROR(grid.status());
  dequantize(roundToGrid(std::move(*grid), view), scaled.data());
  for (size_t i = 0; i < scaled.size(); ++i)
    scaled[i] /= scales[i % size_t(weights.columns)];
  return weightError(weights, scaled.data(), metric, threads);
}

StatusOr<ChannelScales> searchChannelScales(
    const Format &format, const std::vector<MatrixView> &weights,
    const float *magnitudes, const Metric &metric, unsigned threads) {
  int64_t columns = weights.front().columns;
  QOPT_RETURN_IF_ERROR(checkMagnitudes(magnitudes, columns));
  // One H_O cannot be that of several weights.
  Metric inputs{metric.inputMoment, metric.inputDiagonal, nullptr};
  for (const MatrixView &view : weights)
    QOPT_RETURN_IF_ERROR(checkMetric(inputs, view));
  ChannelScales best;
  for (int step = 0; step < exponents; ++step) {
    float exponent = float(step) / exponents;
    std::vector<float> scales = scalesOf(magnitudes, columns, exponent);
    double error = 0;
    for (const MatrixView &view : weights) {
      auto one = errorWith(format, view, scales, inputs, threads);
      QOPT_RETURN_IF_ERROR(one.status());
      error += *one;
    }
    if (step == 0)
      best.errorWithout = error;
    if (step == 0 || error < best.error) {
      best.scales = std::move(scales);
      best.exponent = exponent;
      best.error = error;
    }
  }
  return best;
}

std::vector<float> biasCorrection(const MatrixView &weights,
                                  const float *values, const float *inputMean) {
  std::vector<float> correction;
  for (int64_t i = 0; i < weights.rows; ++i) {
    double sum = 0;
    for (int64_t j = 0; j < weights.columns; ++j)
      sum += (double(weights.row(i)[j]) - values[i * weights.columns + j]) *
             inputMean[j];
    correction.push_back(float(sum));
  }
  return correction;
}

} // namespace qopt::quant
