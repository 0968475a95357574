// What linears that read one tensor make of it with scales for its channels:
// their outputs are computed by the host's kernels, with the codes that weights
// and activations would have, and compared with those of real numbers.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
#ifndef QOPT_LIB_DRIVER_LINEARTRIAL_H
#define QOPT_LIB_DRIVER_LINEARTRIAL_H

#include "lib/Driver/WeightEvaluator.h"
#include "runtime/host/QuantizedActivations.h"
#include <optional>
#include <vector>

namespace qopt::driver {

/// Rows of a tensor, [rows, columns] f32.
struct SampledRows {
  std::vector<float> values;
  int64_t columns = 0;
  int64_t rows() const { return int64_t(values.size()) / columns; }
};

/// A weight of a trial, [N, K] of real numbers, and the format that it is to
/// have. `readsCodes`: its linear reads the trial's codes of activations.
struct TrialWeight {
  CanonicalWeight values;
  quant::Format format;
  bool readsCodes = false;
};

class LinearTrial {
public:
  /// `activations`, where given, are the codes that linears read of `x`;
  /// `weights`, at least one, and `pool` stay.
  LinearTrial(const std::vector<TrialWeight> &weights, SampledRows x,
              std::optional<host::ActivationCodes> activations,
              unsigned threads, host::ThreadPool &pool);

  /// Σ (y − ŷ)² of all outputs: y = x · Wᵀ, and ŷ of x / s and W · s, both
  /// rounded, W to nearest. `scales` is s [K]; `step`, where positive, is the
  /// scale of all codes of activations. Fails where a format holds no such
  /// weight (WeightEvaluator.h).
  StatusOr<double> error(const std::vector<float> &scales,
                         float step = 0) const;

private:
  std::vector<float> run(const CanonicalWeight &stored, const SampledRows &rows,
                         const void *codes) const;
  StatusOr<CanonicalWeight> rounded(const TrialWeight &weight,
                                    const std::vector<float> &scales) const;

  const std::vector<TrialWeight> &weights;
  SampledRows x;
  std::optional<host::ActivationCodes> activations;
  unsigned threads;
  host::ThreadPool &pool;
  std::vector<std::vector<float>> exact; ///< y of each weight
};

/// Σ over rows of W² for each column, over all weights.
std::vector<double> squaresOfColumns(const std::vector<TrialWeight> &weights);

/// max over rows of |W| for each column, over all weights.
std::vector<float> largestOfColumns(const std::vector<TrialWeight> &weights);

} // namespace qopt::driver

#endif // QOPT_LIB_DRIVER_LINEARTRIAL_H
