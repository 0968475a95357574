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
  if (threads > target.limits.threadsPerBlock)
    return Status(StatusCode::Infeasible,
                  "blocks of " + std::to_string(threads) + " threads; " +
                      std::string(target.name) + " has at most " +
                      std::to_string(target.limits.threadsPerBlock));
  if (schedule.blocksPerRow < 1 || schedule.blocksPerRow > piecesOf(problem))
    return Status(StatusCode::Infeasible,
                  std::to_string(schedule.blocksPerRow) +
                      " blocks for a row; expected 1 to " +
                      std::to_string(piecesOf(problem)) + ", its pieces");
  return Status();
}

StatusOr<Schedule> sampling::chooseSchedule(const Problem &problem,
                                            const target::Target &target) {
  QOPT_RETURN_IF_ERROR(isValid(problem));
  Schedule schedule;
  schedule.blocksPerRow = int(piecesOf(problem));
  schedule.why = "a block for each 4096 tokens, four a thread";
  QOPT_RETURN_IF_ERROR(isValid(problem, schedule, target));
  return schedule;
}

LaunchShape sampling::launchOf(const Problem &, const Schedule &schedule) {
  LaunchShape launch;
  launch.threads = threads;
  launch.blocksPerRow = schedule.blocksPerRow;
  // Sums, counts, starts, shifts, ranks, ties; the search's bins and
  // result; the largest logits of warps.
  launch.sharedBytes = binCount * (8 + 4 + 4) + 256 + ranksBytes + 128;
  launch.sharedBytes += binCount * 8 + 128 + 256;
  return launch;
}

int64_t sampling::piecesOf(const Problem &problem) {
  return (problem.columns + pieceTokens - 1) / pieceTokens;
}

RowLayout sampling::rowLayoutOf(const Problem &problem) {
  int64_t pieces = piecesOf(problem);
  RowLayout layout;
  layout.bins = (pieces * largestBytes + 15) / 16 * 16;
  layout.elements = layout.bins + pieces * binCount * binBytes;
  layout.bytes = layout.elements + pieces * pieceTokens * elementBytes;
  return layout;
}

int64_t sampling::seenWords(const Problem &problem) {
  return (problem.columns + 31) / 32;
}

int64_t sampling::workspaceBytes(const Problem &problem, int64_t rows) {
  return rows * rowLayoutOf(problem).bytes;
}

int64_t sampling::counters(const Schedule &schedule, int64_t rows) {
  return schedule.blocksPerRow == 1 ? 0 : rows;
}

std::string sampling::symbolOf(const Problem &problem,
                               const target::Target &target) {
  return "sampling_" + std::string(target.name) + "_f32_" +
         std::to_string(problem.columns);
}
