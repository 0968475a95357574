// Instructions that all lanes of a warp execute together.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
#ifndef QOPT_RUNTIME_EMULATOR_OPS_WHOLEWARP_H
#define QOPT_RUNTIME_EMULATOR_OPS_WHOLEWARP_H

#include "runtime/emulator/Lanes.h"

namespace qopt::emulator {

/// The handler that waits for the lanes of a diverged warp, reports those that
/// do not come, and then runs.
template <Step (*Run)(Warp &warp, const Inst &inst)>
Step onWholeWarp(Warp &warp, const Inst &inst, uint32_t mask) {
  if (!warp.converged(fullMask))
    return Step::Again;
  if (!warp.isWholeWarp(inst, mask))
    return Step::Stopped;
  return Run(warp, inst);
}

} // namespace qopt::emulator

#endif // QOPT_RUNTIME_EMULATOR_OPS_WHOLEWARP_H
