// The order in which the lanes of a diverged warp are run: the group that is
// earliest in it goes first, so that groups meet again at the first place
// where their ways join.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
#ifndef QOPT_RUNTIME_EMULATOR_RANKS_H
#define QOPT_RUNTIME_EMULATOR_RANKS_H

#include "runtime/emulator/Program.h"

namespace qopt::emulator {

/// Gives the instructions of the function that begins at `first` and ends with
/// the program their ranks: basic blocks in reverse post-order, in which a loop
/// is left out of the order of what follows it until it is complete. Then the
/// earliest of two groups that will meet at a post-dominator never passes it.
void rankInstructions(Program &program, const ptx::Function &function,
                      uint32_t first);

} // namespace qopt::emulator

#endif // QOPT_RUNTIME_EMULATOR_RANKS_H
