// Scales of channels and the correction of biases.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
#include "lib/Quant/algorithms/ChannelScales.h"
#include <algorithm>
#include <cmath>

namespace qopt::quant {

std::vector<float> channelScales(const std::vector<float> &activations,
                                 const std::vector<float> &weights, double a,
                                 double b) {
  auto least = [](const std::vector<float> &magnitudes) {
    float most = *std::max_element(magnitudes.begin(), magnitudes.end());
    return most > 0 ? most * 1e-4f : 1.0f;
  };
  const float leastActivation = least(activations),
              leastWeight = least(weights);
  std::vector<float> scales;
  float low = HUGE_VALF, high = 0;
  for (size_t j = 0; j < activations.size(); ++j) {
    double x = std::max(activations[j], leastActivation);
    double w = std::max(weights[j], leastWeight);
    scales.push_back(float(std::pow(x, a) / std::pow(w, b)));
    low = std::min(low, scales.back());
    high = std::max(high, scales.back());
  }
  for (float &scale : scales)
    scale /= std::sqrt(low * high);
  return scales;
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

double correctionCost(const MatrixView &weights, const float *values,
                      const float *inputMean,
                      const std::vector<float> &correction,
                      const Metric &metric) {
  // −Δ E[x], which is what would be corrected with this mean.
  const std::vector<float> lost = biasCorrection(weights, values, inputMean);
  double cost = 0;
  for (int64_t i = 0; i < weights.rows; ++i) {
    double weighted = 0; // (H_O c)_i
    if (metric.outputMoment)
      for (int64_t k = 0; k < weights.rows; ++k)
        weighted += double(metric.outputMoment[i * weights.rows + k]) *
                    correction[size_t(k)];
    else
      weighted =
          double(metric.outputDiagonal ? metric.outputDiagonal[i] : 1.0f) *
          correction[size_t(i)];
    cost += weighted * (correction[size_t(i)] - 2.0 * lost[size_t(i)]);
  }
  return cost;
}

} // namespace qopt::quant
