// What turns a matrix of f32 values into codes, scales and zero points where
// nobody asks for more: it sees a block of whole rows at a time, so that a
// large matrix is never in memory as f32, and the result does not depend on how
// the rows were cut into blocks. Algorithms on whole matrices are in
// algorithms/MatrixAlgorithm.h.
//
// Round to nearest ("rtn"). For a group of values w (a row, or the matrix,
// where the format says so), with all arithmetic in f32, rint = to the nearest
// integer, ties to even, and store() = rounded to the scale's storage type:
//
//   symmetric, full range (int4: −8…7), m = the w of the largest magnitude,
//   the first such:
//     scale = store(m / −8)
//     q = clamp(rint(w / scale), −8, 7)
//
//   symmetric, equal range (int8: −127…127):
//     scale = store(max |w| / 127)
//     q = clamp(rint(w / scale), −127, 127)
//
//   asymmetric (int4: 0…15, int8: 0…255), lo = min(w, 0), hi = max(w, 0):
//     scale = store((hi − lo) / 15)
//     zero = clamp(rint(−lo / scale), 0, 15)
//     q = clamp(rint(w / scale) + zero, 0, 15)
//
//   asymmetric, fractional zero:
//     zero = store(−lo / scale)
//     q = clamp(rint(w / scale + zero), 0, 15)
//
//   floating point, m the largest number (e4m3 448, e5m2 57344, e2m1 6, nf4 1):
//     scale = store(max |w| / m)
//     q = the nearest number to w / scale, saturated
//
//   e8m0 scales are rounded up, so that nothing is cut off ("rceil": Mishra et
//   al., Recipes for Pre-training LLMs with MXFP8, 2025); blocks of rows and
//   columns have the max |w| of all of them.
//
//   code book:
//     as symmetric, full range, with the lowest number of the element's usual
//     book in the place of −8, and the nearest number, of two the lower
//
//   two levels of scales, s the scale of each group as above before it is
//   stored, S the s of the largest magnitude of the groups that share a unit,
//   the first such; b the bits of a scale's code
//     signed scales:    unit = f16(S / −2^(b−1))     (symmetric, full range)
//     unsigned scales:  unit = f16(S / (2^b − 1))
//     scale = unit · clamp(rint(s / unit), codes of b bits); a code of 0 that
//     s is not is ±1, of s's sign
//     e4m3:             unit = S / 448
//     scale = unit · e4m3(s / unit), 2^−9 at least where s is not 0
//
// Codes are computed with the stored scale, so rounding the scale costs nothing
// twice. In the full range the scale has the sign opposite to m's, so that the
// largest magnitude itself is exact. A group that is all zero, or so small that
// its scale is stored as zero, has scale 0 and codes q = zero = 0; what that
// loses `largestLost` tells. A value or a scale beyond the largest of its type
// is an error.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
#ifndef QOPT_LIB_QUANT_ALGORITHM_H
#define QOPT_LIB_QUANT_ALGORITHM_H

#include "lib/Quant/Format.h"
#include <cstdint>

namespace qopt::quant {

/// Consecutive rows of a matrix, f32, row after row. `firstRow` only names rows
/// in messages.
struct RowBlock {
  const float *values;
  int64_t firstRow, rows, columns;
};

/// Where the canonical storage (Storage.h) of the same rows goes. `zeros` may
/// be null for symmetric formats. With Granularity::Tensor `scales` and `zeros`
/// are the matrix's only ones; every block writes the same values there. The
/// block of the first row writes a code book.
struct QuantizedRows {
  uint8_t *codes;
  uint8_t *scales;
  uint8_t *zeros;
};

/// What Granularity::Tensor must know of the whole matrix before the first
/// block is quantized.
struct ValueRange {
  float low = 0, high = 0;    ///< smallest and largest value, zero included
  float largestMagnitude = 0; ///< signed; the first of the largest magnitude
};

/// Widens `range` by the rows. Fails as `roundToNearest` does on values that
/// are not finite.
Status observeRange(const RowBlock &block, ValueRange &range);

/// Quantizes the rows of `block`; `range` is read with Granularity::Tensor
/// only. With Granularity::Block they begin with a block of rows. Fails with
/// InvalidArgument on NaN and infinity, naming row and column, and with
/// Infeasible on values and scales beyond their type.
/// algorithms/RoundToNearest.cpp
Status roundToNearest(const Format &format, const RowBlock &block,
                      const ValueRange &range, const QuantizedRows &result);

/// The error of values that a format's type, or its scales' type, is too small
/// for. They begin at `row` and `column`; `value` is the largest.
Status beyondType(const Format &format, float value, int64_t row,
                  int64_t column);

/// A value that is stored as zero and is none: it, or the scale of its group,
/// is too small for its type. 0 where there is no such value.
struct LostValue {
  float value = 0;
  int64_t row = 0, column = 0;
};

/// The lost value of the largest magnitude among rows that were quantized.
LostValue largestLost(const Format &format, const RowBlock &block,
                      const QuantizedRows &result);

/// Fails with Infeasible where a lost value is more than 1/1024 of the matrix's
/// largest magnitude. Smaller ones are noise beside what is kept, such as the
/// rows of tokens that were never trained.
Status checkLost(const Format &format, const LostValue &lost,
                 const ValueRange &matrix);

} // namespace qopt::quant

#endif // QOPT_LIB_QUANT_ALGORITHM_H
