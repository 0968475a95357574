// Activations in int8: the storage of `!qopt.quantized<…xK, int8_g32>` on the
// host and the kernel that writes it.
//
// Every row of K values is one record; records follow each other without gaps.
// With blocks = ceil(K / 32) a record is
//
//   | codes: blocks × 32 int8 | scales: blocks × f32 | sums: blocks × i32 |
//   | padding to 64 bytes |
//
// For each block of 32 values x: scale = max|x| / 127 in f32; code = x · (1 /
// scale) rounded to the nearest, ties to even (0 when max|x| is 0); sum = the
// sum of the block's codes, which turns Σ (w − zero)·x into Σ w·x − zero·sum.
// The short last block is filled with zero codes. x ≈ scale · code to within
// scale / 2. A block with a NaN or an infinity, which no code can hold, has the
// scale NaN and zero codes: whatever is computed from it is NaN, too.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
#ifndef QOPT_RUNTIME_HOST_QUANTIZEDACTIVATIONS_H
#define QOPT_RUNTIME_HOST_QUANTIZEDACTIVATIONS_H

#include "runtime/host/LinearLayout.h"
#include "runtime/host/ThreadPool.h"

namespace qopt::host {

/// Offsets in bytes within the record of a row of `columns` values.
struct QuantizedLayout {
  int64_t columns = 0;
  int64_t blocks() const { return (columns + blockColumns - 1) / blockColumns; }
  int64_t scaleOffset() const { return blocks() * blockColumns; }
  int64_t sumOffset() const { return scaleOffset() + blocks() * 4; }
  int64_t rowBytes() const {
    return (sumOffset() + blocks() * 4 + 63) / 64 * 64;
  }
};

/// input [rows, columns] f32, `stride` elements from row to row, into `rows`
/// records at `output`.
void quantizeActivations(const float *input, int64_t stride, int64_t rows,
                         int64_t columns, void *output, ThreadPool &pool);

/// The inverse: scale · code into output [rows, columns], contiguous.
void dequantizeActivations(const void *input, int64_t rows, int64_t columns,
                           float *output, ThreadPool &pool);

} // namespace qopt::host

#endif // QOPT_RUNTIME_HOST_QUANTIZEDACTIVATIONS_H
