// The edges of the happens-before order that memory itself makes: a release
// publishes what a warp knows at an address, an acquire of that address learns
// it; a fence turns the relaxed accesses around it into such a pair (PTX ISA,
// memory consistency model, release and acquire patterns).
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
#include "runtime/emulator/checks/AccessChecks.h"

namespace qopt::emulator {
namespace {

/// Shared memory of different blocks must not meet in one table.
uint64_t publicAddress(const Warp &warp, ptx::Space space, uint64_t address) {
  uint64_t window = address & windowMask;
  if (space != ptx::Space::Shared && window != sharedWindow)
    return address;
  return sharedWindow | warp.block.number << 24 | (address & 0xffffff);
}

} // namespace

void publish(Warp &warp, const Inst &inst, uint32_t mask, ptx::Space space,
             const uint64_t *addresses) {
  Grid &grid = warp.block.grid;
  if (!grid.shadow)
    return;
  ClockState &clocks = warp.clocks;
  bool release = inst.aux & Release;
  const VectorClock &block = release ? clocks.known : clocks.fencedBlock;
  const VectorClock &device = release ? clocks.known : clocks.fencedDevice;
  if (block.empty())
    return;
  for (uint32_t rest = mask; rest; rest &= rest - 1) {
    uint64_t address = addresses[std::countr_zero(rest)];
    grid.shadow->withPublication(publicAddress(warp, space, address),
                                 [&](GlobalShadow::Publication &publication) {
                                   if (publication.blockNumber !=
                                       warp.block.number)
                                     publication.block.clear();
                                   publication.blockNumber = warp.block.number;
                                   publication.block.join(block);
                                   if (!(inst.aux & BlockScope))
                                     publication.device.join(device);
                                 });
  }
  if (release)
    clocks.advance();
}

void observe(Warp &warp, const Inst &inst, uint32_t mask, ptx::Space space,
             const uint64_t *addresses) {
  Grid &grid = warp.block.grid;
  if (!grid.shadow)
    return;
  ClockState &clocks = warp.clocks;
  VectorClock &learns = inst.aux & Acquire ? clocks.known : clocks.observed;
  for (uint32_t rest = mask; rest; rest &= rest - 1) {
    uint64_t address = addresses[std::countr_zero(rest)];
    grid.shadow->withPublication(publicAddress(warp, space, address),
                                 [&](GlobalShadow::Publication &publication) {
                                   if (!(inst.aux & BlockScope))
                                     learns.join(publication.device);
                                   if (publication.blockNumber ==
                                       warp.block.number)
                                     learns.join(publication.block);
                                 });
  }
}

void fence(Warp &warp, bool blockScope) {
  if (!warp.block.grid.shadow)
    return;
  ClockState &clocks = warp.clocks;
  clocks.known.join(clocks.observed);
  clocks.observed.clear();
  clocks.fencedBlock = clocks.known;
  if (!blockScope)
    clocks.fencedDevice = clocks.known;
  clocks.advance();
}

} // namespace qopt::emulator
