// Quantized activations: the storage of `!qopt.quantized<…xK, …>` on the host
// and the kernel that writes it.
//
// Every row of K values is one record; records follow each other without gaps:
//
//   | codes: K rounded up to 32, a byte each | scales: f32 | sums: i32 |
//   | zero points: i32, of Int8Centred alone | padding to 64 bytes |
//
// with one scale and sum a block of 32 columns, or a row:
//
//   codes        scales   format                      a code stands for
//   Int8Blocks   blocks   int8_g32_sf32               scale · code
//   Int8Rows     1        int8, int8_tensor           scale · code
//   Fp8Rows      1        fp8_e4m3, fp8_e4m3_tensor   scale · e4m3(code)
//   Int8Centred  1        int8_asym                   scale · (code − zero)
//
// Codes of the last are the model's own, in bytes with or without a sign
// (ONNX's QuantizeLinear): those without are stored less 128, as their zero
// point is. The others are made of values.
//
// With L = 127 or 448, the largest code: scale = max|x| / L in f32 over the
// values that share it, or the given one of a tensor; code = x · (1 / scale),
// rounded to the nearest, ties to even, at most L in magnitude (0 where the
// scale is 0). A sum is that of the block's or row's int8 codes, which turns
// Σ (w − zero)·x into Σ w·x − zero·sum. The short last block is filled with
// zero codes. A block or row with a NaN or an infinity, which no code can hold,
// has the scale NaN and zero codes: whatever is computed from it is NaN, too.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
#ifndef QOPT_RUNTIME_HOST_QUANTIZEDACTIVATIONS_H
#define QOPT_RUNTIME_HOST_QUANTIZEDACTIVATIONS_H

#include "runtime/host/LinearLayout.h"
#include "runtime/host/ThreadPool.h"
#include <optional>

namespace qopt::host {

enum class ActivationCodes : uint8_t {
  Int8Blocks,
  Int8Rows,
  Fp8Rows,
  Int8Centred
};

/// How a row of values becomes codes.
struct ActivationFormat {
  ActivationCodes codes = ActivationCodes::Int8Blocks;
  /// Of every row, positive; 0: each has one of its own values.
  float scale = 0;

  bool isRowWise() const { return codes != ActivationCodes::Int8Blocks; }
};

/// The codes that the host has of a format of activations; nothing for others.
std::optional<ActivationCodes> activationCodes(const quant::Format &format);

/// Whether a linear of this weight reads such codes: blocks any numbers that
/// are integers, in groups of whole blocks; rows of int8 symmetric int8, of fp8
/// fp8, and both with one scale a row or matrix; centred ones int8 with one
/// scale and perhaps a zero point a row or matrix.
bool readsCodes(const quant::Format &weight, ActivationCodes codes);

/// Offsets in bytes within the record of a row of `columns` values.
struct QuantizedLayout {
  int64_t columns = 0;
  ActivationCodes codes = ActivationCodes::Int8Blocks;

  int64_t blocks() const { return (columns + blockColumns - 1) / blockColumns; }
  /// Scales, and sums, of a row.
  int64_t scales() const {
    return codes == ActivationCodes::Int8Blocks ? blocks() : 1;
  }
  int64_t scaleOffset() const { return blocks() * blockColumns; }
  int64_t sumOffset() const { return scaleOffset() + scales() * 4; }
  int64_t zeroOffset() const { return sumOffset() + scales() * 4; }
  int64_t rowBytes() const {
    int64_t zeros = codes == ActivationCodes::Int8Centred ? 4 : 0;
    return (zeroOffset() + zeros + 63) / 64 * 64;
  }
};

/// input [rows, columns] f32, `stride` elements from row to row, into `rows`
/// records at `output`.
void quantizeActivations(const float *input, int64_t stride, int64_t rows,
                         int64_t columns, const ActivationFormat &format,
                         void *output, ThreadPool &pool);

/// Codes that a model has computed, with the scale and the zero point of all.
struct ModelCodes {
  const void *codes = nullptr; ///< [rows, columns], contiguous
  bool areUnsigned = true;     ///< bytes without a sign, the zero point, too
  const float *scale = nullptr;
  const void *zero = nullptr; ///< one byte
};

/// `rows` records of Int8Centred at `output`.
void centredActivations(const ModelCodes &input, int64_t rows, int64_t columns,
                        void *output, ThreadPool &pool);

/// What the codes stand for, into output [rows, columns], contiguous.
void dequantizeActivations(const void *input, int64_t rows, int64_t columns,
                           ActivationCodes codes, float *output,
                           ThreadPool &pool);

} // namespace qopt::host

#endif // QOPT_RUNTIME_HOST_QUANTIZEDACTIVATIONS_H
