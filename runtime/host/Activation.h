// Elementwise activations, alone and gated.
//
//   silu        x · σ(x)
//   gelu_erf    x/2 · (1 + erf(x/√2))
//   gelu_tanh   x/2 · (1 + tanh(√(2/π)·(x + 0.044715 x³)))
//   gelu_quick  x · σ(1.702 x)
//   relu        max(x, 0)
//   tanh
//   sigmoid     σ(x) = 1 / (1 + e^−x)
//
// Errors against exact arithmetic stay below 5e-7, in absolute terms for
// results below 1 and in relative terms above.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
#ifndef QOPT_RUNTIME_HOST_ACTIVATION_H
#define QOPT_RUNTIME_HOST_ACTIVATION_H

#include "runtime/host/QuantizedActivations.h"

namespace qopt::host {

enum class ActivationKind : uint8_t {
  Silu,
  GeluErf,
  GeluTanh,
  GeluQuick,
  Relu,
  Tanh,
  Sigmoid,
};

/// output[i] = kind(input[i]); output may be input.
void activation(ActivationKind kind, const float *input, float *output,
                int64_t count, ThreadPool &pool);

/// kind(x) by the formula of GPUs' kernels (lib/Kernels/Builder/Functions.h),
/// step by step in f32, with ex2 and rcp to the nearest: a GPU's may differ by
/// 2 ulp.
float gpuActivation(ActivationKind kind, float x);

/// y[r, c] = kind(gate[r, c]) · up[r, c], or kind(gate[r, c]) without `up`. For
/// the halves of one array [rows, 2·columns] give up = gate + columns and both
/// strides 2·columns.
struct GatedActivationArguments {
  ActivationKind kind = ActivationKind::Silu;
  int64_t rows = 0;
  int64_t columns = 0;
  const float *gate = nullptr;
  int64_t gateStride = 0; ///< elements from row to row
  const float *up = nullptr;
  int64_t upStride = 0;
  float *output = nullptr;   ///< [rows, columns] contiguous, or null
  void *quantized = nullptr; ///< records of QuantizedActivations.h, or null
  ActivationFormat format;   ///< of the records
  bool gpuFormula = false;   ///< kind is gpuActivation's
};

void gatedActivation(const GatedActivationArguments &arguments,
                     ThreadPool &pool);

} // namespace qopt::host

#endif // QOPT_RUNTIME_HOST_ACTIVATION_H
