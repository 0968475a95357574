// The family `attention_prefill`: attention of many new tokens a sequence over
// a paged cache that has their keys and values already, where products are what
// takes the time. It continues wherever a cache stands: a chunk of a prompt, a
// whole one, several sequences at once.
//
// Problem, tile and products are attention_decode's; the division of work is
// not. A block has one sequence, one key head and blockRows() query rows (new
// tokens × heads that share the key head); its warps have rows of their own,
// and one ring of tiles serves them all, so that a key that was read from the
// cache serves all rows of the block. A block walks the positions up to its
// last row's, from its first row's window on.
//
//   blocks   x: 1   y: key heads × blocks of rows   z: sequences
//
//            positions  0 … | tile | tile | tile | tile
//   warp 0   rows 0…15      ██████████████▙▁▁▁▁▁
//   warp 1   rows 16…31     █████████████████▙▁▁
//   warp 2   …              ████████████████████▙
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
#ifndef QOPT_LIB_KERNELS_ATTENTIONPREFILL_ATTENTIONPREFILL_H
#define QOPT_LIB_KERNELS_ATTENTIONPREFILL_ATTENTIONPREFILL_H

#include "lib/Kernels/AttentionDecode/AttentionDecode.h"

namespace qopt::kernels::attention_prefill {

using attention_decode::Cost;
using attention_decode::Division;
using attention_decode::Launch;
using attention_decode::launchOf;
using attention_decode::Plan;
using attention_decode::planOf;
using attention_decode::Problem;
using attention_decode::Schedule;
using attention_decode::symbolOf;

/// Why a schedule cannot be built; ok if it can.
Status isValid(const Problem &problem, const Schedule &schedule,
               const target::Target &target);

/// The schedule that holds the most rows a warp.
StatusOr<Schedule> chooseSchedule(const Problem &problem,
                                  const target::Target &target);

/// What a launch for sequences that all have `tokens` new tokens and `context`
/// positions, those included, costs.
Cost costOf(const Problem &problem, const Schedule &schedule,
            const target::Target &target, int64_t sequences, int64_t tokens,
            int64_t context);

} // namespace qopt::kernels::attention_prefill

#endif // QOPT_LIB_KERNELS_ATTENTIONPREFILL_ATTENTIONPREFILL_H
