// The algorithms that turn a matrix of f32 values into codes, scales and zero
// points, and what they have in common: they see a block of whole rows at a
// time, so that a large matrix is never in memory as f32, and the result does
// not depend on how the rows were cut into blocks. A new algorithm is a file
// under algorithms/ and a row in Algorithm.cpp.
//
// Round to nearest ("rtn"). For a group of values w (a row, or the matrix,
// where the format says so), with all arithmetic in f32, rint = to the nearest
// integer, ties to even, and store() = rounded to the scale's storage type:
//
//   symmetric, full range (int4: −8…7)       m = the w of the largest
//   magnitude, the first such
//                                            scale = store(m / −8),    q =
//                                            clamp(rint(w / scale), −8, 7)
//   symmetric, equal range (int8: −127…127)  scale = store(max |w| / 127),  q =
//   clamp(rint(w / scale), −127, 127) asymmetric (int4: 0…15, int8: 0…255) lo =
//   min(w, 0), hi = max(w, 0), scale = store((hi − lo) / 15),
//                                            zero = clamp(rint(−lo / scale), 0,
//                                            15), q = clamp(rint(w / scale) +
//                                            zero, 0, 15)
//   asymmetric, fractional zero              zero = store(−lo / scale), q =
//   clamp(rint(w / scale + zero), 0, 15)
//   fp8 e4m3 (±448)                          scale = store(max |w| / 448),
//                                            q = e4m3(w / scale), saturated
//
// Codes are computed with the stored scale, so rounding the scale costs nothing
// twice. In the full range the scale has the sign opposite to m's, so that the
// largest magnitude itself is exact. A group that is all zero, or so small that
// its scale is stored as zero, has scale 0 and codes q = zero = 0. A scale
// beyond the largest f16 is an error.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
#ifndef QOPT_LIB_QUANT_ALGORITHM_H
#define QOPT_LIB_QUANT_ALGORITHM_H

#include "lib/Quant/Format.h"
#include <cstdint>
#include <string_view>

namespace qopt::quant {

/// Consecutive rows of a matrix, f32, row after row. `firstRow` only names rows
/// in messages.
struct RowBlock {
  const float *values;
  int64_t firstRow, rows, columns;
};

/// Where the canonical storage (Storage.h) of the same rows goes. `zeros` may
/// be null for symmetric formats. With Granularity::Tensor `scales` and `zeros`
/// are the matrix's only ones; every block writes the same values there.
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

/// Widens `range` by the rows. Fails as `quantizeRows` does on values that are
/// not finite.
Status observeRange(const RowBlock &block, ValueRange &range);

/// One algorithm.
struct Algorithm {
  std::string_view name; ///< as on the command line and in the IR
  /// Quantizes the rows of `block`; `range` is read with Granularity::Tensor
  /// only. Fails with InvalidArgument on NaN and infinity, naming row and
  /// column, and on scales that their type cannot hold.
  Status (*quantizeRows)(const Format &format, const RowBlock &block,
                         const ValueRange &range, const QuantizedRows &result);
};

extern const Algorithm roundToNearest; // algorithms/RoundToNearest.cpp

/// The algorithm with this name, or null.
const Algorithm *findAlgorithm(std::string_view name);

} // namespace qopt::quant

#endif // QOPT_LIB_QUANT_ALGORITHM_H
