// A weight as `gemm` multiplies it: one number of the activations' type
// (lib/Kernels/Gemm/Gemm.h, Numerics).
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
#ifndef QOPT_RUNTIME_HOST_ROUNDEDWEIGHT_H
#define QOPT_RUNTIME_HOST_ROUNDEDWEIGHT_H

#include "lib/Quant/Format.h"

namespace qopt::host {

/// (number − zero) · scale of a weight that is stored as `number`, in f16 or,
/// with `bf16`, in that. Formats with one scale a row stay number − zero.
float roundedWeight(const quant::Format &format, bool bf16, float number,
                    float zero, float scale);

} // namespace qopt::host

#endif // QOPT_RUNTIME_HOST_ROUNDEDWEIGHT_H
