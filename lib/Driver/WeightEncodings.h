// How ONNX files store quantized weights, brought to canonical storage bit for
// bit: the codes, scales and zero points stay the file's own.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
#ifndef QOPT_LIB_DRIVER_WEIGHTENCODINGS_H
#define QOPT_LIB_DRIVER_WEIGHTENCODINGS_H

#include "lib/Driver/WeightEvaluator.h"

namespace qopt::driver {

struct EncodedWeight {
  const uint8_t *codes, *scales, *zeros;
  bool transposed; ///< the file stores [columns, rows]
  /// Codes and zero points have a sign, which canonical storage has not where
  /// there are zero points: both are then stored half their range higher.
  bool isSigned = false;
};

/// com.microsoft::MatMulNBits. Codes [N, blocks, block·bits/8], unsigned, first
/// in the low bits, rows padded to whole blocks; scales [N, blocks]; zero
/// points packed like codes, each row from a byte on. A symmetric code is
/// relative to half the range. Format, rows and columns of `weight` are set.
void decodeMatMulNBits(const EncodedWeight &source, CanonicalWeight &weight);

/// ONNX DequantizeLinear. Codes [N, K] or, transposed, [K, N], 4-bit ones
/// packed over the whole array; scales and zero points [N, groups] or [groups,
/// N].
void decodeDequantizeLinear(const EncodedWeight &source,
                            CanonicalWeight &weight);

} // namespace qopt::driver

#endif // QOPT_LIB_DRIVER_WEIGHTENCODINGS_H
