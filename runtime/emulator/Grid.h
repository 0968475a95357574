// One launch: what all its blocks share, and what each host thread keeps for
// itself. Internal to the emulator.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
#ifndef QOPT_RUNTIME_EMULATOR_GRID_H
#define QOPT_RUNTIME_EMULATOR_GRID_H

#include "runtime/emulator/Emulator.h"
#include "runtime/emulator/Program.h"
#include "runtime/emulator/checks/GlobalShadow.h"

#include <atomic>
#include <deque>
#include <mutex>
#include <unordered_map>
#include <unordered_set>

namespace qopt::emulator {

class Cluster;

/// What all host threads of a launch see.
struct Grid {
  explicit Grid(const Program &program) : program(program) {}

  const Program &program;
  Extent extent;
  Extent block;
  Extent cluster; ///< in blocks
  uint32_t dynamicShared = 0;
  std::span<const uint8_t> arguments;
  LaunchOptions options;
  std::vector<Allocation *> allocations;
  DeviceHeap *heap = nullptr;           ///< of a kernel that uses it
  std::unique_ptr<GlobalShadow> shadow; ///< with the race check

  std::atomic<uint64_t> nextCluster = 0;
  std::atomic<bool> stopped = false;
  std::mutex mutex; ///< of what follows
  std::vector<Finding> findings;

  uint32_t warpsPerBlock() const {
    return uint32_t((block.count() + lanes - 1) / lanes);
  }
  Extent clusters() const {
    return {extent.x / cluster.x, extent.y / cluster.y, extent.z / cluster.z};
  }
  /// The cluster of a block, both by their numbers.
  uint64_t clusterOf(uint64_t number) const;
  /// Keeps a finding; false when the launch is to stop.
  bool report(Finding finding);
};

/// Small and fast random numbers; the choice of schedules needs no more.
class Random {
public:
  explicit Random(uint64_t seed) : state(seed * 0x9e3779b97f4a7c15ull + 1) {}
  uint32_t next() {
    state ^= state << 13;
    state ^= state >> 7;
    state ^= state << 17;
    return uint32_t(state >> 32);
  }
  uint32_t below(uint32_t bound) {
    return uint32_t((uint64_t(next()) * bound) >> 32);
  }

private:
  uint64_t state;
};

struct InstCount {
  uint64_t warps = 0;
  uint64_t lanes = 0;
};

/// A host thread: it owns some resident clusters and runs them in turns.
struct Worker {
  Worker(Grid &grid, uint64_t seed);
  ~Worker();
  void run();

  /// The allocation that holds `address`, or null.
  Allocation *allocationAt(uint64_t address);
  void countGlobal(const uint64_t *addresses, uint32_t mask, unsigned bytes,
                   bool write);
  void countRange(uint64_t address, uint64_t bytes, bool write);
  void countShared(const Inst &inst, const uint64_t *addresses, uint32_t mask,
                   unsigned bytes);

  Grid &grid;
  Random random;
  std::vector<InstCount> counts; ///< by instruction
  std::vector<LineConflicts> conflicts;
  std::unordered_set<uint64_t> sectorsRead, sectorsWritten;
  uint64_t sectorsMoved = 0;
  uint64_t bulkRead = 0, bulkWritten = 0, asyncRead = 0;
  double processorSeconds = 0; ///< that run() took
  /// Of loads of bytes that nobody had written, by position: the first of them,
  /// "4 bytes at shared offset 64".
  std::unordered_map<uint32_t, std::string> undefinedReads;

private:
  std::unique_ptr<Cluster> takeCluster();
  void runClusters();
  /// True when all of the cluster's threads have ended.
  bool giveTurn(Cluster &cluster);

  Allocation *recent[4] = {};
  std::deque<std::unique_ptr<Cluster>> resident;
  std::vector<std::unique_ptr<Cluster>> spare;
};

} // namespace qopt::emulator

#endif // QOPT_RUNTIME_EMULATOR_GRID_H
