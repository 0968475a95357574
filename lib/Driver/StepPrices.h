// What formats are predicted to take of a decode step: the prices that a budget
// on latency adds up. The cost model prices launches, which do the work of
// several weights at once, so a price is a difference: the step with all
// entries alike in one format less the step with them in another, in equal
// parts. What of that does not add up a budget corrects by predictions of whole
// plans (PlanBudget.h).
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
#ifndef QOPT_LIB_DRIVER_STEPPRICES_H
#define QOPT_LIB_DRIVER_STEPPRICES_H

#include "lib/Driver/PrecisionPlan.h"
#include "mlir/IR/BuiltinOps.h"
#include "qopt/Compiler.h"

namespace qopt::driver {

/// The options of a compilation with a plan's formats, for what is known of its
/// result before it is made: target and sizes are those asked for; output, plan
/// and text are not set.
CompileOptions plannedOptions(const CompileOptions &asked);

/// Seconds of the slowest part, greedy. InvalidArgument of a graph, which has
/// no steps.
StatusOr<double> slowestStep(const std::vector<StepSummary> &steps);

/// What a step is predicted to take with a plan's formats, in seconds.
StatusOr<double> predictStep(const CompileOptions &asked,
                             const PrecisionPlan &plan);

/// Gives each alternative of `plan` the seconds that it takes more than the
/// fastest of its entry. Entries are alike that have the same shape, use and
/// alternatives. Linears that are alike and read one tensor get a common
/// `launch` where unequal formats are predicted to cost them more than the
/// larger one costs. `raised` is the model as the stage raise leaves it.
Status priceFormats(mlir::ModuleOp raised, const CompileOptions &asked,
                    const Progress &progress, PrecisionPlan &plan);

} // namespace qopt::driver

#endif // QOPT_LIB_DRIVER_STEPPRICES_H
