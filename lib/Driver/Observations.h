// What is known of the weights of one layer when they are rounded: the second
// moments of what their linears read, and the curvature of all.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
#ifndef QOPT_LIB_DRIVER_OBSERVATIONS_H
#define QOPT_LIB_DRIVER_OBSERVATIONS_H

#include "lib/Calibrate/SecondMoment.h"
#include "lib/Driver/CalibrationModel.h"
#include "lib/Driver/Curvature.h"
#include <map>
#include <memory>
#include <string>
#include <vector>

namespace qopt::driver {

/// What was observed of a tensor that linears read: the sums of the sequences
/// that rounding sees, and of those that choose between its results; the same
/// where none is held out.
struct Observation {
  explicit Observation(int64_t size)
      : moment(size), heldOut(size), sums(size_t(size)),
        heldOutSums(size_t(size)) {}
  calibrate::SecondMoment moment, heldOut;
  std::vector<double> sums, heldOutSums; ///< of every column

  /// What a sequence has; x is [tokens, size].
  void add(const float *x, int64_t tokens, bool isHeldOut, unsigned threads);
  /// E[x], of the sequences that rounding sees or of the others.
  std::vector<float> mean() const;
  std::vector<float> heldOutMean() const;
};

/// By the names of weights.
class Observations {
public:
  /// Runs a layer of the model, as the file has it, on `hidden`, what the
  /// layers before make. `curvature` stays.
  static StatusOr<Observations> take(CalibrationModel &model, size_t layer,
                                     const calibrate::TokenStates &hidden,
                                     const Curvature &curvature);

  /// Null where nobody observed it.
  const Observation *input(const std::string &weight) const;
  const Curvature &factors() const { return curvature; }

private:
  explicit Observations(const Curvature &curvature) : curvature(curvature) {}

  const Curvature &curvature;
  std::vector<std::unique_ptr<Observation>> tensors;
  std::map<std::string, Observation *> inputs;
};

} // namespace qopt::driver

#endif // QOPT_LIB_DRIVER_OBSERVATIONS_H
