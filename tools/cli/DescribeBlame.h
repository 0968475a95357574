// Which layers lose most, as JSON and for people: the compiler finds it, and
// who evaluates an artifact asks the compiler.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
#ifndef QOPT_TOOLS_CLI_DESCRIBEBLAME_H
#define QOPT_TOOLS_CLI_DESCRIBEBLAME_H

#include "qopt/BlameSummary.h"

#include <nlohmann/json.hpp>
#include <string>

namespace qopt::cli {

nlohmann::ordered_json describeBlame(const BlameSummary &blame);

/// A line for each layer of what describeBlame gave; ends with a newline.
std::string spellBlame(const nlohmann::ordered_json &blame);

} // namespace qopt::cli

#endif // QOPT_TOOLS_CLI_DESCRIBEBLAME_H
