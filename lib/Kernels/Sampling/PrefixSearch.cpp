// A search by histograms, the highest byte first.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
#include "lib/Kernels/Sampling/PrefixSearch.h"
#include "lib/Kernels/Sampling/Sampling.h"

using namespace mlir;
using namespace qopt;
using namespace qopt::kernels;
using namespace qopt::kernels::sampling;

constexpr int64_t binsPerLane = binCount / 32;

// What a round leaves behind its bins: the bin, the rest of the goal in it.
constexpr int64_t foundBin = 0, foundRest = 8;

PrefixSearch::PrefixSearch(Kernel &kernel)
    : k(kernel), bins(kernel.shared(binCount * 8)), found(kernel.shared(128)) {}

/// In one warp: a lane sums eight bins, and the one whose bins pass the goal
/// finds out which.
Long PrefixSearch::scanBins(Flag first, Long goal, Goal makeGoal) {
  Int begin = bins + k.lane() * (binsPerLane * 8);
  std::vector<Long> counts;
  Long sum = longConstant(k, 0);
  for (int64_t i = 0; i < binsPerLane; ++i) {
    counts.push_back(loadSharedLong(k, begin, i * 8));
    sum = sum + counts.back();
  }
  Long inclusive = sum;
  for (int distance = 1; distance < 32; distance *= 2) {
    Long below = fromLaneBelow(k, inclusive, distance);
    inclusive =
        select(k.lane() < k.constant(distance), inclusive, inclusive + below);
  }
  Long total = fromLane(k, inclusive, 31);
  goal = min(select(first, makeGoal(total), goal), total);
  Long before = inclusive - sum;
  k.when(before < goal && !(inclusive < goal), [&] {
    Int bin = k.lane() * binsPerLane, index = bin;
    Long running = before, rest = goal - before;
    for (int64_t i = 0; i + 1 < binsPerLane; ++i) {
      running = running + counts[size_t(i)];
      Flag passed = running < goal;
      index = select(passed, bin + (i + 1), index);
      rest = select(passed, goal - running, rest);
    }
    k.storeShared(found, foundBin, {index});
    storeSharedLong(k, found, foundRest, rest);
  });
  return goal;
}

/// Carried: the key's bytes that are known, in their place, and the goal.
Kernel::Values PrefixSearch::round(Int level, int bytes, Kernel::Values carried,
                                   Visit visit, Goal goal) {
  Int known{{&k, carried[0]}};
  Long rest{{&k, carried[1]}};
  Int shift = k.constant((bytes - 1) * 8) - (level << int64_t(3));
  // All bytes above this one; none in the first round.
  Int mask = k.constant(-256) << shift;
  Flag first = level == 0;
  mask = select(first, k.constant(0), mask);

  k.when(k.thread() < k.constant(binCount), [&] {
    storeSharedLong(k, bins + k.thread() * 8, 0, longConstant(k, 0));
  });
  k.syncBlock();
  visit(first, known, [&](Int key, Measure measure) {
    k.when(((key ^ known) & mask) == 0, [&] {
      addShared(k, bins + ((key >> shift) & (binCount - 1)) * 8, measure());
    });
  });
  k.syncBlock();
  k.when(k.warp() == 0, [&] { scanBins(first, rest, goal); });
  k.syncBlock();
  Int bin = k.loadShared(found, foundBin, 1).front();
  known = known | (bin << shift);
  return {known.value, loadSharedLong(k, found, foundRest).value};
}

PrefixSearch::Result PrefixSearch::find(int bytes, Visit visit, Goal goal) {
  Kernel::Values result =
      k.loop(k.constant(0), k.constant(bytes), k.constant(1),
             {k.constant(0).value, longConstant(k, 0).value},
             [&](Int level, Kernel::Values carried) {
               return round(level, bytes, std::move(carried), visit, goal);
             });
  return {{{&k, result[0]}}, {{&k, result[1]}}};
}
