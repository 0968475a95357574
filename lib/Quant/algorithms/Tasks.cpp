// Threads start with the call: a task is a tile's work, beside which that is
// nothing.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
#include "lib/Quant/algorithms/Tasks.h"
#include <algorithm>
#include <atomic>
#include <thread>
#include <vector>

namespace qopt::quant {

void forTasks(unsigned threads, int64_t count,
              const std::function<void(int64_t)> &body) {
  std::atomic<int64_t> next{0};
  auto work = [&] {
    for (int64_t task = next++; task < count; task = next++)
      body(task);
  };
  std::vector<std::thread> others;
  for (int64_t i = 1; i < std::min<int64_t>(threads, count); ++i)
    others.emplace_back(work);
  work();
  for (std::thread &other : others)
    other.join();
}

} // namespace qopt::quant
