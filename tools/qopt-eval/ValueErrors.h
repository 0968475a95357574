// Where two artifacts of one model part: both run on the same windows, and each
// value that a step of the model writes is compared with the reference's. Steps
// are matched by the node that they come from, their kernel and the order of
// what they write; where one artifact has merged what the other has not, there
// is no such pair.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
#ifndef QOPT_TOOLS_QOPTEVAL_VALUEERRORS_H
#define QOPT_TOOLS_QOPTEVAL_VALUEERRORS_H

#include "lib/Tokens/TokenWindows.h"
#include "qopt/Engine.h"

#include <nlohmann/json.hpp>
#include <string>
#include <vector>

namespace qopt::eval {

struct ValueError {
  std::string origin, kernel;
  int64_t columns = 0;
  /// Root of Σ (x − r)² / Σ r² over all windows, with r the reference's.
  double error = 0;
};

struct ValueErrors {
  std::vector<ValueError> values; ///< in the order of the reference's steps
  int64_t unmatched = 0;          ///< values of the reference without a partner
};

/// Holds the reference's values of one window. InvalidArgument where no value
/// has a partner; Unsupported where one side does not run on the host.
StatusOr<ValueErrors> compareValues(Engine &model, Engine &reference,
                                    const TokenWindows &windows);

void describe(const ValueErrors &errors, nlohmann::ordered_json &json);
/// Prints to standard output.
void print(const ValueErrors &errors);

} // namespace qopt::eval

#endif // QOPT_TOOLS_QOPTEVAL_VALUEERRORS_H
