// Greedy placement of buffers by size and by lifetime; see ArenaPlanner.h.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
#include "runtime/plan/ArenaPlanner.h"

#include <algorithm>
#include <numeric>
#include <utility>

namespace qopt::runtime {
namespace {

int64_t roundUp(int64_t bytes) {
  return (bytes + arenaAlignment - 1) / arenaAlignment * arenaAlignment;
}

bool overlap(const Lifetime &a, const Lifetime &b) {
  return a.first <= b.last && b.first <= a.last;
}

/// A buffer that has its place.
struct Placed {
  int64_t begin, end;
  uint32_t buffer;
};

/// The start of the smallest gap that holds `bytes` between the conflicting
/// neighbours, which are sorted by offset; behind all of them when there is no
/// gap.
int64_t bestFit(std::span<const Placed> conflicts, int64_t bytes) {
  int64_t end = 0, best = -1, bestGap = INT64_MAX;
  for (const Placed &placed : conflicts) {
    int64_t gap = placed.begin - end;
    if (gap >= bytes && gap < bestGap)
      best = end, bestGap = gap;
    end = std::max(end, placed.end);
  }
  return best >= 0 ? best : end;
}

ArenaPlan placeInOrder(std::span<const Lifetime> buffers,
                       std::span<const uint32_t> order) {
  ArenaPlan plan;
  plan.offsets.resize(buffers.size());
  std::vector<Placed> placed, conflicts;
  for (uint32_t buffer : order) {
    int64_t bytes = roundUp(buffers[buffer].bytes);
    conflicts.clear();
    for (const Placed &other : placed)
      if (overlap(buffers[other.buffer], buffers[buffer]))
        conflicts.push_back(other);
    int64_t offset = bestFit(conflicts, bytes);
    plan.offsets[buffer] = offset;
    plan.bytes = std::max(plan.bytes, offset + bytes);
    if (bytes == 0)
      continue;
    Placed here = {offset, offset + bytes, buffer};
    auto after = std::upper_bound(
        placed.begin(), placed.end(), here,
        [](const Placed &a, const Placed &b) { return a.begin < b.begin; });
    placed.insert(after, here);
  }
  return plan;
}

/// Places in the given order, then again and again with the buffer that ended
/// highest moved to the front, while that may help: what sticks out had come
/// too late to find room.
void improve(std::span<const Lifetime> buffers, std::vector<uint32_t> order,
             int64_t bound, ArenaPlan &best) {
  constexpr int attempts = 12;
  for (int attempt = 0; attempt < attempts && best.bytes != bound; ++attempt) {
    ArenaPlan plan = placeInOrder(buffers, order);
    auto top = std::find_if(order.begin(), order.end(), [&](uint32_t buffer) {
      return plan.offsets[buffer] + roundUp(buffers[buffer].bytes) ==
             plan.bytes;
    });
    if (plan.bytes < best.bytes)
      best = std::move(plan);
    if (top == order.begin() || top == order.end())
      return;
    std::rotate(order.begin(), top, top + 1);
  }
}

} // namespace

ArenaPlan planArena(std::span<const Lifetime> buffers) {
  std::vector<uint32_t> order(buffers.size());
  std::iota(order.begin(), order.end(), 0);
  auto sortBy = [&](auto key) {
    std::sort(order.begin(), order.end(), [&](uint32_t a, uint32_t b) {
      int64_t keyA = key(buffers[a]), keyB = key(buffers[b]);
      return keyA != keyB ? keyA > keyB : a < b;
    });
  };
  auto length = [](const Lifetime &life) {
    return int64_t(life.last) - int64_t(life.first) + 1;
  };
  const int64_t bound = arenaLowerBound(buffers);
  ArenaPlan best;
  best.bytes = INT64_MAX;
  auto consider = [&](auto key) {
    if (best.bytes == bound)
      return;
    sortBy(key);
    improve(buffers, order, bound, best);
  };
  consider([](const Lifetime &life) { return life.bytes; });
  consider(length);
  consider([](const Lifetime &life) { return -int64_t(life.first); });
  consider([&](const Lifetime &life) { return life.bytes * length(life); });
  return best;
}

int64_t arenaLowerBound(std::span<const Lifetime> buffers) {
  // Bytes change only where a buffer begins or has just ended.
  std::vector<std::pair<uint64_t, int64_t>> changes;
  for (const Lifetime &life : buffers) {
    changes.emplace_back(life.first, roundUp(life.bytes));
    changes.emplace_back(uint64_t(life.last) + 1, -roundUp(life.bytes));
  }
  // At one step, what ends there ends before what begins.
  std::sort(changes.begin(), changes.end());
  int64_t live = 0, most = 0;
  for (const auto &[step, bytes] : changes) {
    live += bytes;
    most = std::max(most, live);
  }
  return most;
}

} // namespace qopt::runtime
