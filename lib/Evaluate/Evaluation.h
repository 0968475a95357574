// Runs a decoder over windows of tokens and sums up what it predicts.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
#ifndef QOPT_LIB_EVALUATE_EVALUATION_H
#define QOPT_LIB_EVALUATE_EVALUATION_H

#include "lib/Evaluate/Figures.h"
#include "lib/Evaluate/ReferenceLogits.h"
#include "lib/Tokens/TokenWindows.h"
#include "qopt/Engine.h"

#include <functional>
#include <string>

namespace qopt::eval {

/// A part of what was evaluated, or all of it.
struct Slice {
  std::string name;
  Figures figures;
  /// Of a second run in other steps, with the first one as its reference: what
  /// the size of steps alone makes of each figure. It changes the order of
  /// floating-point sums and, in a cache with groups of positions, which keys
  /// are codes already when they are read.
  std::optional<Figures> floor;
};

struct Evaluation {
  Slice all;
  std::vector<Slice> domains; ///< where there are two or more
  /// By the tokens that a prediction sees: 1-16, 17-64, 65-256, …; where there
  /// are two or more.
  std::vector<Slice> lengths;
  double seconds = 0;
};

struct EvaluationInputs {
  const TokenWindows &windows;
  ReferenceLogits *reference = nullptr; ///< optional
  /// Optional: receives all logits [rows, vocabulary], in their order.
  std::function<Status(std::span<const float>)> logits = {};
  /// Optional: called ahead of each window.
  std::function<void(int64_t window)> progress = {};
  int threads = 0;
  int64_t chunk = 0;      ///< tokens of a step, as for Engine::evaluate
  int64_t floorChunk = 0; ///< the same of the second run; 0: there is none
  uint64_t seed = 0;      ///< of the intervals
};

/// Holds the logits of one window at most, and those only for a reference or a
/// second run.
StatusOr<Evaluation> evaluate(Engine &engine, const EvaluationInputs &inputs);

} // namespace qopt::eval

#endif // QOPT_LIB_EVALUATE_EVALUATION_H
