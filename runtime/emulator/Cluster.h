// The blocks of a cluster, which are on the emulated device together and reach
// each other's shared memory. One host thread runs the warps of all of them in
// turns, as if they were of one block. Without .reqnctapercluster a cluster is
// one block.
//
// Addresses in shared::cluster, and generic ones behind their window:
//
//   31      24  23                      0
//   rank + 1    address in the block        of the block with that rank
//   0           address in the block        of the block that asks
//
// so that a block's shared addresses are shared::cluster addresses of its own.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
#ifndef QOPT_RUNTIME_EMULATOR_CLUSTER_H
#define QOPT_RUNTIME_EMULATOR_CLUSTER_H

#include "runtime/emulator/Block.h"

namespace qopt::emulator {

constexpr unsigned rankShift = 24;
constexpr uint32_t rankBits = 0xff000000u;

/// barrier.cluster. A thread that has arrived must wait before it arrives
/// again; it may do so after the phase is complete.
struct ClusterBarrier {
  /// What the lanes of a warp have done.
  struct Lanes {
    uint32_t arrived = 0; ///< in the present phase
    uint32_t owing = 0;   ///< arrived in this phase or the last, no wait yet
    uint32_t waiting = 0; ///< of those that arrived together, have waited
    uint32_t arrivedInst = 0; ///< where the first of them stand
    uint32_t waitingInst = 0;
  };
  std::vector<Lanes> warps; ///< of all blocks
  VectorClock arriving;     ///< of the present phase
  VectorClock complete;     ///< of all completed phases
};

class Cluster {
public:
  explicit Cluster(Worker &worker);

  /// `number`: of the cluster in the grid.
  void start(uint64_t number);
  /// Runs about `slice` warp instructions; true when all threads have ended.
  bool run(uint64_t slice);
  /// Stores and arrivals until now: what can end a wait.
  uint64_t events() const;

  // For the handlers.
  Step arrive(Warp &warp, const Inst &inst, uint32_t mask);
  Step wait(Warp &warp, const Inst &inst, uint32_t mask);
  /// A thread has ended: the barrier may be complete.
  void recheckBarrier();
  /// The block that an address of shared::cluster is in, seen from `from`; null
  /// when there is none.
  Block *blockOf(Block &from, uint64_t address) const;
  /// The block whose shared memory a byte lies in, or null.
  Block *holderOf(const uint8_t *place) const;
  /// The address in shared::cta of one in shared::cluster, if it is of `own`;
  /// else the address itself.
  uint64_t ownAddress(Block &own, uint64_t address) const {
    return blockOf(own, address) == &own ? address & ~uint64_t(rankBits)
                                         : address;
  }
  uint32_t size() const { return uint32_t(blocks.size()); }

  Worker &worker;
  Grid &grid;
  uint32_t coordinates[3] = {0, 0, 0};        ///< in clusters
  std::vector<std::unique_ptr<Block>> blocks; ///< by rank

private:
  bool runWarp(Warp &warp);
  ClusterBarrier::Lanes &lanesOf(const Warp &warp);
  bool isAligned(Warp &warp, const Inst &inst, uint32_t mask, uint32_t others,
                 const char *does);
  void publishArrival(Warp &warp, uint32_t relaxed);
  void completeBarrier();
  bool isComplete() const;
  bool resolveStandstill();
  bool landNextCopy();
  bool wakeByTimeout();
  void reportDeadlock();

  std::vector<Warp *> warps; ///< of all blocks, by rank
  ClusterBarrier barrier;
  uint64_t executed = 0;
  uint64_t timeoutEvents = 0; ///< events at the last time limit given out
  uint32_t timeouts = 0;
  size_t turn = 0;
};

/// Inst::aux of barrier.cluster.
enum ClusterBarrierFlags : uint32_t { ClusterAligned = 1, ClusterRelaxed = 2 };

} // namespace qopt::emulator

#endif // QOPT_RUNTIME_EMULATOR_CLUSTER_H
