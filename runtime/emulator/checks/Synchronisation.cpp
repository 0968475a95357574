// The edges of the happens-before order that memory itself makes: a release
// publishes what a warp knows at an address, an acquire of that address learns
// it; a fence turns the relaxed accesses around it into such a pair (PTX ISA,
// memory consistency model, release and acquire patterns).
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
#include "runtime/emulator/Cluster.h"
#include "runtime/emulator/checks/AccessChecks.h"

namespace qopt::emulator {
namespace {

/// Shared memory of different blocks must not meet in one table.
uint64_t publicAddress(const Warp &warp, ptx::Space space, uint64_t address) {
  uint64_t window = address & windowMask;
  bool shared =
      space == ptx::Space::Shared || space == ptx::Space::SharedCluster;
  if (!shared && window != sharedWindow)
    return address;
  address &= ~windowMask;
  const Block *owner = warp.block.cluster.blockOf(warp.block, address);
  return sharedWindow | (owner ? owner->number : 0) << 24 |
         (address & 0xffffff);
}

/// The number of the cluster, where the scope .cluster is one of its own.
uint64_t clusterNumber(const Warp &warp) {
  return warp.block.grid.clusterOf(warp.block.number);
}

/// What the warp publishes becomes part of the publication, in its scopes.
void publishTo(GlobalShadow::Publication &publication, const Warp &warp,
               uint32_t flags) {
  const ClockState &clocks = warp.clocks;
  bool release = flags & Release;
  if (publication.blockNumber != warp.block.number)
    publication.block.clear();
  publication.blockNumber = warp.block.number;
  publication.block.join(release ? clocks.known : clocks.fencedBlock);
  if (flags & BlockScope)
    return;
  if (warp.block.cluster.size() > 1) {
    uint64_t number = clusterNumber(warp);
    if (publication.clusterNumber != number)
      publication.cluster.clear();
    publication.clusterNumber = number;
    publication.cluster.join(release ? clocks.known : clocks.fencedCluster);
  }
  if (!(flags & ClusterScope))
    publication.device.join(release ? clocks.known : clocks.fencedDevice);
}

void learnFrom(const GlobalShadow::Publication &publication, const Warp &warp,
               uint32_t flags, VectorClock &learns) {
  if (publication.blockNumber == warp.block.number)
    learns.join(publication.block);
  if (flags & BlockScope)
    return;
  if (!publication.cluster.empty() &&
      publication.clusterNumber == clusterNumber(warp))
    learns.join(publication.cluster);
  if (!(flags & ClusterScope))
    learns.join(publication.device);
}

} // namespace

void publish(Warp &warp, const Inst &inst, uint32_t mask, ptx::Space space,
             const uint64_t *addresses) {
  Grid &grid = warp.block.grid;
  if (!grid.shadow)
    return;
  bool release = inst.aux & Release;
  if (!release && warp.clocks.fencedBlock.empty())
    return;
  forLanes(mask, [&](unsigned lane) {
    grid.shadow->withPublication(publicAddress(warp, space, addresses[lane]),
                                 [&](GlobalShadow::Publication &publication) {
                                   publishTo(publication, warp, inst.aux);
                                 });
  });
  if (release)
    warp.clocks.advance();
}

void observe(Warp &warp, const Inst &inst, uint32_t mask, ptx::Space space,
             const uint64_t *addresses) {
  Grid &grid = warp.block.grid;
  if (!grid.shadow)
    return;
  ClockState &clocks = warp.clocks;
  VectorClock &learns = inst.aux & Acquire ? clocks.known : clocks.observed;
  forLanes(mask, [&](unsigned lane) {
    grid.shadow->withPublication(publicAddress(warp, space, addresses[lane]),
                                 [&](GlobalShadow::Publication &publication) {
                                   learnFrom(publication, warp, inst.aux,
                                             learns);
                                 });
  });
}

void fence(Warp &warp, SyncScope scope) {
  if (!warp.block.grid.shadow)
    return;
  ClockState &clocks = warp.clocks;
  clocks.known.join(clocks.observed);
  clocks.observed.clear();
  clocks.fencedBlock = clocks.known;
  if (scope != SyncScope::Block && warp.block.cluster.size() > 1)
    clocks.fencedCluster = clocks.known;
  if (scope == SyncScope::Device)
    clocks.fencedDevice = clocks.known;
  clocks.advance();
}

} // namespace qopt::emulator
