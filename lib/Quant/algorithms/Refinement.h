// What rounding leaves, made smaller with all else fixed. A matrix Ŵ on its
// grid has the error tr(H_O Δ H_I Δᵀ) under a metric (Metric.h), Δ = Ŵ − W,
// which is a quadratic function of every scale, of every fractional zero point
// and of every single weight. Along a direction C (a matrix) it is
//
//   error(Ŵ + δ C) = error(Ŵ) + 2 δ ⟨C, P⟩ + δ² ⟨C, H_O C H_I⟩    P = H_O Δ H_I
//
// Scales: C of a group is number − zero in its row and columns, and the best δ
// is −⟨C, P⟩ / ⟨C, H_O C H_I⟩, which is least squares for one group with all
// others as they are. The scales of 64 rows and one group are a problem of 64
// unknowns that is solved by going round; then comes the next group. Zeros: C
// is −scale. Weights: C is one element, and the best number the one nearest to
// w + Δ − P / (H_O(i,i) H_I(j,j)).
//
// A step is taken with the values that will be stored, and only where the error
// falls by it: none of these functions can make a matrix worse.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
#ifndef QOPT_LIB_QUANT_ALGORITHMS_REFINEMENT_H
#define QOPT_LIB_QUANT_ALGORITHMS_REFINEMENT_H

#include "lib/Quant/algorithms/Metric.h"

namespace qopt::quant {

/// What one pass over the matrix improves.
enum class Refine {
  /// Scales, and zero points where they are fractions, for the numbers as they
  /// are. One scale for the whole matrix stays as it is.
  Scales,
  /// Every number once, for the grid as it is.
  Numbers,
};

/// Does passes over the matrix, one after the other. A pass takes the time of a
/// rounding with feedback.
void refine(QuantizedMatrix &matrix, const MatrixView &weights,
            const Metric &metric, const std::vector<Refine> &passes,
            unsigned threads);

} // namespace qopt::quant

#endif // QOPT_LIB_QUANT_ALGORITHMS_REFINEMENT_H
