// The order of an attention kernel's sums, attention_prefill's too, as data
// that the host's kernels follow.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
#ifndef QOPT_LIB_KERNELS_ATTENTIONDECODE_ATTENTIONDECODEORDER_H
#define QOPT_LIB_KERNELS_ATTENTIONDECODE_ATTENTIONDECODEORDER_H

#include "lib/Kernels/AttentionDecode/AttentionDecode.h"
#include "runtime/host/SumOrder.h"

namespace qopt::kernels::attention_decode {

/// Of launches of at most `most` new tokens; 0: of any number.
inline host::AttentionSumOrder sumOrderOf(const Problem &problem,
                                          const Schedule &schedule,
                                          int64_t most,
                                          const target::Target &target) {
  host::AttentionSumOrder order;
  order.mostTokens = most;
  order.bf16 = problem.activation == quant::ElementType::BF16;
  order.tile = schedule.tile;
  order.blockRows = schedule.blockRows();
  if (schedule.division == Division::Rows) // a warp has all tiles of its rows
    return order;
  order.warps = schedule.warps;
  order.tilesPerWarp = schedule.tilesPerWarp;
  // Of gridOf's y, which has them as a factor, the host knows the others.
  order.room =
      int64_t(target.multiprocessors) * schedule.blocksPerSm / problem.slices();
  order.context = problem.context;
  return order;
}

} // namespace qopt::kernels::attention_decode

#endif // QOPT_LIB_KERNELS_ATTENTIONDECODE_ATTENTIONDECODEORDER_H
