// What qopt-eval is asked for.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
#ifndef QOPT_TOOLS_QOPTEVAL_EVALOPTIONS_H
#define QOPT_TOOLS_QOPTEVAL_EVALOPTIONS_H

#include "tools/cli/CommandLine.h"

#include <optional>

namespace qopt::eval {

struct EvalOptions {
  std::string device;
  std::string model, tokenizer, reference, choices, saveLogits, report, html;
  std::string blame, calibrate; ///< a model, and the text of its artifact
  std::vector<std::string> texts, tokens; ///< each PATH or NAME=PATH
  std::vector<std::string> inputs;        ///< the same, of a graph
  std::vector<std::string> sweep;         ///< other artifacts
  std::optional<int64_t> window;
  int64_t windows = INT64_MAX, chunk = 0, floorChunk = 0;
  int threads = 0;
  uint64_t seed = 0;
  bool compareTensors = false;
  bool retrieval = false, beginEach = false, trust = false, json = false;
  std::optional<double> mostPerplexity, mostDivergence, leastSameTop, mostError;

  /// There are windows to evaluate on.
  bool hasText() const { return !texts.empty() || !tokens.empty(); }
  /// There are samples of a graph to evaluate on.
  bool hasSamples() const { return !inputs.empty(); }
  /// The reference is saved logits, no artifact.
  bool savedReference() const { return reference.ends_with(".npy"); }
};

void addOptions(CLI::App &app, EvalOptions &options);

/// What is asked for that can be told before anything is opened.
Status checkOptions(const EvalOptions &options);

} // namespace qopt::eval

#endif // QOPT_TOOLS_QOPTEVAL_EVALOPTIONS_H
