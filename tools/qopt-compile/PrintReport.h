// Tables of a GPU artifact's kernels and of what they are predicted to take.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
#ifndef QOPT_TOOLS_QOPTCOMPILE_PRINTREPORT_H
#define QOPT_TOOLS_QOPTCOMPILE_PRINTREPORT_H

#include "qopt/Compiler.h"

namespace qopt {

/// Every kernel: how often it is launched, what it needs of an SM, its family
/// and schedule.
void printKernels(const CompileSummary &summary);

/// Every kernel's bytes, flops, predicted time and reasons, then the sum over a
/// decode step.
void printReport(const CompileSummary &summary);

/// What a decode step is predicted to take, greedy and with sampling: a line
/// each.
void printSteps(const CompileSummary &summary, const char *indent);

} // namespace qopt

#endif // QOPT_TOOLS_QOPTCOMPILE_PRINTREPORT_H
