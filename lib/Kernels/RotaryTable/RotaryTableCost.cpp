// Bytes of a table of angles.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
#include "lib/Kernels/RotaryTable/RotaryTable.h"

using namespace qopt;
using namespace qopt::kernels;
using namespace qopt::kernels::rotary_table;

StreamCost rotary_table::costOf(const Problem &problem,
                                const Schedule &schedule, int64_t tokens,
                                const target::Target &target) {
  StreamTraffic traffic;
  traffic.read = tokens * 4 + problem.count * 4;
  traffic.written = tokens * problem.count * 8;
  traffic.blocks = launchOf(problem, schedule).grid(tokens);
  return streamCostOf(traffic, target);
}
