// Runs a decoder over windows of tokens and sums up what it predicts.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
#ifndef QOPT_TOOLS_QOPTEVAL_EVALUATION_H
#define QOPT_TOOLS_QOPTEVAL_EVALUATION_H

#include "qopt/Engine.h"
#include "tools/io/Npy.h"
#include "tools/qopt-eval/ReferenceLogits.h"
#include "tools/qopt-eval/Statistics.h"
#include "tools/qopt-eval/TokenWindows.h"

namespace qopt::eval {

/// Of the model, or of the reference. `nll` is the mean -log p of the tokens
/// after the first of each window, in nats; its exponential is the perplexity.
struct Prediction {
  Estimate nll;
};

/// Of the model beside the reference, over every position.
struct Agreement {
  Prediction reference;
  Estimate divergence; ///< KL(reference || model) in nats
  double median = 0, p99 = 0, most = 0;
  Estimate sameTop; ///< share of positions with the same first choice, 0 to 1
};

struct Evaluation {
  Prediction model;
  std::optional<Agreement> agreement; ///< where there is a reference
  double seconds = 0;
};

struct EvaluationInputs {
  const TokenWindows &windows;
  ReferenceLogits *reference = nullptr; ///< optional
  io::NpyWriter *logits = nullptr;      ///< optional: receives all logits
  int threads = 0;
  int64_t chunk = 0; ///< tokens of a step, as for Engine::evaluate
  uint64_t seed = 0; ///< of the intervals
};

/// Holds the logits of one window at most, and those only for a reference.
StatusOr<Evaluation> evaluate(Engine &engine, const EvaluationInputs &inputs);

} // namespace qopt::eval

#endif // QOPT_TOOLS_QOPTEVAL_EVALUATION_H
