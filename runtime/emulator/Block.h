// A block of threads that is on the emulated device: its shared memory, its
// barriers, its warps, and the asynchronous copies in flight. Its cluster runs
// it.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
#ifndef QOPT_RUNTIME_EMULATOR_BLOCK_H
#define QOPT_RUNTIME_EMULATOR_BLOCK_H

#include "runtime/emulator/Grid.h"
#include "runtime/emulator/Warp.h"
#include "runtime/emulator/checks/SharedShadow.h"

#include <map>

namespace qopt::emulator {

/// What bar.red computes, in Inst::offset.
enum class BarrierVote : uint8_t { Count, All, Any };

/// One of the sixteen barriers of a block.
struct Barrier {
  std::vector<uint32_t> arrived; ///< lanes, by warp
  uint32_t waiting = 0;          ///< lanes that wait, not only arrived
  uint32_t expected = 0;         ///< threads; 0: all of the block
  uint32_t votes = 0;            ///< bar.red: lanes whose predicate holds
  uint32_t firstInst = 0;        ///< where the phase's first lanes stand
  bool active = false;
  VectorClock clock;
};

/// What an mbarrier's 64 bits in shared memory do not hold.
struct MbarrierState {
  VectorClock arriving;        ///< of the present phase
  VectorClock complete;        ///< of all completed phases
  VectorClock clusterArriving; ///< by .cluster arrivals, also of other blocks
  VectorClock clusterComplete;
};

class Block;

/// A copy by the bulk engine, an asynchronous store, or the arrival that
/// follows cp.async copies.
struct BulkCopy {
  enum Kind : uint8_t {
    GlobalToShared,
    SharedToGlobal,
    SharedToShared,
    Store,
    Arrive
  };
  Kind kind = GlobalToShared;
  uint64_t due = 0;    ///< in warp instructions of the cluster
  uint32_t shared = 0; ///< offset
  uint64_t global = 0;
  uint32_t bytes = 0;
  Reduction reduction;       ///< what happens to the destination
  Block *from = nullptr;     ///< SharedToShared: whose memory is read
  uint32_t source = 0;       ///< offset there
  std::vector<uint8_t> data; ///< of a Store
  uint32_t mbarrier = 0;     ///< shared address, 0 for none
  Warp *warp = nullptr;      ///< that issued it
  uint32_t lane = 0;
  uint32_t group = 0;              ///< of the thread's bulk groups
  uint32_t position = 0;           ///< of the instruction
  uint32_t tick = 0;               ///< of the warp's engine
  VectorClock clock;               ///< what the issuing warp knew
  std::vector<PendingCopy> copies; ///< that an Arrive waits for
};

class Cluster;

class Block {
public:
  Block(Cluster &cluster, uint32_t rank);

  /// Begins the cluster's block of this rank.
  void start();
  bool ended() const;
  /// All threads have ended.
  void finish();
  /// Puts a copy in flight.
  void send(BulkCopy copy);
  /// Performs the bulk copies whose time has come, or all.
  void landDueCopies(bool all);
  /// Performs the one that was sent first; false when there is none.
  bool landNextCopy();

  // For the handlers.
  Step arriveAtBarrier(Warp &warp, const Inst &inst, uint32_t mask,
                       uint32_t number, uint32_t threads, bool wait);
  /// bar.red: lanes whose predicate holds, before they arrive.
  void vote(uint32_t barrierNumber, uint32_t count) {
    if (barrierNumber < barriers.size())
      barriers[barrierNumber].votes += count;
  }
  /// A thread has ended: a barrier of all threads may be complete.
  void recheckBarriers();
  /// The bytes of shared memory [offset, offset + size) are allocated.
  bool holdsShared(uint64_t offset, uint64_t size) const {
    return size <= shared.size() && offset <= shared.size() - size;
  }
  void wakeMbarrier(uint32_t address);

  Cluster &cluster;
  Worker &worker;
  Grid &grid;
  const uint32_t rank; ///< in the cluster
  uint32_t inCluster[3] = {0, 0, 0};
  uint32_t coordinates[3] = {0, 0, 0};
  uint64_t number = 0;
  std::vector<uint8_t> shared;
  std::vector<std::unique_ptr<Warp>> warps;
  std::map<uint32_t, MbarrierState> mbarriers; ///< initialised ones
  std::deque<BulkCopy> bulk;                   ///< in flight, see send
  std::unique_ptr<SharedShadow> shadow;        ///< with any check
  uint64_t executed = 0;
  uint64_t clockReads = 0;
  uint64_t events = 0; ///< stores and arrivals: what can end a wait

private:
  std::string divergenceAt(const Barrier &barrier, Warp &warp, const Inst &inst,
                           uint32_t mask, uint32_t threads) const;
  void completeBarrier(uint32_t number);
  void giveVotes(const Barrier &barrier, Warp &warp, const Group &group);
  uint32_t arrivedThreads(const Barrier &barrier) const;
  bool isComplete(const Barrier &barrier) const;
  void reportLeftovers();

  std::vector<Barrier> barriers;
  uint64_t nextDue = 0; ///< no copy in flight is due before
};

/// ops/Bulk.cpp: performs a copy whose time has come.
void landBulkCopy(Block &block, BulkCopy &copy);

} // namespace qopt::emulator

#endif // QOPT_RUNTIME_EMULATOR_BLOCK_H
