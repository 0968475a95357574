// Schedules of `attention_prefill`: as many rows a warp as registers hold, then
// the largest tiles with which two blocks fit an SM.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
#include "lib/Kernels/AttentionPrefill/AttentionPrefill.h"

using namespace qopt;
using namespace qopt::kernels;
using namespace qopt::kernels::attention_prefill;

Status attention_prefill::isValid(const Problem &problem,
                                  const Schedule &schedule,
                                  const target::Target &target) {
  if (schedule.division != Division::Rows)
    return Status(StatusCode::Unsupported,
                  "warps of attention_prefill divide rows");
  return attention_decode::isValid(problem, schedule, target);
}

StatusOr<Schedule>
attention_prefill::chooseSchedule(const Problem &problem,
                                  const target::Target &target) {
  QOPT_RETURN_IF_ERROR(attention_decode::isValid(problem));
  Schedule schedule;
  schedule.division = Division::Rows;
  schedule.why = "one read of a key serves all rows of a block";
  int64_t whole = target.limits.sharedPerSm - target.limits.sharedReserved;
  // Fewer warps where the queries of four have no room.
  struct Block {
    int ofSm, warps;
  };
  for (Block block : {Block{2, 4}, {1, 4}, {1, 2}, {1, 1}})
    for (int rowTiles : {2, 1})
      for (int tile : {64, 32, 16}) {
        schedule.warps = block.warps;
        schedule.blocksPerSm = block.ofSm;
        schedule.rowTiles = rowTiles;
        schedule.tile = tile;
        schedule.stages = 2;
        if (attention_prefill::isValid(problem, schedule, target).ok() &&
            planOf(problem, schedule).sharedBytes <=
                whole / block.ofSm - target.limits.sharedReserved)
          return schedule;
      }
  return attention_prefill::isValid(problem, schedule, target);
}
