// What a check found, as text and as JSON (docs/check.schema.json).
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
#ifndef QOPT_TOOLS_QOPTCOMPILE_PRINTCHECK_H
#define QOPT_TOOLS_QOPTCOMPILE_PRINTCHECK_H

#include "qopt/CheckSummary.h"

#include <nlohmann/json.hpp>

namespace qopt {

/// A section for each thing that is known, problems last.
void printCheck(const CheckSummary &check, const CompileOptions &options);

nlohmann::ordered_json describeCheck(const CheckSummary &check,
                                     const CompileOptions &options);

/// The status of the first problem, which names the others' number; ok where
/// there is none.
Status statusOf(const CheckSummary &check);

} // namespace qopt

#endif // QOPT_TOOLS_QOPTCOMPILE_PRINTCHECK_H
