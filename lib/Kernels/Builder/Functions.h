// Activation functions of f32 with the approximating instructions.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
#ifndef QOPT_LIB_KERNELS_BUILDER_FUNCTIONS_H
#define QOPT_LIB_KERNELS_BUILDER_FUNCTIONS_H

#include "lib/Kernels/Builder/Elements.h"
#include "lib/Kernels/Function.h"

namespace qopt::kernels {

/// 1 / (1 + e^−x), relative error below 1e-6 where e^x is a normal number.
Real sigmoid(Real x);
/// Relative error below 1e-6.
Real hyperbolicTangent(Real x);
/// 1 − erf(x) for x ≥ 0, relative error below 2e-6 while it is above 1e-7.
Real complementaryError(Real x);
/// x/2 · (1 + erf(x/√2)).
Real gelu(Real x);
/// x/2 · (1 + tanh(√(2/π) · (x + 0.044715 x³))).
Real geluTanh(Real x);
Real activate(Function function, Real x);
/// function(gate) · up of values that are rounded to `type` first, as those of
/// a tensor between two launches would be.
Real gated(Function function, Real gate, Real up, mlir::Type type);

} // namespace qopt::kernels

#endif // QOPT_LIB_KERNELS_BUILDER_FUNCTIONS_H
