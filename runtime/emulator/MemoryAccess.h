// From the addresses in a warp's registers to bytes: spaces and windows,
// bounds, and all the checks that an access has to pass.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
#ifndef QOPT_RUNTIME_EMULATOR_MEMORYACCESS_H
#define QOPT_RUNTIME_EMULATOR_MEMORYACCESS_H

#include "runtime/emulator/Block.h"
#include "runtime/emulator/Decoder.h"
#include "runtime/emulator/Lanes.h"

namespace qopt::emulator {

/// In Inst::aux of memory instructions; the low bits are a ptx::Space.
enum AccessFlags : uint32_t {
  SpaceBits = 7,
  Strong = 8,      ///< relaxed, acquire, release, volatile, or an atomic
  BlockScope = 16, ///< .cta: only threads of the block synchronise
  Acquire = 32,
  Release = 64,
  ReadOnly = 128,     ///< ld.global.nc
  ClusterScope = 256, ///< .cluster, where clusters have several blocks
};

enum class AccessKind : uint8_t { Read, Write, ReadWrite };

/// The modifiers .relaxed, .acquire, .release, .acq_rel, .volatile and the
/// scopes as flags. `atomic`: the instruction is strong in any case.
uint32_t orderFlags(const Decoder &decoder, bool atomic);
/// The space among the modifiers, else generic.
ptx::Space spaceOf(const Decoder &decoder);
/// The number of registers of .v2, .v4 or .v8; 1 without.
unsigned vectorLength(const Decoder &decoder);

/// The scope among the modifiers as a flag. In a kernel without clusters
/// .cluster is .cta.
uint32_t scopeFlag(const Decoder &decoder);

/// Puts the addresses of an instruction's lanes into `addresses`: base register
/// n-th source, offset, and the frame of the call.
void computeAddresses(Warp &warp, const Inst &inst, unsigned n,
                      uint64_t *addresses);

/// Checks the access of `bytes` bytes at each address and gives the places.
/// Lanes that a finding excludes leave `mask`. False when the launch stops.
bool resolve(Warp &warp, const Inst &inst, ptx::Space space, uint32_t &mask,
             unsigned bytes, AccessKind kind, const uint64_t *addresses,
             uint8_t **places);

} // namespace qopt::emulator

#endif // QOPT_RUNTIME_EMULATOR_MEMORYACCESS_H
