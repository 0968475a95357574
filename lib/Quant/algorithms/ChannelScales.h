// AWQ's scales (arXiv 2306.00978): columns whose inputs are large are
// multiplied with s_j > 1 before they are quantized and their inputs with 1 /
// s_j, so that their rounding errors weigh less. What is sought is the exponent
// a in
//
//   s_j = (E|x_j|)^a, divided by √(max s · min s)       a = 0, 0.05, …, 0.95
//
// with the least error tr(Δ H_I Δᵀ), Δ = Q(W s) / s − W, Q round to nearest:
// exactly the squared error of the layer's output on the calibration text. All
// weights that read one input share s, so their errors are added. Whoever calls
// this folds s into the weights and 1 / s into what makes the input.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
#ifndef QOPT_LIB_QUANT_ALGORITHMS_CHANNELSCALES_H
#define QOPT_LIB_QUANT_ALGORITHMS_CHANNELSCALES_H

#include "lib/Quant/algorithms/Metric.h"

namespace qopt::quant {

/// What the search found.
struct ChannelScales {
  std::vector<float> scales; ///< one for each column; all ones with exponent 0
  float exponent = 0;
  double error = 0;        ///< of all weights with these scales
  double errorWithout = 0; ///< of all weights rounded to nearest as they are
};

/// The scales for weights [rows, columns] of any rows that read one input.
/// `magnitudes` [columns] is E|x_j|. Fails with InvalidArgument on magnitudes
/// that are not finite or negative, and as `coveringGrid` and `checkMetric` do.
StatusOr<ChannelScales> searchChannelScales(
    const Format &format, const std::vector<MatrixView> &weights,
    const float *magnitudes, const Metric &metric, unsigned threads);

/// What a bias must gain so that the output's mean stays: Σ_j (W − Ŵ)_ij E[x_j]
/// for every row i, summed in f64.
std::vector<float> biasCorrection(const MatrixView &weights,
                                  const float *values, const float *inputMean);

} // namespace qopt::quant

#endif // QOPT_LIB_QUANT_ALGORITHMS_CHANNELSCALES_H
