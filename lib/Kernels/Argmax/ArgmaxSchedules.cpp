// How many blocks share a row of logits.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
#include "lib/Kernels/Argmax/Argmax.h"

#include <algorithm>
#include <cstdint>

using namespace qopt;
using namespace qopt::kernels;
using namespace qopt::kernels::argmax;

constexpr int64_t mostBlocks = 32;

Status argmax::isValid(const Problem &problem) {
  if (problem.columns < 1 || problem.columns > INT32_MAX / 8)
    return Status(StatusCode::InvalidArgument,
                  "rows of " + std::to_string(problem.columns) + " logits");
  return Status();
}

Status argmax::isValid(const Problem &problem, const Schedule &schedule,
                       const target::Target &target) {
  QOPT_RETURN_IF_ERROR(isValid(problem));
  QOPT_RETURN_IF_ERROR(isValidBlock(schedule.threads, target));
  if (schedule.blocksPerRow < 1 || schedule.blocksPerRow > mostBlocks)
    return Status(StatusCode::Infeasible,
                  std::to_string(schedule.blocksPerRow) +
                      " blocks for a row; a warp compares at most " +
                      std::to_string(mostBlocks));
  return Status();
}

StatusOr<Schedule> argmax::chooseSchedule(const Problem &problem,
                                          const target::Target &target) {
  Schedule schedule;
  // Four accesses of 16 bytes a thread hide the latency of the first.
  int64_t perBlock = int64_t(schedule.threads) * 4 * 4;
  schedule.blocksPerRow = int(std::clamp<int64_t>(
      (problem.columns + perBlock - 1) / perBlock, 1, mostBlocks));
  schedule.why = "blocks share a row until each has four accesses a thread";
  QOPT_RETURN_IF_ERROR(isValid(problem, schedule, target));
  return schedule;
}

LaunchShape argmax::launchOf(const Problem &problem, const Schedule &schedule) {
  LaunchShape launch;
  launch.threads = schedule.threads;
  launch.blocksPerRow = schedule.blocksPerRow;
  launch.sharedBytes = schedule.threads > 32 ? 256 : 0;
  return launch;
}

int64_t argmax::workspaceBytes(const Schedule &schedule, int64_t rows) {
  return schedule.blocksPerRow == 1 ? 0 : rows * schedule.blocksPerRow * 8;
}

int64_t argmax::counters(const Schedule &schedule, int64_t rows) {
  return schedule.blocksPerRow == 1 ? 0 : rows;
}

std::string argmax::symbolOf(const Problem &problem,
                             const target::Target &target) {
  return "argmax_" + std::string(target.name) + "_f32_" +
         std::to_string(problem.columns);
}
