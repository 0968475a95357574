// Opens the models that the command line names and measures what it asks for.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
#ifndef QOPT_TOOLS_QOPTEVAL_EVALRUN_H
#define QOPT_TOOLS_QOPTEVAL_EVALRUN_H

#include "lib/Evaluate/Evaluation.h"
#include "tools/qopt-eval/Choices.h"
#include "tools/qopt-eval/EvalOptions.h"
#include "tools/qopt-eval/Retrieval.h"
#include "tools/qopt-eval/Sweep.h"
#include "tools/qopt-eval/ValueErrors.h"

namespace qopt::eval {

/// The models, and what was found.
struct Run {
  const EvalOptions &options;
  std::unique_ptr<Engine> engine, reference; ///< the latter may be null
  TokenWindows windows;
  std::optional<Evaluation> evaluation;
  std::optional<ChoiceFigures> choices;
  std::vector<RetrievalDepth> retrieval; ///< empty: not asked for
  std::optional<ValueErrors> tensors;
  std::vector<SweepPoint> sweep; ///< by bits; empty: not asked for
};

/// `options` outlive the result and have passed checkOptions.
StatusOr<Run> runEvaluation(const EvalOptions &options);

} // namespace qopt::eval

#endif // QOPT_TOOLS_QOPTEVAL_EVALRUN_H
