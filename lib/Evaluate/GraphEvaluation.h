// Runs a graph over samples of its inputs and says how far its outputs are from
// those of a reference, each by itself:
//
//   every output    the error: sum of (y - r)^2 beside the sum of r^2, with y
//                   the model's and r the reference's elements. 0.01 is a
//                   signal-to-noise ratio of 20 dB
//   logits          each row, along the last axis, is a prediction: KL(r || y)
//                   of their softmax in nats, and whether both have the same
//                   first choice
//
// Which outputs are logits only their names say.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
#ifndef QOPT_LIB_EVALUATE_GRAPHEVALUATION_H
#define QOPT_LIB_EVALUATE_GRAPHEVALUATION_H

#include "lib/Evaluate/Statistics.h"
#include "qopt/Status.h"
#include "qopt/Tensor.h"

#include <functional>
#include <optional>
#include <string>
#include <vector>

namespace qopt::eval {

/// Whether rows of an output are predictions: its name has "logits", and it has
/// rows of several classes. `classes` is its last size; below 0: not known.
bool hasLogits(const std::string &name, size_t rank, int64_t classes);

/// Of rows of logits.
struct RowAgreement {
  Estimate divergence; ///< mean over rows of KL(reference || model) in nats
  double median = 0, p99 = 0, p999 = 0, most = 0;
  Estimate sameTop; ///< share of rows with the same first choice, 0 to 1
};

struct OutputFigures {
  std::string name;
  int64_t samples = 0, rows = 0;
  double size = 0; ///< root of the mean square of the model's elements
  Estimate error;  ///< squares of the error beside the reference's
  std::optional<RowAgreement> rowAgreement; ///< of logits

  /// What plans predict and layers are blamed for: the KL of a row of logits,
  /// half of the error of others.
  double loss() const {
    return rowAgreement ? rowAgreement->divergence.value : error.value / 2;
  }
};

/// Some samples, or all of them.
struct GraphSlice {
  std::string name;
  std::vector<OutputFigures> outputs; ///< of real numbers

  double loss() const; ///< the mean over outputs
  double size() const; ///< the same
};

struct GraphEvaluation {
  GraphSlice all;
  std::vector<GraphSlice> files; ///< where there are two or more
  double seconds = 0;
};

/// The outputs of a sample.
using GraphOutputs = std::function<StatusOr<std::vector<Tensor>>(int64_t)>;

/// Samples that follow each other and have a name.
struct SampleRange {
  std::string name;
  int64_t first = 0, count = 0;
};

struct GraphInputs {
  int64_t samples = 0;
  std::vector<SampleRange> files;
  GraphOutputs model, reference;
  /// Optional: called ahead of each sample.
  std::function<void(int64_t sample)> progress = {};
  uint64_t seed = 0; ///< of the intervals
};

/// InvalidArgument where outputs differ in name or shape, or where none is of
/// real numbers; BadArtifact where one of the model's is no number.
StatusOr<GraphEvaluation> evaluate(const GraphInputs &inputs);

} // namespace qopt::eval

#endif // QOPT_LIB_EVALUATE_GRAPHEVALUATION_H
