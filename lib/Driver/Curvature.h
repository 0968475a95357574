// How the model's predictions change with its weights: for each linear y = W x
// the factors of the Hessian of the KL divergence in W,
//
//   H ≈ H_O ⊗ H_I        KL per token ≈ ½ tr(H_O Δ H_I Δᵀ)   for an error Δ
//
// by power iteration on E[(g gᵀ) ⊗ (x xᵀ)], with g the gradient of the log
// likelihood of labels drawn from the model itself (arXiv 2505.22988; the
// Fisher information, which is the Hessian of that divergence at Δ = 0).
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
#ifndef QOPT_LIB_DRIVER_CURVATURE_H
#define QOPT_LIB_DRIVER_CURVATURE_H

#include "lib/Calibrate/SecondMoment.h"
#include "lib/Driver/CalibrationModel.h"
#include "qopt/Compiler.h"
#include <map>
#include <string>

namespace qopt::driver {

/// The factors of one weight [rows, columns].
struct CurvatureFactors {
  std::vector<float> input;  ///< H_I [columns, columns], of Frobenius norm 1
  std::vector<float> output; ///< H_O [rows, rows], a mean over tokens
};

using Curvature = std::map<std::string, CurvatureFactors>; ///< by weight

struct CurvatureOptions {
  uint64_t seed = 0;  ///< of the labels
  int iterations = 2; ///< of the power iteration
  /// All but the last iteration only give a direction: they use every
  /// `coarse`-th sequence.
  int64_t coarse = 4;
};

/// The factors of every linear whose weight is quantized, on the sequences that
/// are not held out. Runs each layer forward once and backward `iterations`
/// times.
StatusOr<Curvature> measureCurvature(CalibrationModel &model,
                                     const CurvatureOptions &options,
                                     const Progress &progress);

} // namespace qopt::driver

#endif // QOPT_LIB_DRIVER_CURVATURE_H
