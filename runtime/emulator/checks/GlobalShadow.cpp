// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
#include "runtime/emulator/checks/GlobalShadow.h"

#include <algorithm>

namespace qopt::emulator {

GlobalShadow::Page *GlobalShadow::page(uint64_t address, bool make) {
  uint64_t number = address / pageBytes;
  Shard &shard = shards[number % shards.size()];
  std::lock_guard<std::mutex> lock(shard.mutex);
  if (!make) {
    auto found = shard.pages.find(number);
    return found == shard.pages.end() ? nullptr : found->second.get();
  }
  std::unique_ptr<Page> &page = shard.pages[number];
  if (!page)
    page = std::make_unique<Page>();
  return page.get();
}

void GlobalShadow::forget(uint64_t address, uint64_t bytes) {
  const uint64_t end = address / 4 + bytes / 4;
  constexpr uint64_t pageWords = pageBytes / 4;
  for (uint64_t word = address / 4; word < end;) {
    const uint64_t next = std::min(end, (word / pageWords + 1) * pageWords);
    Page *known = page(word * 4, false);
    if (!known) {
      word = next;
      continue;
    }
    std::lock_guard<std::mutex> lock(known->mutex);
    for (; word < next; ++word)
      known->runs[word % pageWords / runWords].each()[word % runWords] =
          AccessCell();
  }
}

} // namespace qopt::emulator
