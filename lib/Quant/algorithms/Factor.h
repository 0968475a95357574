// A moment as a product of triangular matrices: H + damping = L D Lᵀ with unit
// lower L. Errors are then sums of squares, one for each row of Lᵀ:
//
//   e H eᵀ = Σ_j D_j (e L)_j²        (e L)_j = e_j + Σ_{l>j} e_l L(l,j)
//
// so that column j, when those behind it are decided, is best rounded at
// w_j − Σ_{l>j} e_l L(l,j); what remains is D_j times the square of its own
// rounding error. That is GPTQ: its rows of the Cholesky factor of H⁻¹, scaled,
// are the same feedback (QuIP, arXiv 2307.13304, theorem 6).
//
// The order of the columns is free, and who comes first (the last index) finds
// nothing decided: columns are sorted by H(j,j), ascending.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
#ifndef QOPT_LIB_QUANT_ALGORITHMS_FACTOR_H
#define QOPT_LIB_QUANT_ALGORITHMS_FACTOR_H

#include "lib/Quant/algorithms/Tiles.h"
#include "qopt/Status.h"
#include <vector>

namespace qopt::quant {

/// L and D of a moment [size, size] whose rows and columns are in `order`.
struct Factor {
  std::vector<int64_t> order; ///< order[position] is an index of the moment
  std::vector<float> pivots;  ///< D, by position
  float damping = 0;          ///< what was added, by the mean of the diagonal

  /// L below its diagonal, zeros elsewhere. Strip l of panel J has L(l, j) of
  /// the columns j of tile J; strips above the tile's own are never read.
  Panels lower{0, 0};
};

/// Factors a moment. Fails with InvalidArgument where a hundred times the
/// diagonal's mean does not make it positive definite.
StatusOr<Factor> factorMoment(const float *moment, int64_t size, float damping,
                              unsigned threads);

/// The factor of a diagonal moment: order and pivots alone; all ones where
/// `diagonal` is null.
Factor diagonalFactor(const float *diagonal, int64_t size);

} // namespace qopt::quant

#endif // QOPT_LIB_QUANT_ALGORITHMS_FACTOR_H
