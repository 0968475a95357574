// The checks of an access that is within bounds: initialised bytes, pending
// asynchronous copies, data races; and what synchronising accesses and fences
// teach a warp.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
#ifndef QOPT_RUNTIME_EMULATOR_CHECKS_ACCESSCHECKS_H
#define QOPT_RUNTIME_EMULATOR_CHECKS_ACCESSCHECKS_H

#include "runtime/emulator/MemoryAccess.h"

namespace qopt::emulator {

/// `addresses`: global addresses. Lanes with a finding leave the mask; false
/// when the launch stops.
bool checkGlobal(Warp &warp, const Inst &inst, uint32_t &mask, unsigned bytes,
                 AccessKind kind, const uint64_t *addresses);
/// `addresses`: in the shared space of the block `owner`, from sharedBase on.
bool checkShared(Warp &warp, Block &owner, const Inst &inst, uint32_t &mask,
                 unsigned bytes, AccessKind kind, const uint64_t *addresses);
/// A block has ended: what other blocks did to its shared memory must have been
/// before.
void checkLastAccesses(Block &block);

/// A range of the block's shared memory that an engine or an asynchronous copy
/// of `lane` reads or writes. `mark` is who the access is remembered as; an
/// atomic one's access is atomic.
bool checkSharedRange(Warp &warp, Block &block, const Inst &inst, unsigned lane,
                      uint32_t offset, uint32_t bytes, bool write,
                      AccessMark mark);
/// Remembers a write to shared memory whose conflicts were checked before.
void markSharedWrite(Block &block, uint32_t offset, uint32_t bytes,
                     AccessMark mark, uint32_t position);
/// A range of global memory of the same; what reads and writes is atomic.
bool checkGlobalRange(Warp &warp, const Inst &inst, unsigned lane,
                      uint64_t address, uint64_t bytes, AccessKind kind);

/// Before a strong write, and after a strong read, of the lanes' addresses: the
/// clocks they publish and observe. No effect without the race check.
void publish(Warp &warp, const Inst &inst, uint32_t mask, ptx::Space space,
             const uint64_t *addresses);
void observe(Warp &warp, const Inst &inst, uint32_t mask, ptx::Space space,
             const uint64_t *addresses);
/// fence and membar.
void fence(Warp &warp, SyncScope scope);

} // namespace qopt::emulator

#endif // QOPT_RUNTIME_EMULATOR_CHECKS_ACCESSCHECKS_H
