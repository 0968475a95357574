// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
#include "runtime/emulator/checks/GlobalShadow.h"

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

} // namespace qopt::emulator
