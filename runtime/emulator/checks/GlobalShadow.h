// What the race check knows of global memory: cells for the pages that a launch
// has touched, made when they are touched, and the clocks that synchronising
// writes have left behind. Shared by all host threads; a page is locked while
// its cells are looked at. What bulk copies touch as a whole has one cell for a
// run of words, until something touches a part of it.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
#ifndef QOPT_RUNTIME_EMULATOR_CHECKS_GLOBALSHADOW_H
#define QOPT_RUNTIME_EMULATOR_CHECKS_GLOBALSHADOW_H

#include "runtime/emulator/VectorClock.h"
#include "runtime/emulator/checks/AccessCell.h"

#include <array>
#include <memory>
#include <mutex>
#include <unordered_map>

namespace qopt::emulator {

class GlobalShadow {
public:
  static constexpr uint64_t pageBytes = 4096;

  /// Words that may have one cell.
  static constexpr uint64_t runWords = 64;

  class Run {
  public:
    /// The one cell of all words; null where they have cells of their own.
    AccessCell *whole() { return cells ? nullptr : &all; }
    /// A cell for each word.
    AccessCell *each() {
      if (!cells) {
        cells = std::make_unique<std::array<AccessCell, runWords>>();
        cells->fill(all);
      }
      return cells->data();
    }

  private:
    AccessCell all;
    std::unique_ptr<std::array<AccessCell, runWords>> cells;
  };

  struct Page {
    std::mutex mutex;
    std::array<Run, pageBytes / 4 / runWords> runs;
  };

  /// The page of an address; null when it does not exist and `make` is false.
  Page *page(uint64_t address, bool make);

  /// [address, address + bytes), whole words, has no history from now on.
  void forget(uint64_t address, uint64_t bytes);

  /// What a synchronising write has published at an address.
  struct Publication {
    VectorClock device;
    VectorClock cluster; ///< scope cluster
    VectorClock block;   ///< scope cta
    uint64_t clusterNumber = 0;
    uint64_t blockNumber = 0;
  };
  /// Calls `body(publication)` under a lock.
  template <typename Body> void withPublication(uint64_t address, Body body) {
    Shard &shard = shards[address / 8 % shards.size()];
    std::lock_guard<std::mutex> lock(shard.mutex);
    body(shard.publications[address & ~uint64_t(3)]);
  }

private:
  struct Shard {
    std::mutex mutex;
    std::unordered_map<uint64_t, std::unique_ptr<Page>> pages;
    std::unordered_map<uint64_t, Publication> publications;
  };
  std::array<Shard, 64> shards;
};

} // namespace qopt::emulator

#endif // QOPT_RUNTIME_EMULATOR_CHECKS_GLOBALSHADOW_H
