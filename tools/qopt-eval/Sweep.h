// Several artifacts of one model beside each other: what they lose against the
// bits that they take.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
#ifndef QOPT_TOOLS_QOPTEVAL_SWEEP_H
#define QOPT_TOOLS_QOPTEVAL_SWEEP_H

#include "lib/Evaluate/Evaluation.h"

#include <nlohmann/json.hpp>
#include <string>
#include <vector>

namespace qopt::eval {

struct SweepPoint {
  std::string model;
  double bits = 0;    ///< stored for each element of all weights
  uint64_t bytes = 0; ///< of the file
  Figures figures;    ///< beside the reference
};

/// Stored bits for each element of the weights of an artifact, scales, zero
/// points and padding included.
double bitsPerWeight(const Artifact &artifact);

void describe(const std::vector<SweepPoint> &sweep,
              nlohmann::ordered_json &json);
/// Prints to standard output.
void print(const std::vector<SweepPoint> &sweep);

/// What a model's weights take by layer: a layer is what their names have up
/// to the first number; other weights are by themselves.
nlohmann::ordered_json describeBits(const Artifact &artifact);

} // namespace qopt::eval

#endif // QOPT_TOOLS_QOPTEVAL_SWEEP_H
