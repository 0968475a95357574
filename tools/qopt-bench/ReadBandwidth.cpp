// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
#include "tools/qopt-bench/ReadBandwidth.h"

#include "runtime/host/ThreadPool.h"

#include <algorithm>
#include <atomic>
#include <chrono>

namespace qopt::bench {

ReadBandwidth::ReadBandwidth(size_t bytes, int threads)
    : threads(threads), buffer(bytes / sizeof(uint64_t)) {
  // Pages that were never written would all be the one zero page.
  for (size_t i = 0; i < buffer.size(); ++i)
    buffer[i] = i;
}

/// Reads `data` as a core reads fastest: four streams, each asking for lines
/// ahead of its sum. One stream without that stays a quarter below what a core
/// can have outstanding, and a roof below what kernels reach is none.
static uint64_t sum(const uint64_t *data, int64_t count) {
  constexpr int64_t streams = 4, line = 64 / sizeof(uint64_t),
                    ahead = 16 * line;
  int64_t each = count / streams / line * line;
  uint64_t totals[streams] = {};
  for (int64_t i = 0; i < each; i += line)
    for (int64_t stream = 0; stream < streams; ++stream) {
      const uint64_t *next = data + stream * each + i;
      __builtin_prefetch(next + ahead);
      for (int64_t word = 0; word < line; ++word)
        totals[stream] += next[word];
    }
  uint64_t total = 0;
  for (uint64_t part : totals)
    total += part;
  for (int64_t i = streams * each; i < count; ++i)
    total += data[i];
  return total;
}

double ReadBandwidth::measure(int passes) const {
  host::ThreadPool pool(threads);
  std::atomic<uint64_t> total{0};
  double fastest = 0;
  for (int pass = 0; pass < passes; ++pass) {
    auto start = std::chrono::steady_clock::now();
    pool.parallelFor(int64_t(buffer.size()), 1,
                     [&](int64_t begin, int64_t end) {
                       total += sum(buffer.data() + begin, end - begin);
                     });
    std::chrono::duration<double> spent =
        std::chrono::steady_clock::now() - start;
    fastest = std::max(fastest, double(bytes()) / spent.count());
  }
  // The sum is used, so the reads cannot be left out.
  return total == 1 ? 0 : fastest;
}

} // namespace qopt::bench
