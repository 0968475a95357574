// Fitting a code book to a matrix. With the scales s of the groups as they are,
// the numbers n that have the least
//
//   Σ_ij cost_j · (s · n(w_ij / s) − w_ij)²           n(x): the number nearest
//                                                     to x
//
// are a k-means of w / s in one dimension, with weights cost · s²: its optimum
// by dynamic programming on coarse bins, and from there Lloyd's iteration, each
// number to the mean of what is nearest to it. With the numbers
// as they are, scales are found by the search of GridSearch.h, under the same
// costs. Both in turn, three times, on as many rows as are enough to count:
// numbers are few, and of rows that are alike. The best book on the way is
// taken; the first is the usual one.
//
// Numbers are rounded to integers of 8 bits at the end of each turn, the lowest
// to −127; that moves none by more than a 250th of their range.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
#ifndef QOPT_LIB_QUANT_ALGORITHMS_CODEBOOK_H
#define QOPT_LIB_QUANT_ALGORITHMS_CODEBOOK_H

#include "lib/Quant/Grid.h"

namespace qopt::quant {

/// The shape with the code book that suits the weights under `costs`, one for
/// each column; other formats as they are. Fails as `searchGrid` does.
StatusOr<GridShape> fitCodeBook(const GridShape &shape,
                                const MatrixView &weights,
                                const std::vector<float> &costs,
                                unsigned threads);

} // namespace qopt::quant

#endif // QOPT_LIB_QUANT_ALGORITHMS_CODEBOOK_H
