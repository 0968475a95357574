// Writes new keys and values into their pages: keys one by one into a
// transposed group (those with scales: KeyGroups.cpp), values as a row. A step
// appends few tokens, so conversion is scalar but for f32.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
#include "lib/Quant/FloatConversion.h"
#include "runtime/host/KeyGroups.h"

#include <algorithm>
#include <cstring>

namespace qopt::host {

using quant::ElementType;

/// `count` values to `target`, `step` elements apart.
static void storeValues(ElementType type, const float *values, int64_t count,
                        int64_t step, uint8_t *target) {
  if (type == ElementType::F32) {
    for (int64_t i = 0; i < count; ++i)
      std::memcpy(target + i * step * 4, values + i, 4);
    return;
  }
  uint16_t *halves = reinterpret_cast<uint16_t *>(target);
  if (type == ElementType::F16)
    for (int64_t i = 0; i < count; ++i)
      halves[i * step] = quant::floatToHalf(values[i]);
  else
    for (int64_t i = 0; i < count; ++i)
      halves[i * step] = quant::floatToBfloat16(values[i]);
}

static void appendToken(const KvAppendArguments &a, int64_t token,
                        uint8_t *page, int64_t slot) {
  const KvCacheLayout &layout = a.layout;
  int64_t size = layout.headSize;
  for (int64_t head = 0; head < layout.keyHeads && !layout.keyGroup; ++head) {
    uint8_t *keys = page + head * layout.keyHeadBytes() +
                    (slot / 16 * size * 16 + slot % 16) *
                        KvCacheLayout::elementBytes(layout.keyType);
    storeValues(layout.keyType, a.key + token * a.keyStride + head * size, size,
                16, keys);
  }
  for (int64_t head = 0; head < layout.keyHeads; ++head) {
    uint8_t *values =
        page + layout.valueOffset() + head * layout.valueHeadBytes() +
        slot * size * KvCacheLayout::elementBytes(layout.valueType);
    storeValues(layout.valueType, a.value + token * a.valueStride + head * size,
                size, 1, values);
  }
}

void appendTokens(const KvAppendArguments &a, int64_t begin, int64_t end) {
  const KvCacheLayout &layout = a.layout;
  const int32_t *starts = a.batch.tokenStarts;
  // The last sequence that starts at or before `begin`; those without tokens
  // start where the next one does.
  int64_t sequence =
      std::upper_bound(starts, starts + a.batch.sequences + 1, begin) - starts -
      1;
  for (int64_t token = begin; token < end; ++token) {
    while (token >= starts[sequence + 1])
      ++sequence;
    int64_t position =
        a.batch.contextStarts[sequence] + token - starts[sequence];
    int64_t page = a.batch.pageTable[sequence * a.batch.pageTableStride +
                                     position / layout.pageTokens];
    appendToken(a, token,
                static_cast<uint8_t *>(a.pages) + page * layout.pageBytes(),
                position % layout.pageTokens);
  }
}

void kvAppend(const KvAppendArguments &arguments, ThreadPool &pool) {
  const KvCacheLayout &layout = arguments.layout;
  int64_t grain = 8192 / (layout.keyHeads * layout.headSize) + 1;
  pool.parallelFor(
      arguments.batch.tokens(), grain,
      [&](int64_t begin, int64_t end) { appendTokens(arguments, begin, end); });
  if (!layout.keyGroup)
    return;
  pool.parallelFor(arguments.batch.sequences * layout.keyHeads, 1,
                   [&](int64_t begin, int64_t end) {
                     for (int64_t i = begin; i < end; ++i)
                       appendKeyGroups(arguments, i / layout.keyHeads,
                                       i % layout.keyHeads);
                   });
}

} // namespace qopt::host
