// The same for graphs: how close each output is to a reference, on samples of
// the graph's inputs.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
#ifndef QOPT_TOOLS_QOPTEVAL_GRAPHRUN_H
#define QOPT_TOOLS_QOPTEVAL_GRAPHRUN_H

#include "lib/Calibrate/CalibrationSamples.h"
#include "lib/Evaluate/GraphEvaluation.h"
#include "qopt/Session.h"
#include "tools/qopt-eval/EvalOptions.h"

#include <nlohmann/json.hpp>

namespace qopt::eval {

/// The model, and what was found.
struct GraphRun {
  const EvalOptions &options;
  std::unique_ptr<Session> model;
  std::shared_ptr<const calibrate::CalibrationSamples> samples;
  std::vector<SampleRange> files;
  GraphEvaluation evaluation;
};

/// `options` outlive the result, have passed checkOptions and have inputs.
StatusOr<GraphRun> runGraph(const EvalOptions &options);

nlohmann::ordered_json describe(const GraphRun &run);
void print(const GraphRun &run);

/// GateFailed for the first limit that an output misses; InvalidArgument for
/// one that is of no output.
Status checkGates(const GraphRun &run);

} // namespace qopt::eval

#endif // QOPT_TOOLS_QOPTEVAL_GRAPHRUN_H
