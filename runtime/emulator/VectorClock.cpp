// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
#include "runtime/emulator/VectorClock.h"

namespace qopt::emulator {

void VectorClock::join(const VectorClock &other) {
  // Mostly the other side has no warps but these: no entry is added.
  auto here = entries.begin();
  auto there = other.entries.begin();
  for (; there != other.entries.end(); ++there) {
    while (here != entries.end() && here->first < there->first)
      ++here;
    if (here == entries.end() || here->first != there->first)
      break;
    here->second = std::max(here->second, there->second);
  }
  if (there == other.entries.end())
    return;
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
