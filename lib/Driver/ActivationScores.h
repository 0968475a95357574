// What each format of what linears read is predicted to cost, as KL per token.
// A tensor x is rounded to codes; with Δ its error and L the log likelihood of
// labels that are drawn from the model
//
//   KL ≈ ½ E Σₜ ⟨Δₜ, ∂L/∂xₜ⟩²     ∂L/∂xₜ = Σ over its linears of gₜ · W
//
// g the gradients of a linear's result. Residuals and other readers see x as it
// is, so what flows back through them does not count. As of the cache
// (lib/Calibrate/CacheProbe.h), tokens are rounded by themselves, and products
// of two of them are left out.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
#ifndef QOPT_LIB_DRIVER_ACTIVATIONSCORES_H
#define QOPT_LIB_DRIVER_ACTIVATIONSCORES_H

#include "lib/Driver/ModelGradients.h"
#include "lib/Driver/PrecisionPlan.h"
#include "qopt/CompileOptions.h"

namespace qopt::driver {

struct ActivationScoring {
  TargetDevice target = TargetDevice::Host;
  uint64_t seed = 3000;   ///< of the labels; another one than others'
  int64_t sequences = 32; ///< at most so many, evenly spread
};

/// The tensors that linears of quantized weights read, in the order of the
/// layers, and by name within one; each with the formats of
/// activationCandidates that its columns have. Where a weight reads several,
/// the first has it.
StatusOr<std::vector<PlannedActivation>>
scoreActivations(CalibrationModel &model, ModelGradients &gradients,
                 const ActivationScoring &options, const Progress &progress);

} // namespace qopt::driver

#endif // QOPT_LIB_DRIVER_ACTIVATIONSCORES_H
