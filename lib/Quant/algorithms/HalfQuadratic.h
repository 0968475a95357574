// HQQ, half-quadratic quantization (Badri and Shaji, 2023): zero points by the
// weights alone, no data. What is made small is a norm of the errors that
// forgives outliers, Σ |w − ŵ|^p with p = 0.7, by splitting each error into a
// part e that is allowed to be large and a part that is not. With x = w /
// scale:
//
//   q = nearest(x + zero)                                 r = scale · (q −
//   zero) e = sign(w − r) · max(0, |w − r| − |w − r|^(p−1) / β) zero = mean(q −
//   (w − e) / scale)                      β = 1.01 β, from 10
//
// twenty times, in f32. Scales stay those of the covering grid, and of all
// zeros on the way the one is kept whose mean |w − ŵ|, with the zero as it will
// be stored, is the least; the first is the covering grid's own. Only fractions
// can move like that: formats without them are refused.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
#ifndef QOPT_LIB_QUANT_ALGORITHMS_HALFQUADRATIC_H
#define QOPT_LIB_QUANT_ALGORITHMS_HALFQUADRATIC_H

#include "lib/Quant/Grid.h"

namespace qopt::quant {

/// The grid with HQQ's zero points. Fails with InvalidArgument on formats
/// without fractional zero points, and as `coveringGrid` does.
StatusOr<Grid> halfQuadraticGrid(const GridShape &shape,
                                 const MatrixView &weights, unsigned threads);

} // namespace qopt::quant

#endif // QOPT_LIB_QUANT_ALGORITHMS_HALFQUADRATIC_H
