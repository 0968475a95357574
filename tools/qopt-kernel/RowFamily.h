// The families whose launch follows from how many rows there are
// (lib/Kernels/LaunchShape.h): all of a description but its arguments.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
#ifndef QOPT_TOOLS_QOPTKERNEL_ROWFAMILY_H
#define QOPT_TOOLS_QOPTKERNEL_ROWFAMILY_H

#include "tools/qopt-kernel/Family.h"

namespace qopt::kernel_tool {

/// The functions are those of the problem's family; `argumentsOf` makes the
/// arguments from the schedule.
template <typename Problem, typename ArgumentsOf>
StatusOr<Description> describeRows(const Problem &problem, int64_t rows,
                                   const Words &words, Words &scheduleWords,
                                   const target::Target &target,
                                   ArgumentsOf argumentsOf) {
  auto schedule = scheduleOf(words, scheduleWords,
                             [&] { return chooseSchedule(problem, target); });
  if (!schedule.ok())
    return schedule.status();
  QOPT_RETURN_IF_ERROR(isValid(problem, *schedule, target));
  auto launch = launchOf(problem, *schedule);
  auto cost = costOf(problem, *schedule, rows, target);
  Description result;
  result.symbol = symbolOf(problem, target);
  result.arguments = argumentsOf(*schedule);
  result.grid = {launch.grid(rows), 1, 1};
  result.threads = launch.threads;
  result.sharedBytes = launch.sharedBytes;
  result.schedule = describeSchedule(scheduleWords, *schedule);
  result.cost = describeCost(cost, cost.bytes(), cost.flops());
  result.build = [problem, schedule = *schedule,
                  &target](mlir::gpu::GPUModuleOp module) {
    return buildKernel(module, problem, schedule, target);
  };
  return result;
}

} // namespace qopt::kernel_tool

#endif // QOPT_TOOLS_QOPTKERNEL_ROWFAMILY_H
