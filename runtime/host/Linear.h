// The linear kernel of the host: y = x · Wᵀ (+ bias) (+ residual) for a packed
// weight W [N, K] (LinearLayout.h) and activations x [M, K] in f32 or codes
// (QuantizedActivations.h), with c the codes of W and cx those of x:
//
//   f32 x         y[m,n] = Σk x[m,k] · W[n,k]                         in f32,
//                 with W = s[n,g] · (c[n,k] − z[n,g]) for integer weights
//   int8 blocks   y[m,n] = Σb (sx[m,b] · s[n,g]) · Σk cx[m,k] · (c[n,k] −
//   z[n,g]) int8 rows     y[m,n] = (Σk cx[m,k] · c[n,k]) · sx[m] · s[n] fp8
//   rows      y[m,n] = (Σp Σk cx[m,k] · c[n,k]) · sx[m] · s[n]
//   centred       y[m,n] = (Σk (cx[m,k] − zx[m]) · (c[n,k] − z[n]))
//                          · (sx[m] · s[n])   with row sums in the layout
//
// Of blocks, k runs over the 32 columns of b; that sum is exact in int32, the
// one over blocks f32 in the order of k. The sum of rows is exact in int32, as
// on GPUs: up to quant::longestInt8Sum columns. Products of fp8 are exact in
// f32, and summed in f32 over parts p of 128 columns, then over parts: what a
// tensor core adds with fewer bits is moved to f32 as often (DeepGEMM).
// Whatever M is, a token has the same result alone and in a batch. With f32 x
// the order of the sum depends on whether M reaches 32 (LinearFloatAmx.cpp),
// and on nothing else. No result depends on the number of threads.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
#ifndef QOPT_RUNTIME_HOST_LINEAR_H
#define QOPT_RUNTIME_HOST_LINEAR_H

#include "runtime/host/QuantizedActivations.h"
#include "runtime/host/SumOrder.h"

namespace qopt::host {

/// Operands of a linear layer. Strides count elements from row to row.
struct LinearArguments {
  LinearLayout layout;
  const void *weight = nullptr; ///< packed, 64-byte aligned

  int64_t rows = 0; ///< M
  /// Exactly one of these: f32 [M, K], or records of QuantizedActivations.h
  /// with `codes` that the weight reads (readsCodes).
  const float *input = nullptr;
  int64_t inputStride = 0;
  const void *quantized = nullptr;
  ActivationCodes codes = ActivationCodes::Int8Blocks;

  const float *bias = nullptr;     ///< [N], or null
  const float *residual = nullptr; ///< [M, N], or null; may be `output`
  int64_t residualStride = 0;

  float *output = nullptr; ///< [M, N]
  int64_t outputStride = 0;

  /// Of the sums of f32 activations; null for the fastest.
  const LinearSumOrder *order = nullptr;
};

/// Why sums over such a weight cannot have the order; ok if they can.
Status isValid(const LinearSumOrder &order, const LinearLayout &layout);

/// Computes all of `output`.
void linear(const LinearArguments &arguments, ThreadPool &pool);

} // namespace qopt::host

#endif // QOPT_RUNTIME_HOST_LINEAR_H
