// What formats are chosen under: stored bits of weights, the size of the file,
// the memory that a server needs, the predicted time of a decode step. Weights'
// bytes are bounded exactly; everything else of a file, of memory or of a step
// is what a compilation of the plan says it is.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
#ifndef QOPT_LIB_DRIVER_PLANBUDGET_H
#define QOPT_LIB_DRIVER_PLANBUDGET_H

#include "lib/Driver/PrecisionPlan.h"
#include "qopt/Compiler.h"

namespace qopt::driver {

/// Whether one is given: --bits, --max-size, --max-memory or --max-latency.
bool hasBudget(const CompileOptions &options);
/// Whether one of them depends on more than the weights.
bool hasMeasuredBudget(const CompileOptions &options);

/// The options without budgets: what scores of formats depend on.
CompileOptions withoutBudgets(CompileOptions options);

/// InvalidArgument for one that cannot be read, or that the target has not.
Status checkBudgetOptions(const CompileOptions &options);

/// Gives each weight of `plan` that has alternatives the one with which all
/// together are predicted to cost least within the budgets, and says in
/// `plan.budget` what these were; `text` is what will be recorded. Infeasible,
/// with the nearest that could be met, where no plan meets one.
Status chooseWithinBudgets(const CompileOptions &options,
                           const CalibrationRecord &text,
                           const Progress &progress, PrecisionPlan &plan);

} // namespace qopt::driver

#endif // QOPT_LIB_DRIVER_PLANBUDGET_H
