// Schedules of `attention_decode`: rows of a block from the new tokens of a
// sequence, then tiles and stages in closed form so that enough bytes are in
// flight on an SM.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
#include "lib/Kernels/AttentionDecode/AttentionDecode.h"

#include <algorithm>

using namespace qopt;
using namespace qopt::kernels;
using namespace qopt::kernels::attention_decode;

static int64_t ceilDiv(int64_t a, int64_t b) { return (a + b - 1) / b; }

/// The largest tile of at most `bytes` a stage that fits pages; 16 at least.
static int tileOf(const Problem &problem, Schedule schedule, int64_t bytes) {
  int tile = 16;
  for (int next : {32, 64}) {
    schedule.tile = next;
    bool fits =
        next % problem.cache.page == 0 || problem.cache.page % next == 0;
    if (fits && planOf(problem, schedule).stageBytes <= bytes)
      tile = next;
  }
  return tile;
}

StatusOr<Schedule>
attention_decode::chooseSchedule(const Problem &problem, int64_t tokens,
                                 const target::Target &target) {
  QOPT_RETURN_IF_ERROR(isValid(problem));
  // Two blocks an SM: one computes while the other starts or combines, and a
  // dependent kernel's finds room.
  int64_t half = target.limits.sharedPerSm / 2 - target.limits.sharedReserved;
  int64_t inFlight = int64_t(target.rates.bytesInFlight.value);
  Schedule schedule;
  schedule.blocksPerSm = 2;
  schedule.why = "two blocks an SM, each warp has its own tiles in flight";
  int64_t wanted = ceilDiv(tokens * problem.sharing(), 8);
  for (int rowTiles : {4, 2, 1}) {
    if (rowTiles / 2 >= wanted)
      continue;
    schedule.rowTiles = rowTiles;
    for (int64_t stage : {16 << 10, 8 << 10, 4 << 10, 2 << 10}) {
      schedule.tile = tileOf(problem, schedule, stage);
      // A fifth of what is in flight is the tile that is computed on.
      Plan plan = planOf(problem, schedule);
      int64_t perWarp = ceilDiv(inFlight, 2 * schedule.warps);
      schedule.stages =
          int(std::clamp<int64_t>(1 + ceilDiv(perWarp, plan.stageBytes), 2, 8));
      if (isValid(problem, schedule, target).ok() &&
          planOf(problem, schedule).sharedBytes <= half)
        return schedule;
    }
  }
  schedule.blocksPerSm = 1;
  schedule.tile = 16;
  schedule.stages = 2;
  schedule.why = "tiles too large for two blocks an SM";
  QOPT_RETURN_IF_ERROR(isValid(problem, schedule, target));
  return schedule;
}
