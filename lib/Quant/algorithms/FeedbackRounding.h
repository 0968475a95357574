// Rounding with feedback: each weight is rounded not at its own value but where
// it makes up best for the errors of those that are rounded already, under a
// metric (Metric.h). The grid stays as it is.
//
// With H_I = L_I D_I L_Iᵀ and H_O = L_O D_O L_Oᵀ (Factor.h) the error of a
// matrix Δ is
//
//   tr(H_O Δ H_I Δᵀ) = Σ_ij D_O(i) D_I(j) · ((L_Oᵀ Δ L_I)_ij)²
//
// (L_Oᵀ Δ L_I)_ij is Δ_ij and what the entries below, to the right, and below
// to the right of it add. From the last row and column to the first, then,
//
//   A_ij = Σ_{l>j} Δ_il L_I(l,j)        U = Δ + A        (U = Δ L_I)
//   F_ij = Σ_{k>i} L_O(k,i) U_kj
//   ŵ_ij = nearest(w_ij − A_ij − F_ij)                   Δ_ij = ŵ_ij − w_ij
//
// leaves in every term one rounding error alone. Without H_O (F = 0) this is
// GPTQ with its order by activations and static groups; with it, the rounding
// of arXiv 2505.22988. It is exact as a greedy method: the last decision sees
// all others, the first none.
//
// Rows and columns are ordered so that those of large moments come first.
// Scales belong to the groups that they had before, so nothing of the order is
// left in storage.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
#ifndef QOPT_LIB_QUANT_ALGORITHMS_FEEDBACKROUNDING_H
#define QOPT_LIB_QUANT_ALGORITHMS_FEEDBACKROUNDING_H

#include "lib/Quant/algorithms/Factor.h"
#include "lib/Quant/algorithms/Metric.h"

namespace qopt::quant {

/// The factors of a metric.
struct MetricFactors {
  Factor input, output;
  bool hasOutput = false; ///< else H_O is the identity
};

/// The damping that GPTQ uses, in parts of the mean of the diagonal.
inline constexpr float usualDamping = 0.01f;

/// Factors both moments of a metric that was checked for `weights`.
StatusOr<MetricFactors> factorMetric(const Metric &metric,
                                     const MatrixView &weights, float damping,
                                     unsigned threads);

/// D_I(j) of every column: what a rounding error there costs when those of the
/// other columns make up for it. The weights to choose grids by.
std::vector<float> columnCosts(const MetricFactors &factors);

/// Rounds finite weights on a grid. Time grows as rows · columns · (rows +
/// columns), memory is three times that of the weights.
QuantizedMatrix roundWithFeedback(Grid grid, const MatrixView &weights,
                                  const MetricFactors &factors,
                                  unsigned threads);

} // namespace qopt::quant

#endif // QOPT_LIB_QUANT_ALGORITHMS_FEEDBACKROUNDING_H
