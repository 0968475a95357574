// What all asynchronous copies and stores have in common: who they are for the
// race check, when they land, how their destination is guarded until then, and
// what their ends must be.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
#ifndef QOPT_RUNTIME_EMULATOR_OPS_ASYNCCOPIES_H
#define QOPT_RUNTIME_EMULATOR_OPS_ASYNCCOPIES_H

#include "runtime/emulator/Cluster.h"
#include "runtime/emulator/MemoryAccess.h"

namespace qopt::emulator {

/// Longest time that the copy engine takes, in warp instructions of the
/// cluster.
constexpr uint32_t longestFlight = 2000;

/// An access by the warp's copy engine; an atomic one is for the device.
AccessMark engineMark(const Warp &warp, unsigned lane, uint32_t tick,
                      bool atomic = false);
/// The clock of an asynchronous operation that begins now, with a tick of its
/// own; empty without the race check.
VectorClock departure(Warp &warp, uint32_t tick);
/// Guards [offset, offset + bytes) until the copy lands.
void guard(Block &block, uint32_t offset, uint32_t bytes, uint32_t line);
/// A copy by cp.async lands.
void landCopy(Block &block, const PendingCopy &copy, AccessMark mark);

/// Both ends of a copy between shared and global memory.
struct Ends {
  Block *block = nullptr; ///< whose shared memory it is
  uint32_t shared = 0;    ///< offset
  uint64_t global = 0;
};
/// What is copied between them.
struct Extents {
  uint32_t sharedBytes = 0;
  uint32_t globalBytes = 0; ///< 0: that end is not looked at
  uint32_t alignment = 0;
  bool toShared = false;
  bool reduces = false; ///< what is in global memory is read too
};
/// Within bounds, aligned, and free to be used. False when the lane must not
/// copy; `stops`: nor the launch go on.
bool checkEnds(Warp &warp, const Inst &inst, unsigned lane, Ends ends,
               Extents extents, bool &stops);

/// "" where an mbarrier may count the bytes that arrive in the block `target`;
/// else what is wrong. `address`: of shared::cluster; `offset`: the mbarrier's
/// in the block.
std::string wrongBarrier(Warp &warp, Block *target, uint64_t address,
                         uint32_t offset);
/// Where bytes for a block's shared memory go, and what they do there.
struct SharedTarget {
  Block *block = nullptr;
  uint32_t offset = 0;
  uint32_t bytes = 0;
  uint32_t tick = 0; ///< of the warp's engine
  bool reduces = false;
};
/// Checks the destination, and guards what is stored until it lands; what is
/// reduced is remembered as accessed from now on. False when the launch stops.
bool prepareTarget(Warp &warp, const Inst &inst, unsigned lane,
                   const SharedTarget &target);
/// "block 3 has ended and its shared memory with it"
std::string endedBlock(const Block &block);

/// Second address of an instruction: source 1, offset2.
void secondAddresses(Warp &warp, const Inst &inst, uint64_t *addresses);
/// The first two operands are addresses, the destination first.
bool twoAddresses(Decoder &decoder, ptx::Space first, ptx::Space second);
/// A literal count, as of wait_group.
bool literalOperand(Decoder &decoder, size_t n, int64_t &value);

} // namespace qopt::emulator

#endif // QOPT_RUNTIME_EMULATOR_OPS_ASYNCCOPIES_H
