// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
#include "lib/Kernels/AttentionDecode/AttentionDecodeLoops.h"

#include <numeric>

using namespace qopt;
using namespace qopt::kernels;
using namespace qopt::kernels::attention_decode;

// Of an H200, for 320 and 512 channels, decode in f16 and with keys of int8 and
// values of int4, prefill in f16 (bench/RESULTS.md, "Heads of any even size"):
// with these the six predictions are 87 to 112 % of what was measured.
constexpr double copyClocks = 95, productClocks = 120;
constexpr int64_t mostUnrolledChannels = 256, stepChannels = 32;

/// Turns of a thread over the chunks of a tile's rows.
static int64_t turnsOf(int64_t rowBytes, int64_t stride,
                       const Schedule &schedule) {
  int64_t chunks = schedule.tile * stride / std::gcd(rowBytes, int64_t(16));
  int64_t threads =
      schedule.division == Division::Rows ? schedule.threads() : 32;
  return (chunks + threads - 1) / threads;
}

double attention_decode::loopClocksOf(const Problem &problem,
                                      const Schedule &schedule) {
  Plan plan = planOf(problem, schedule);
  if (plan.keyChannels <= mostUnrolledChannels)
    return 0;
  auto copies = double(turnsOf(plan.keyRow, plan.keyStride, schedule) +
                       turnsOf(plan.valueRow, plan.valueStride, schedule));
  auto products = double(plan.keyChannels / stepChannels * schedule.tile / 16);
  return copies * copyClocks + products * productClocks;
}
