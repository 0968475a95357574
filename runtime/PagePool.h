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
  /// Pages have numbers of 32 bits.
  static constexpr int64_t mostPages = INT32_MAX;

  explicit PagePool(int64_t pages) : total(pages), unpromised(pages) {}

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
    if (freePages.empty()) {
      assert(untouched < total);
      return int32_t(untouched++);
    }
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
  int64_t untouched = 0; ///< the first page that was never used: memory is
                         ///< touched from the front
  std::vector<int32_t> freePages; ///< that were used before, the last on top
};

} // namespace qopt::runtime

#endif // QOPT_RUNTIME_PAGEPOOL_H
