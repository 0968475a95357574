// Bytes of sampling: logits twice, then keys once a round of a search.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
#include "lib/Kernels/Sampling/Sampling.h"

using namespace qopt;
using namespace qopt::kernels;
using namespace qopt::kernels::sampling;

StreamCost sampling::costOf(const Problem &problem, const Schedule &schedule,
                            int64_t rows, const target::Target &target) {
  StreamTraffic traffic;
  traffic.read = rows * problem.columns * 4;
  traffic.blocks = launchOf(problem, schedule).grid(rows);
  // Largest, keys (read and written), top-k, top-p and draw with four rounds
  // each, token with three.
  traffic.passes = 1 + 2 + 3 * 4 + 3;
  return streamCostOf(traffic, target);
}
