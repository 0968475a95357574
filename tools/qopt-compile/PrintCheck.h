// What a check found, as text; tools/cli/DescribeCheck.h has it as JSON.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
#ifndef QOPT_TOOLS_QOPTCOMPILE_PRINTCHECK_H
#define QOPT_TOOLS_QOPTCOMPILE_PRINTCHECK_H

#include "qopt/CheckSummary.h"
#include "qopt/CompileOptions.h"

namespace qopt {

/// A section for each thing that is known, problems last.
void printCheck(const CheckSummary &check, const CompileOptions &options);

} // namespace qopt

#endif // QOPT_TOOLS_QOPTCOMPILE_PRINTCHECK_H
