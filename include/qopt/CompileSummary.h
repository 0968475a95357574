// What a compilation did, for people and reports.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
#ifndef QOPT_COMPILESUMMARY_H
#define QOPT_COMPILESUMMARY_H

#include "qopt/CompileOptions.h"
#include "qopt/KernelSummary.h"
#include "qopt/Status.h"
#include "qopt/ValidationSummary.h"
#include <optional>
#include <string>
#include <vector>

namespace qopt {

/// One weight as the artifact stores it.
struct WeightSummary {
  std::string name, format;
  int64_t rows = 0, columns = 0;
  uint64_t bytes = 0;
};

/// What a compilation did, for people and reports.
struct CompileSummary {
  std::string output; ///< the artifact that was written
  ModelKind kind = ModelKind::Graph;
  int64_t layers = 0;               ///< attentions in the model
  int64_t raisedLayers = 0;         ///< those that became one operation
  int64_t genericKernels = 0;       ///< operations without a kernel family
  std::vector<std::string> remarks; ///< choices a user may question
  /// What was asked for and not done.
  std::vector<std::string> warnings;
  std::vector<WeightSummary> weights;
  std::vector<KernelSummary> kernels; ///< of GPUs
  std::vector<StepSummary> steps;     ///< of a decoder, one an architecture
  uint64_t parameters = 0;            ///< elements of all weights
  uint64_t weightBytes = 0; ///< as stored, scales and zero points included
  uint64_t artifactBytes = 0;
  std::optional<ValidationSummary> validation; ///< where it was asked for
};

} // namespace qopt

#endif // QOPT_COMPILESUMMARY_H
