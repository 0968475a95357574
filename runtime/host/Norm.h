// Normalisation over the last axis.
//
//   x = input (+ residual)
//   rms_norm     y = x / sqrt(mean(x²) + ε) · scale
//   layer_norm   y = (x − μ) / sqrt(mean((x − μ)²) + ε) · scale (+ bias)
//                μ = mean(x)
//
// The mean is taken first, the variance from the differences: two passes over a
// row that is in the cache. The result is f32, or records
// (QuantizedActivations.h) for the linear layers that follow, or both.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
#ifndef QOPT_RUNTIME_HOST_NORM_H
#define QOPT_RUNTIME_HOST_NORM_H

#include "runtime/host/QuantizedActivations.h"
#include "runtime/host/SumOrder.h"

namespace qopt::host {

/// Operands of a norm; every [rows, columns] array is contiguous.
struct NormArguments {
  int64_t rows = 0;
  int64_t columns = 0;
  float epsilon = 0;
  const float *input = nullptr;    ///< [rows, columns]
  const float *residual = nullptr; ///< [rows, columns] added first, or null
  float *sum = nullptr; ///< where input + residual is written (needed with it);
                        ///< may be `input` or `residual`
  int64_t heads = 1;    ///< with scales of their own: row r is of r mod heads
  const float *scale = nullptr; ///< [heads, columns], or null for ones
  const float *bias = nullptr;  ///< likewise, or null; layer_norm only
  float *output = nullptr;      ///< [rows, columns], or null
  void *quantized = nullptr;    ///< `rows` records, or null
  ActivationFormat format;      ///< of the records
  /// Of the sums; null for the fastest.
  const NormSumOrder *order = nullptr;
};

void rmsNorm(const NormArguments &arguments, ThreadPool &pool);
void layerNorm(const NormArguments &arguments, ThreadPool &pool);

/// Why no row can be summed so; ok if it can.
Status isValid(const NormSumOrder &order);

/// Either in the order of `arguments.order`, rounded as the kernels of GPUs do:
/// layer_norm where `centered`.
void orderedNorm(const NormArguments &arguments, bool centered,
                 ThreadPool &pool);

} // namespace qopt::host

#endif // QOPT_RUNTIME_HOST_NORM_H
