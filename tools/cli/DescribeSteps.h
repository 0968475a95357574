// A GPU artifact's kernels and what steps are predicted to take, as JSON.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
#ifndef QOPT_TOOLS_CLI_DESCRIBESTEPS_H
#define QOPT_TOOLS_CLI_DESCRIBESTEPS_H

#include "qopt/CompileSummary.h"

#include <nlohmann/json.hpp>

namespace qopt::cli {

/// The entry `steps`.
nlohmann::ordered_json describeSteps(const CompileSummary &summary);

/// `kernels` and `steps`, everything of both tables.
void describeKernels(const CompileSummary &summary,
                     nlohmann::ordered_json &json);

} // namespace qopt::cli

#endif // QOPT_TOOLS_CLI_DESCRIBESTEPS_H
