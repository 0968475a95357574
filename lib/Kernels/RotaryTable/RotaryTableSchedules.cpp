// Validity, launch and name of a table of angles.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
#include "lib/Kernels/RotaryTable/RotaryTable.h"
#include "lib/Kernels/SymbolName.h"

#include <algorithm>

using namespace qopt;
using namespace qopt::kernels;
using namespace qopt::kernels::rotary_table;

Status rotary_table::isValid(const Problem &problem) {
  if (problem.count < 1 || problem.count > 4096)
    return Status(StatusCode::InvalidArgument,
                  std::to_string(problem.count) +
                      " rotary frequencies; expected 1 to 4096");
  return Status();
}

Status rotary_table::isValid(const Problem &problem, const Schedule &schedule,
                             const target::Target &target) {
  QOPT_RETURN_IF_ERROR(isValid(problem));
  return isValidBlock(schedule.threads, target);
}

StatusOr<Schedule> rotary_table::chooseSchedule(const Problem &problem,
                                                const target::Target &target) {
  Schedule schedule;
  schedule.threads =
      int(std::clamp<int64_t>((problem.count + 31) / 32 * 32, 32, 128));
  schedule.why = "an angle a thread";
  QOPT_RETURN_IF_ERROR(isValid(problem, schedule, target));
  return schedule;
}

LaunchShape rotary_table::launchOf(const Problem &problem,
                                   const Schedule &schedule) {
  LaunchShape launch;
  launch.threads = schedule.threads;
  launch.blocksPerRow =
      (problem.count + schedule.threads - 1) / schedule.threads;
  return launch;
}

std::string rotary_table::symbolOf(const Problem &problem,
                                   const target::Target &target) {
  return "rotary_table_" + std::string(target.name) + "_f32_" +
         std::to_string(problem.count) + "_s" + spellBits(problem.scale);
}
