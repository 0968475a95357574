// The pages of a KV cache: which are free, and a promise to each admitted
// request that it gets all it may need, so that a started request never has to
// stop. Counts only; the memory itself belongs to the decoder.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
#ifndef QOPT_RUNTIME_PAGEPOOL_H
#define QOPT_RUNTIME_PAGEPOOL_H

#include <atomic>
#include <cassert>
#include <cstdint>
#include <vector>

namespace qopt::runtime {

class PagePool {
public:
  explicit PagePool(int64_t pages)
      : total(pages), unpromised(pages), freePages(size_t(pages)) {
    // The lowest numbers are on top: memory is touched from the front.
    for (int64_t page = 0; page < pages; ++page)
      freePages[size_t(page)] = int32_t(pages - 1 - page);
  }

  int64_t pages() const { return total; }
  /// Pages that are neither used nor promised. May be asked from any thread.
  int64_t available() const { return unpromised; }

  /// Sets pages aside; false when fewer are available.
  bool reserve(int64_t count) {
    if (count > unpromised)
      return false;
    unpromised -= count;
    return true;
  }
  /// Gives up what is left of a reservation.
  void unreserve(int64_t count) { unpromised += count; }
  /// Takes one page that was reserved before.
  int32_t take() {
    assert(!freePages.empty());
    int32_t page = freePages.back();
    freePages.pop_back();
    return page;
  }
  void giveBack(const std::vector<int32_t> &pages) {
    freePages.insert(freePages.end(), pages.rbegin(), pages.rend());
    unpromised += int64_t(pages.size());
  }

private:
  int64_t total;
  std::atomic<int64_t> unpromised;
  std::vector<int32_t> freePages;
};

} // namespace qopt::runtime

#endif // QOPT_RUNTIME_PAGEPOOL_H
