// What a check found, as JSON (docs/check.schema.json), and what its text has
// of the same.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
#ifndef QOPT_TOOLS_CLI_DESCRIBECHECK_H
#define QOPT_TOOLS_CLI_DESCRIBECHECK_H

#include "qopt/CheckSummary.h"
#include "qopt/CompileOptions.h"

#include <nlohmann/json.hpp>
#include <string>
#include <vector>

namespace qopt::cli {

nlohmann::ordered_json describeCheck(const CheckSummary &check,
                                     const CompileOptions &options);

/// The status of the first problem, which names the others' number; ok where
/// there is none.
Status statusOf(const CheckSummary &check);

/// Weights of one format.
struct FormatSum {
  std::string format;
  int64_t weights = 0, elements = 0;
  uint64_t bytes = 0;
};
std::vector<FormatSum> formatsOf(const CheckSummary &check);

uint64_t servingBytes(const CheckSummary &check);
bool isDecoder(const CheckSummary &check);

/// `node "x" (Softmax, opset 13)`, as errors name it.
std::string placeOf(const CheckProblem &problem);

} // namespace qopt::cli

#endif // QOPT_TOOLS_CLI_DESCRIBECHECK_H
