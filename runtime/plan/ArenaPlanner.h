// Packs buffers that live at different times into one arena. A buffer is needed
// from the step that writes it to the last step that reads it, both included;
// two buffers may share bytes only if no step needs both. Finding the smallest
// arena is NP-hard; the planner places one buffer after the other where it fits
// best, in several orders (size, lifetime, both, time), moves what sticks out
// to the front and tries again, and keeps the smallest arena. No choice depends
// on addresses or threads.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
#ifndef QOPT_RUNTIME_PLAN_ARENAPLANNER_H
#define QOPT_RUNTIME_PLAN_ARENAPLANNER_H

#include <cstdint>
#include <span>
#include <vector>

namespace qopt::runtime {

/// Offsets are multiples of this, so that every buffer starts on a cache line.
inline constexpr int64_t arenaAlignment = 64;

/// Steps first…last (inclusive) need `bytes` bytes.
struct Lifetime {
  int64_t bytes;
  uint32_t first;
  uint32_t last;
};

struct ArenaPlan {
  std::vector<int64_t> offsets; ///< of each buffer, in the order given
  int64_t bytes = 0;            ///< size of the arena
};

ArenaPlan planArena(std::span<const Lifetime> buffers);

/// The most bytes, rounded up to the alignment, that any one step needs: no
/// plan can be smaller.
int64_t arenaLowerBound(std::span<const Lifetime> buffers);

} // namespace qopt::runtime

#endif // QOPT_RUNTIME_PLAN_ARENAPLANNER_H
