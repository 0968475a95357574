// Bytes of an argmax: the logits once.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
#include "lib/Kernels/Argmax/Argmax.h"

using namespace qopt;
using namespace qopt::kernels;
using namespace qopt::kernels::argmax;

StreamCost argmax::costOf(const Problem &problem, const Schedule &schedule,
                          int64_t rows, const target::Target &target) {
  StreamTraffic traffic;
  traffic.read = rows * problem.columns * 4 + workspaceBytes(schedule, rows);
  traffic.written = rows * 4 + workspaceBytes(schedule, rows);
  traffic.blocks = launchOf(problem, schedule).grid(rows);
  return streamCostOf(traffic, target);
}
