// Validity, launch and sizes of sampling.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
#include "lib/Kernels/Sampling/Sampling.h"

using namespace qopt;
using namespace qopt::kernels;
using namespace qopt::kernels::sampling;

Status sampling::isValid(const Problem &problem) {
  if (problem.columns < 1 || problem.columns > mostColumns)
    return Status(StatusCode::Unsupported,
                  "sampling from " + std::to_string(problem.columns) +
                      " tokens; expected 1 to " + std::to_string(mostColumns));
  return Status();
}

Status sampling::isValid(const Problem &problem, const Schedule &schedule,
                         const target::Target &target) {
  QOPT_RETURN_IF_ERROR(isValid(problem));
  // A bin of a histogram is zeroed by a thread.
  if (schedule.threads < 256 || schedule.threads % 32 ||
      schedule.threads > target.limits.threadsPerBlock)
    return Status(StatusCode::Infeasible,
                  std::to_string(schedule.threads) +
                      " threads; expected 256 to " +
                      std::to_string(target.limits.threadsPerBlock));
  return Status();
}

StatusOr<Schedule> sampling::chooseSchedule(const Problem &problem,
                                            const target::Target &target) {
  Schedule schedule;
  if (problem.columns <= 4096)
    schedule.threads = 256;
  schedule.why = "one block a row, as many threads as it may have";
  QOPT_RETURN_IF_ERROR(isValid(problem, schedule, target));
  return schedule;
}

LaunchShape sampling::launchOf(const Problem &problem,
                               const Schedule &schedule) {
  LaunchShape launch;
  launch.threads = schedule.threads;
  launch.sharedBytes = 256 * 8 + 128 + 256; // histogram, its result, the best
  return launch;
}

int64_t sampling::seenWords(const Problem &problem) {
  return (problem.columns + 31) / 32;
}

int64_t sampling::workspaceBytes(const Problem &problem, int64_t rows) {
  return rows * problem.columns * 4;
}

std::string sampling::symbolOf(const Problem &problem,
                               const target::Target &target) {
  return "sampling_" + std::string(target.name) + "_f32_" +
         std::to_string(problem.columns);
}
