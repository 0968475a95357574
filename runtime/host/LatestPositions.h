// The latest and the first positions of a sequence in f16, beside their codes.
// Most of what a token attends to is among its latest positions (KIVI, arXiv
// 2402.02750) and the first ones (sinks; KVQuant, arXiv 2401.18079). A query at
// position p reads
//
//   positions   0 … first−1 │ … │ p−recent+1 … p
//   as          f16           codes  f16
//
// whatever the step in which it comes: a token's result depends on its position
// alone. Groups of keys are no longer than `recent`, so that all that are read
// as codes are full.
//
// Between steps a sequence's slot (KeyGroups.h) has for each head, in f16:
//
//   latest keys [recent][D], row position % recent │ latest values likewise
//   first keys [first/16][D][16]                   │ first values [first][D]
//
// During a step its queries read rows that kvAppend writes, of the last layer
// only: for each sequence and head the positions from `base` to the sequence's
// new length, transposed as in a page:
//
//   keys [n/16][D][16] │ values [n][D]
//   base = the largest multiple of 16 up to context − recent, or 0
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
#ifndef QOPT_RUNTIME_HOST_LATESTPOSITIONS_H
#define QOPT_RUNTIME_HOST_LATESTPOSITIONS_H

#include "runtime/host/CachedAttention.h"

#include <algorithm>

namespace qopt::host {

/// Keys and values of a head, where elements lie: [n/16][D][16] and [n][D].
inline int64_t keyElement(int64_t row, int64_t channel, int64_t size) {
  return (row / 16 * size + channel) * 16 + row % 16;
}

/// The f16 parts of a slot of one head; `Bytes` is uint8_t, perhaps const.
template <typename Half> struct SlotHead {
  Half *keys, *values, *firstKeys, *firstValues;

  template <typename Bytes>
  SlotHead(const KvCacheLayout &layout, Bytes *pages, int32_t slot,
           int64_t head) {
    Bytes *begin =
        pages + slot * layout.slotBytes() + head * layout.slotHeadBytes();
    keys = reinterpret_cast<Half *>(begin);
    values = keys + layout.recent * layout.headSize;
    firstKeys = values + layout.recent * layout.headSize;
    firstValues = firstKeys + layout.first * layout.headSize;
  }
};

/// The rows of one sequence and head in a step.
struct StepRows {
  int64_t base;    ///< position of the first
  int64_t rows;    ///< n, a multiple of 16
  int64_t element; ///< of the first key, in all rows

  StepRows(const KvCacheLayout &layout, const RaggedBatch &batch,
           int64_t sequence, int64_t head) {
    int64_t context = batch.contextStarts[sequence];
    int64_t token = batch.tokenStarts[sequence];
    base = std::max<int64_t>(context - layout.recent, 0) & ~15;
    rows =
        (context + batch.tokenStarts[sequence + 1] - token - base + 15) & ~15;
    // Room for what each sequence has beside its new tokens.
    int64_t before = token + sequence * (layout.recent + padding);
    element = (before * layout.keyHeads + head * rows) * layout.headSize * 2;
  }
  int64_t valueElement(const KvCacheLayout &layout) const {
    return element + rows * layout.headSize;
  }
  /// Elements that a step needs.
  static int64_t elements(const KvCacheLayout &layout, int64_t tokens,
                          int64_t sequences) {
    if (!layout.recent)
      return 0;
    return (tokens + sequences * (layout.recent + padding)) * layout.keyHeads *
           layout.headSize * 2;
  }

private:
  static constexpr int64_t padding = 30; ///< both ends are rounded to 16
};

/// The new tokens of a sequence for one head: the rows of the step, the groups
/// of keys that become full, the slot. Other codes are appendTokens'.
void appendLatest(const KvAppendArguments &arguments, int64_t sequence,
                  int64_t head);

} // namespace qopt::host

#endif // QOPT_RUNTIME_HOST_LATESTPOSITIONS_H
