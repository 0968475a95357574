// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
#include "runtime/emulator/VectorClock.h"

namespace qopt::emulator {

void VectorClock::join(const VectorClock &other) {
  if (other.entries.empty())
    return;
  // Mostly the other side has the same warps: no entry is added.
  std::vector<Entry> merged;
  merged.reserve(entries.size() + other.entries.size());
  auto a = entries.begin();
  auto b = other.entries.begin();
  while (a != entries.end() && b != other.entries.end()) {
    if (a->first == b->first) {
      merged.push_back({a->first, std::max(a->second, b->second)});
      ++a;
      ++b;
    } else {
      merged.push_back(a->first < b->first ? *a++ : *b++);
    }
  }
  merged.insert(merged.end(), a, entries.end());
  merged.insert(merged.end(), b, other.entries.end());
  entries = std::move(merged);
}

} // namespace qopt::emulator
