// What each candidate format of each weight is predicted to cost, as KL per
// token. The weight is rounded to the format; the error Δ is scored twice:
//
//   ½ tr(H_O Δ H_I Δᵀ)   by the factors of the curvature, on held-out inputs:
//                        precise beside the other formats of this weight
//   ½ E⟨Δ, ∂L/∂W⟩²       by gradients of labels that no rounding has seen, with
//                        what tokens have in common: right beside other weights
//
// A score is the first, times one factor a weight: the mean of the second over
// the first for some of its formats.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
#ifndef QOPT_LIB_DRIVER_FORMATSCORES_H
#define QOPT_LIB_DRIVER_FORMATSCORES_H

#include "lib/Driver/Curvature.h"
#include "lib/Driver/ModelGradients.h"
#include "lib/Driver/PrecisionPlan.h"
#include "lib/Quant/Format.h"

namespace qopt::driver {

struct ScoringOptions {
  /// Where the codes of each candidate are put (PlanMoves.h); null: nowhere.
  const CalibrationStore *codes = nullptr;
  std::vector<quant::Format> candidates;
  std::string algorithm; ///< as for WeightRounder
  uint64_t seed = 1000;  ///< of the labels; another one than the curvature's
};

/// Fills the alternatives of each weight without a format: the candidates whose
/// groups divide its columns. A weight that nobody observed stays as the file
/// has it. Infeasible where no candidate fits a weight.
Status scoreFormats(CalibrationModel &model, ModelGradients &gradients,
                    const Curvature &curvature, const ScoringOptions &options,
                    const Progress &progress,
                    std::vector<PlannedWeight> &weights);

} // namespace qopt::driver

#endif // QOPT_LIB_DRIVER_FORMATSCORES_H
