// What was measured of an artifact when it was compiled, as JSON: the compiler
// prints it, and who looks into the artifact later.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
#ifndef QOPT_TOOLS_CLI_DESCRIBEVALIDATION_H
#define QOPT_TOOLS_CLI_DESCRIBEVALIDATION_H

#include "qopt/ValidationSummary.h"

#include <nlohmann/json.hpp>

namespace qopt::cli {

nlohmann::ordered_json describeValidation(const ValidationSummary &validation);

} // namespace qopt::cli

#endif // QOPT_TOOLS_CLI_DESCRIBEVALIDATION_H
