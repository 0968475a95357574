// A weight that is scaled ahead of its product: one number of the activations'
// type (lib/Kernels/Gemm/Gemm.h, Numerics).
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
#ifndef QOPT_RUNTIME_HOST_ROUNDEDWEIGHT_H
#define QOPT_RUNTIME_HOST_ROUNDEDWEIGHT_H

#include "lib/Quant/Format.h"

namespace qopt::host {

struct WeightRounding {
  bool bf16;    ///< the activations' type; else f16
  float factor; ///< f32 scales times this are sums of two halves, by which
                ///< numbers over this are multiplied
};

/// (number − zero) · scale of a weight that is stored as `number`. Formats with
/// one scale a row stay number − zero, rounded where zero is a fraction.
float roundedWeight(const quant::Format &format, WeightRounding rounding,
                    float number, float zero, float scale);

} // namespace qopt::host

#endif // QOPT_RUNTIME_HOST_ROUNDEDWEIGHT_H
