// How the model's predictions change with its weights: for each linear y = W x
// the factors of the Hessian of the KL divergence in W,
//
//   H ≈ H_O ⊗ H_I        KL per token ≈ ½ tr(H_O Δ H_I Δᵀ)   for an error Δ
//
// by power iteration on E[(g gᵀ) ⊗ (x xᵀ)], with g the gradient of the log
// likelihood of labels drawn from the model itself (arXiv 2505.22988; the
// Fisher information, which is the Hessian of that divergence at Δ = 0).
//
// A row of an embedding has an error where its token is: H_O has the share of
// each token among all, and H_I is E[g gᵀ] of what is looked up.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
#ifndef QOPT_LIB_DRIVER_CURVATURE_H
#define QOPT_LIB_DRIVER_CURVATURE_H

#include "lib/Driver/CalibrationStore.h"
#include "lib/Driver/ModelGradients.h"
#include "lib/Quant/algorithms/Metric.h"
#include "qopt/Compiler.h"
#include <map>
#include <string>

namespace qopt::driver {

/// The factors of one weight [rows, columns] in one kind of use.
struct CurvatureFactors {
  std::vector<float> input;  ///< H_I [columns, columns]
  std::vector<float> output; ///< H_O [rows, rows], or its diagonal [rows]

  /// A metric with H_O and another moment of the inputs.
  quant::Metric metric(const float *inputMoment, int64_t rows) const {
    bool isDiagonal = int64_t(output.size()) == rows;
    return {.inputMoment = inputMoment,
            .outputMoment = isDiagonal ? nullptr : output.data(),
            .outputDiagonal = isDiagonal ? output.data() : nullptr};
  }
};

/// Factors by the names of weights, in a store: those of one weight are in
/// memory while somebody has them. H_I of products has the norm 1 (the root of
/// the sum of squares), H_O is a mean over what the loss is a sum of: a
/// decoder's tokens, rows of a graph's results.
class Curvature {
public:
  Curvature() = default; ///< of no weight
  explicit Curvature(const CalibrationStore &store) : store(&store) {}

  /// Whether linears multiply by the weight, and gradients reached one.
  bool hasProduct(const std::string &weight) const;
  StatusOr<CurvatureFactors> product(const std::string &weight) const;
  /// Whether tokens look the weight up.
  bool hasLookup(const std::string &weight) const;
  StatusOr<CurvatureFactors> lookup(const std::string &weight) const;

private:
  const CalibrationStore *store = nullptr;
};

struct CurvatureOptions {
  uint64_t seed = 0;  ///< of the labels
  int iterations = 2; ///< of the power iteration
  /// All but the last iteration only give a direction: they use every
  /// `coarse`-th sequence.
  int64_t coarse = 4;
};

/// The factors of every weight that is quantized, on the sequences that are not
/// held out, in the model's store. Runs each layer backward `iterations` times.
StatusOr<Curvature> measureCurvature(CalibrationModel &model,
                                     ModelGradients &gradients,
                                     const CurvatureOptions &options,
                                     const Progress &progress);

} // namespace qopt::driver

#endif // QOPT_LIB_DRIVER_CURVATURE_H
