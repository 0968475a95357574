// Limits on what a model predicts beside the unquantized one: what an
// evaluation says of them, and the table of it for people.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
#ifndef QOPT_LIB_EVALUATE_QUALITYGATES_H
#define QOPT_LIB_EVALUATE_QUALITYGATES_H

#include "lib/Evaluate/Evaluation.h"
#include "lib/Evaluate/GraphEvaluation.h"
#include "qopt/ValidationSummary.h"

namespace qopt::eval {

/// Those that were asked for, in the units of GateSummary.
struct QualityLimits {
  std::optional<double> mostDivergence, mostPerplexityIncrease, leastSameTop,
      mostError;
};

/// All, then each text where there are two or more; of an evaluation with a
/// reference. Figures have six digits, which is what they are good for.
std::vector<SliceSummary> summarizeSlices(const Evaluation &evaluation);

/// The same of each output of a graph.
std::vector<OutputSummary> summarizeOutputs(const GraphEvaluation &evaluation);

/// Every limit on every slice; of a graph on every output that it is of.
std::vector<GateSummary> applyLimits(const QualityLimits &limits,
                                     const std::vector<SliceSummary> &slices);
std::vector<GateSummary> applyLimits(const QualityLimits &limits,
                                     const std::vector<OutputSummary> &outputs);

/// A line for each slice and each gate; ends with a newline.
std::string spellTable(const ValidationSummary &validation);

} // namespace qopt::eval

#endif // QOPT_LIB_EVALUATE_QUALITYGATES_H
