// The figures of an evaluation as JSON for programs.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
#ifndef QOPT_TOOLS_QOPTEVAL_DESCRIBEEVALUATION_H
#define QOPT_TOOLS_QOPTEVAL_DESCRIBEEVALUATION_H

#include "lib/Evaluate/Evaluation.h"
#include "tools/qopt-eval/Choices.h"
#include "tools/qopt-eval/Retrieval.h"

#include <nlohmann/json.hpp>

namespace qopt::eval {

inline constexpr const char *noInterval =
    "intervals are drawn from windows, and there is one";

/// `name`, "low" and "high" of the spelt figure; bounds that are not known,
/// those of one unit, are null.
nlohmann::ordered_json describe(
    const char *name, const Estimate &estimate,
    double (*spelt)(double) = [](double value) { return value; });
double inPercent(double share);

/// These add what was found.
void describe(const ChoiceFigures &choices, nlohmann::ordered_json &json);
void describe(const std::vector<RetrievalDepth> &depths,
              nlohmann::ordered_json &json);
void describe(const Evaluation &evaluation, const TokenWindows &windows,
              nlohmann::ordered_json &json);

} // namespace qopt::eval

#endif // QOPT_TOOLS_QOPTEVAL_DESCRIBEEVALUATION_H
