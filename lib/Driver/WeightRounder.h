// Rounding one weight of a calibration: from its matrix and what was observed
// of its linear to codes, by one algorithm or the best of several.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
#ifndef QOPT_LIB_DRIVER_WEIGHTROUNDER_H
#define QOPT_LIB_DRIVER_WEIGHTROUNDER_H

#include "dialects/QOpt/QOptOps.h"
#include "lib/Driver/Observations.h"
#include "lib/Driver/WeightEvaluator.h"
#include "qopt/CompileOptions.h"
#include <memory>
#include <optional>
#include <string>
#include <vector>

namespace qopt::driver {

/// A weight of codes, as the artifact will have it.
using StoredWeight = CanonicalWeight;

/// Whatever algorithm has the least error of each weight, on sequences that
/// none saw.
inline constexpr const char *bestAlgorithm = "best";

/// Scales of channels, searched and folded (ChannelScaling.h), then round to
/// nearest; for a weight by itself it is none.
inline constexpr const char *awqAlgorithm = "awq";

struct RoundingOptions {
  std::string algorithm; ///< of lib/Quant/algorithms, or bestAlgorithm
  unsigned threads;
  int refinements; ///< quant::Effort
};

/// For codes that are kept, and for those that formats are compared by.
inline constexpr int keptRefinements = 6, scoredRefinements = 2;

/// The algorithm that was asked for, or the usual one with a text.
std::string algorithmOf(const CompileOptions &options);

/// Whether an algorithm chooses codes by what they do on a text.
bool needsText(const std::string &algorithm);

/// InvalidArgument lists the names where this is none; empty: the usual one.
Status checkAlgorithm(const std::string &name);

/// A weight in one format.
struct RoundedWeight {
  StoredWeight weight;
  std::string algorithm; ///< that made it
  /// What it is predicted to cost, KL per token, on sequences that no algorithm
  /// saw: ½ tr(H_O Δ H_I Δᵀ), the sum over its uses. Where no gradients were
  /// measured: half of the squared error of the outputs.
  double divergence = 0;
  /// What the bias of its linear gains, so that the mean of the result stays;
  /// empty where there is none, or where held-out text does not confirm it.
  std::vector<float> biasCorrection;
};

/// Rounds one weight to one format or several.
class WeightRounder {
public:
  /// Of the source of `op`, or nothing where nobody observed it: a table
  /// without gradients, or one that a linear of a later layer reads, too.
  static StatusOr<std::optional<WeightRounder>>
  create(ir::QuantizeWeightOp op, const Observations &observed,
         const RoundingOptions &options);
  WeightRounder(WeightRounder &&) noexcept;
  WeightRounder &operator=(WeightRounder &&) noexcept;
  ~WeightRounder();

  /// The weight in a format whose groups divide its columns. Errors name it.
  StatusOr<RoundedWeight> round(const quant::Format &format) const;
  /// What it stands for, without the weight: [rows, columns].
  std::vector<float> errorOf(const RoundedWeight &rounded) const;

private:
  struct Weight;
  explicit WeightRounder(std::unique_ptr<Weight> weight);
  std::unique_ptr<Weight> weight;
};

} // namespace qopt::driver

#endif // QOPT_LIB_DRIVER_WEIGHTROUNDER_H
