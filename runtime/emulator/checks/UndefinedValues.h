// Undefined values on their way through the registers: bytes that nobody has
// written may be loaded, moved, computed with and selected away; a finding is
// the use that makes a difference: an address, a guard, what global memory or
// an atomic instruction gets, and the arguments of all else that has an effect
// (Nethercote and Seward, Memcheck, VEE 2007). Known by bit where an
// instruction moves bits or combines them one by one, by lane elsewhere.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
#ifndef QOPT_RUNTIME_EMULATOR_CHECKS_UNDEFINEDVALUES_H
#define QOPT_RUNTIME_EMULATOR_CHECKS_UNDEFINEDVALUES_H

#include "runtime/emulator/Warp.h"

namespace qopt::emulator {

/// The lanes that an instruction concerns and whose operands are undefined, in
/// part at least; with none, its results become defined. Most instructions go
/// no other way.
inline uint32_t undefinedLanes(Warp &warp, const Inst &inst, uint32_t mask) {
  uint32_t known = fullMask;
  for (unsigned i = 0; i < inst.sources; ++i)
    known &= warp.shadow.lanesDefined(inst.source(i));
  uint32_t undefined = mask & ~known;
  if (inst.guard)
    undefined |= warp.group().mask & ~warp.shadow.lanesDefined(inst.guard);
  if (!undefined)
    for (unsigned i = 0; i < inst.destinations; ++i)
      warp.shadow.define(inst.destination(i), mask);
  return undefined;
}

/// Executes an instruction some of whose operands are undefined: reports uses,
/// and gives its results what is undefined of them.
Step runUndefined(Warp &warp, const Inst &inst, uint32_t mask);

/// One finding for the lanes that use an undefined value. `what` is used:
/// "the address". False when the launch stops.
bool reportUse(Warp &warp, const Inst &inst, uint32_t mask,
               const std::string &what, Origin origin);

} // namespace qopt::emulator

#endif // QOPT_RUNTIME_EMULATOR_CHECKS_UNDEFINEDVALUES_H
