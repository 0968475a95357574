// Vector clocks over the warps of a launch. A warp's clock ticks when it
// publishes what it did (a barrier, an arrival, a release); an access is known
// to another warp when that warp's clock has seen the tick.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
#ifndef QOPT_RUNTIME_EMULATOR_VECTORCLOCK_H
#define QOPT_RUNTIME_EMULATOR_VECTORCLOCK_H

#include <algorithm>
#include <cstdint>
#include <utility>
#include <vector>

namespace qopt::emulator {

/// Entries sorted by warp (its number in the whole grid); absent means 0.
class VectorClock {
public:
  uint32_t at(uint32_t warp) const {
    auto place = find(warp);
    return place != entries.end() && place->first == warp ? place->second : 0;
  }

  void raise(uint32_t warp, uint32_t clock) {
    auto place = entries.begin() + (find(warp) - entries.cbegin());
    if (place == entries.end() || place->first != warp)
      entries.insert(place, {warp, clock});
    else
      place->second = std::max(place->second, clock);
  }

  void join(const VectorClock &other);
  void clear() { entries.clear(); }
  bool empty() const { return entries.empty(); }

private:
  using Entry = std::pair<uint32_t, uint32_t>;
  std::vector<Entry>::const_iterator find(uint32_t warp) const {
    return std::lower_bound(
        entries.begin(), entries.end(), warp,
        [](const Entry &entry, uint32_t key) { return entry.first < key; });
  }
  std::vector<Entry> entries;
};

/// What one warp knows, and what its fences have prepared.
struct ClockState {
  uint32_t warp = 0; ///< number in the grid
  VectorClock known; ///< the own entry is the current tick
  uint32_t tick = 1;
  uint32_t engineTick = 0;   ///< asynchronous operations begun
  VectorClock fencedBlock;   ///< published by later relaxed writes, scope cta
  VectorClock fencedCluster; ///< … scope cluster, if it has several blocks
  VectorClock fencedDevice;  ///< … scope gpu or wider
  VectorClock fencedInits;   ///< by fence.mbarrier_init
  VectorClock observed;      ///< read by relaxed reads, known after a fence

  void start(uint32_t number) {
    *this = ClockState();
    warp = number;
    known.raise(warp, tick);
  }
  /// What was done until now is under the old tick, what follows under a new.
  void advance() { known.raise(warp, ++tick); }
};

} // namespace qopt::emulator

#endif // QOPT_RUNTIME_EMULATOR_VECTORCLOCK_H
