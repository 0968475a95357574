// What the loops over shared memory of large heads take of a warp, for the cost
// models of both attentions: arithmetic only.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
#ifndef QOPT_LIB_KERNELS_ATTENTIONDECODE_ATTENTIONDECODELOOPS_H
#define QOPT_LIB_KERNELS_ATTENTIONDECODE_ATTENTIONDECODELOOPS_H

#include "lib/Kernels/AttentionDecode/AttentionDecode.h"

namespace qopt::kernels::attention_decode {

/// Clocks of the loops of a tile: those that copy it, a chunk a thread each
/// turn, and those of its products, 32 channels a turn. 0 where keys have 256
/// channels or less, whose predictions were compared without them.
double loopClocksOf(const Problem &problem, const Schedule &schedule);

/// What loopClocksOf was measured with, for a term's reason.
inline constexpr std::string_view loopsWhy =
    "95 clocks a turn of a copy and 120 of a product of 16 positions (measured "
    "for heads of 320 and 512 channels)";

} // namespace qopt::kernels::attention_decode

#endif // QOPT_LIB_KERNELS_ATTENTIONDECODE_ATTENTIONDECODELOOPS_H
