// The figures of an evaluation, as JSON for programs and as text for people.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
#ifndef QOPT_TOOLS_QOPTEVAL_PRINTEVALUATION_H
#define QOPT_TOOLS_QOPTEVAL_PRINTEVALUATION_H

#include "tools/qopt-eval/Evaluation.h"

#include <nlohmann/json.hpp>

namespace qopt::eval {

/// What the figures are of.
struct EvaluationNames {
  std::string model, reference; ///< as on the command line; "": none
  uint64_t seed = 0;            ///< of the intervals
};

/// Bounds that are not known, those of one window, are null.
nlohmann::ordered_json describe(const Evaluation &evaluation,
                                const TokenWindows &windows,
                                const EvaluationNames &names);

/// Prints to standard output.
void print(const Evaluation &evaluation, const TokenWindows &windows);

} // namespace qopt::eval

#endif // QOPT_TOOLS_QOPTEVAL_PRINTEVALUATION_H
