// One weight of a calibration: from the matrix and what was observed of its
// linear to codes, and back into the IR.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
#ifndef QOPT_LIB_DRIVER_WEIGHTCALIBRATION_H
#define QOPT_LIB_DRIVER_WEIGHTCALIBRATION_H

#include "dialects/QOpt/QOptOps.h"
#include "lib/Calibrate/SecondMoment.h"
#include "lib/Driver/Curvature.h"
#include "lib/Driver/WeightEvaluator.h"
#include "qopt/Status.h"
#include <map>
#include <memory>
#include <optional>
#include <string>
#include <vector>

namespace qopt::driver {

/// What was observed of a tensor that linears read: the sums of the sequences
/// that rounding sees, and of those that choose between its results.
struct Observation {
  explicit Observation(int64_t size) : moment(size), heldOut(size) {}
  calibrate::SecondMoment moment, heldOut;
};

struct Observations {
  const Curvature &curvature;
  std::vector<std::unique_ptr<Observation>> tensors = {};
  std::map<std::string, Observation *> ofWeight = {}; ///< by name
};

/// A weight of codes, as the artifact will have it.
using StoredWeight = CanonicalWeight;

/// What a quantized weight is found by in the model and in its copies: name and
/// format. Empty where the source is no weight of the file.
std::string weightKey(ir::QuantizeWeightOp op);

/// Whatever algorithm has the least error of each weight, on sequences that
/// none saw.
inline constexpr const char *bestAlgorithm = "best";

struct RoundingOptions {
  std::string algorithm; ///< of lib/Quant/algorithms, or bestAlgorithm
  unsigned threads;
};

/// InvalidArgument lists the names where this is none.
Status checkAlgorithm(const std::string &name);

/// Quantizes the weight, or nothing where nobody observed it (an embedding).
StatusOr<std::optional<StoredWeight>>
quantizeWeight(ir::QuantizeWeightOp op, const Observations &observed,
               const RoundingOptions &options);

/// Lets a function compute with the weights as the file has them.
void readSources(mlir::Operation *root);

/// Replaces each `quantize_weight` that `stored` has codes of.
void replaceWeights(mlir::Operation *root,
                    const std::map<std::string, StoredWeight> &stored);

} // namespace qopt::driver

#endif // QOPT_LIB_DRIVER_WEIGHTCALIBRATION_H
