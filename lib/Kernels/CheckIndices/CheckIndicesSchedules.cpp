// Validity, launch and name of a check of indices.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
#include "lib/Kernels/CheckIndices/CheckIndices.h"

using namespace qopt;
using namespace qopt::kernels;
using namespace qopt::kernels::check_indices;

constexpr int mostLimits = 8; ///< as many as a tensor has axes

Status check_indices::isValid(const Problem &problem) {
  if (problem.limits < 1 || problem.limits > mostLimits)
    return Status(StatusCode::Unsupported, "indices with " +
                                               std::to_string(problem.limits) +
                                               " places; a GPU checks 1 to " +
                                               std::to_string(mostLimits));
  return Status();
}

Status check_indices::isValid(const Problem &problem, const Schedule &schedule,
                              const target::Target &target) {
  QOPT_RETURN_IF_ERROR(isValid(problem));
  return isValidBlock(schedule.threads, target);
}

StatusOr<Schedule> check_indices::chooseSchedule(const Problem &problem,
                                                 const target::Target &target) {
  Schedule schedule;
  schedule.why = "one block reads all indices";
  QOPT_RETURN_IF_ERROR(isValid(problem, schedule, target));
  return schedule;
}

LaunchShape check_indices::launchOf(const Problem &, const Schedule &schedule) {
  LaunchShape launch;
  launch.threads = schedule.threads;
  launch.sharedBytes = schedule.threads > 32 ? 256 : 0;
  return launch;
}

std::string check_indices::symbolOf(const Problem &problem,
                                    const target::Target &target) {
  return "check_indices_" + std::string(target.name) +
         (problem.integer == Integer::Long ? "_i64_" : "_i32_") +
         std::to_string(problem.limits) +
         (problem.interval == Interval::FromZero ? "_from_zero" : "");
}
