// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
#include "CachePool.h"

#include <algorithm>
#include <vector>

using namespace qopt;
using namespace qopt::kernels;
using namespace qopt::kernels::test;

namespace {
/// Marks the bytes of one sequence's tokens.
struct Marker {
  const cuda::KvPageLayout &cache;
  const int32_t *table; ///< the sequence's row
  int64_t stride, context, length;
  std::vector<bool> &own;

  void mark(int64_t first, int64_t bytes) {
    for (int64_t i = first; i < first + bytes; ++i)
      own[size_t(i)] = true;
  }
  int64_t pageOf(int64_t position) const {
    return table[position / cache.page] * cache.pageBytes();
  }
  /// Codes of a position, and its scales and offsets of 16 bits.
  void markPosition(int64_t run, int64_t position, int64_t codes,
                    int64_t numbers) {
    int64_t in = position % cache.page;
    mark(run + in * (codes / cache.page), codes / cache.page);
    for (int64_t i = 0; i < numbers; ++i)
      mark(run + codes + 2 * (i * cache.page + in), 2);
  }
  /// Keys in groups: codes and scales of groups that have become full, rows of
  /// the slot of others.
  void markGroups(int64_t head) {
    int64_t group = cache.keyGroup();
    for (int64_t start = context / group * group; start < length;
         start += group) {
      if (start + group <= length) {
        int64_t run = pageOf(start) + cache.keyOffset(head);
        for (int64_t p = start; p < start + group; ++p)
          markPosition(run, p, cache.keyCodeBytes(), 0);
        mark(run + cache.keyCodeBytes() +
                 start % cache.page / group * cache.groupScaleBytes(),
             cache.groupScaleBytes());
        continue;
      }
      if (cache.recent)
        continue;
      int64_t slot =
          table[stride - 1] * cache.slotBytes() + head * cache.openHeadBytes();
      for (int64_t p = std::max(start, context); p < length; ++p)
        mark(slot + (p - start) * cache.openRowBytes(), cache.openRowBytes());
    }
  }
  /// Latest rows of the slot, and first ones.
  void markLatest(int64_t head) {
    int64_t slot =
        table[stride - 1] * cache.slotBytes() + head * cache.halvesHeadBytes();
    for (auto bytes : {cache.keyHalfBytes(), cache.valueHalfBytes()}) {
      for (int64_t p = std::max(context, length - cache.recent); p < length;
           ++p)
        mark(slot + p % cache.recent * bytes, bytes);
      slot += cache.recent * bytes;
    }
    for (auto bytes : {cache.keyHalfBytes(), cache.valueHalfBytes()}) {
      for (int64_t p = context; p < std::min(length, cache.first); ++p)
        mark(slot + p * bytes, bytes);
      slot += cache.first * bytes;
    }
  }
};
} // namespace

std::string test::strayWrite(const rotary_append::Problem &append,
                             const PoolBatch &batch,
                             std::span<const uint8_t> before,
                             std::span<const uint8_t> after) {
  const cuda::KvPageLayout &cache = append.cache;
  std::vector<bool> own(before.size());
  for (size_t s = 0; s < batch.contextStarts.size(); ++s) {
    int64_t context = batch.contextStarts[s];
    int64_t length = context + batch.tokenStarts[s + 1] - batch.tokenStarts[s];
    Marker marker = {cache,
                     batch.pageTable.data() +
                         int64_t(s) * append.pageTableStride,
                     append.pageTableStride,
                     context,
                     length,
                     own};
    for (int64_t head = 0; head < cache.keyHeads; ++head) {
      for (int64_t p = context; p < length; ++p) {
        int64_t page = marker.pageOf(p);
        if (!cache.keyGroup())
          marker.markPosition(page + cache.keyOffset(head), p,
                              cache.keyCodeBytes(), !cache.key.isFloat());
        marker.markPosition(page + cache.valueOffset(head), p,
                            cache.valueCodeBytes(), cache.valueNumbers());
      }
      if (cache.keyGroup())
        marker.markGroups(head);
      if (cache.recent)
        marker.markLatest(head);
    }
  }
  for (size_t i = 0; i < before.size(); ++i)
    if (before[i] != after[i] && !own[i])
      return "byte " + std::to_string(int64_t(i) % cache.pageBytes()) +
             " of page " + std::to_string(int64_t(i) / cache.pageBytes()) +
             " was written; no token of the batch has its place there";
  return "";
}
