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

/// Improves the scales, and the zero points where they are fractions, for the
/// numbers as they are. Formats with one scale for the whole matrix stay as
/// they are.
void refineScales(QuantizedMatrix &matrix, const MatrixView &weights,
                  const Metric &metric, unsigned threads);

/// Improves the numbers for the grid as it is, each once, in the order of rows
/// and columns.
void refineNumbers(QuantizedMatrix &matrix, const MatrixView &weights,
                   const Metric &metric, unsigned threads);

} // namespace qopt::quant

#endif // QOPT_LIB_QUANT_ALGORITHMS_REFINEMENT_H
