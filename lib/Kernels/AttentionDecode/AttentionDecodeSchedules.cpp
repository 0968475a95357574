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
        (next % problem.cache.page == 0 || problem.cache.page % next == 0) &&
        problem.cache.keyGroup() % next == 0;
    if (fits && planOf(problem, schedule).stageBytes <= bytes)
      tile = next;
  }
  return tile;
}

/// As many stages as `space` holds, four at most: then the copies of a warp are
/// three tiles ahead. 0 where there are less than two.
static int stagesOf(const Problem &problem, Schedule schedule, int64_t space) {
  for (int stages = 4; stages >= 2; --stages) {
    schedule.stages = stages;
    if (planOf(problem, schedule).sharedBytes <= space)
      return stages;
  }
  return 0;
}

StatusOr<Schedule>
attention_decode::chooseSchedule(const Problem &problem, int64_t tokens,
                                 const target::Target &target) {
  QOPT_RETURN_IF_ERROR(isValid(problem));
  // Tiles of 8 KB, and the scales of 64 positions.
  constexpr int64_t stageBytes = (8 << 10) + 256;
  // Of a warp of a split: to add one more takes longer than to walk on.
  constexpr int leastPositions = 64;
  int64_t wanted = ceilDiv(tokens * problem.sharing(), 8);
  Schedule schedule;
  // Two blocks an SM where they fit: one computes while the other starts or
  // combines. Fewer warps where not even one does.
  struct Room {
    int blocks, warps;
    std::string_view why;
  };
  for (const Room &room :
       {Room{2, 4, "two blocks an SM, each warp copies its own tiles"},
        Room{1, 4, "tiles too large for two blocks an SM"},
        Room{1, 2, "tiles too large for four warps"},
        Room{1, 1, "tiles too large for two warps"}}) {
    schedule.blocksPerSm = room.blocks;
    schedule.warps = room.warps;
    schedule.why = room.why;
    int64_t space = std::min<int64_t>(target.limits.sharedPerSm / room.blocks -
                                          target.limits.sharedReserved,
                                      target.limits.sharedPerBlock);
    for (int rowTiles : {4, 2, 1}) {
      if (rowTiles / 2 >= wanted)
        continue;
      schedule.rowTiles = rowTiles;
      for (int64_t bytes : {stageBytes, stageBytes / 2}) {
        schedule.tile = tileOf(problem, schedule, bytes);
        schedule.stages = stagesOf(problem, schedule, space);
        schedule.tilesPerWarp = schedule.tile < leastPositions ? 2 : 1;
        if (schedule.stages && isValid(problem, schedule, target).ok())
          return schedule;
      }
    }
  }
  schedule.stages = 2;
  return isValid(problem, schedule, target);
}
