// Scales of the channels of activations: columns whose inputs are large are
// multiplied with s_j > 1 before they are quantized and their inputs with 1 /
// s_j, so that the input's codes are finer and the weight's rounding errors
// weigh less. All weights that read one input share s. Whoever calls this folds
// s into the weights and 1 / s into what makes the input, and searches the
// exponents by what the layer then makes of a text.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
#ifndef QOPT_LIB_QUANT_ALGORITHMS_CHANNELSCALES_H
#define QOPT_LIB_QUANT_ALGORITHMS_CHANNELSCALES_H

#include "lib/Quant/algorithms/Metric.h"

namespace qopt::quant {

/// s_j = x_j^a / w_j^b, divided by √(max s · min s): with the magnitudes of
/// activations alone (b = 0) AWQ's scales (arXiv 2306.00978), with those of the
/// weights' columns and b = 1 − a SmoothQuant's (arXiv 2211.10438). Both [K],
/// finite and not negative. Magnitudes below 10⁻⁴ of the largest count as that:
/// a channel that never fires must not make a scale of nothing.
std::vector<float> channelScales(const std::vector<float> &activations,
                                 const std::vector<float> &weights, double a,
                                 double b);

/// What a bias must gain so that the output's mean stays: Σ_j (W − Ŵ)_ij E[x_j]
/// for every row i, summed in f64.
std::vector<float> biasCorrection(const MatrixView &weights,
                                  const float *values, const float *inputMean);

/// What a correction c adds to the error tr(H_O Δ H_I Δᵀ) of the values: the
/// output is then wrong by Δ x + c, which costs 2 cᵀ H_O Δ E[x] + cᵀ H_O c
/// more. Negative where it helps; of the metric only H_O is read.
double correctionCost(const MatrixView &weights, const float *values,
                      const float *inputMean,
                      const std::vector<float> &correction,
                      const Metric &metric);

} // namespace qopt::quant

#endif // QOPT_LIB_QUANT_ALGORITHMS_CHANNELSCALES_H
