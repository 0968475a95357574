// Writes new keys and values into their pages: keys one by one into a
// transposed group (those in groups of positions: KeyGroups.cpp), values as a
// row. A step appends few tokens, so conversion is scalar.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
#include "lib/Quant/FloatConversion.h"
#include "lib/Quant/VectorCodes.h"
#include "runtime/host/KeyGroups.h"
#include "runtime/host/LatestPositions.h"

#include <algorithm>
#include <cstring>
#include <vector>

namespace qopt::host {

using quant::ElementType;

/// Byte i of the key of a position: its line has those of 16 positions.
constexpr int64_t lineStride = 16;

/// A key without scales to its place in a transposed group.
static void storeKey(ElementType type, const float *key, int64_t size,
                     uint8_t *target) {
  if (type == ElementType::F32) {
    for (int64_t i = 0; i < size; ++i)
      std::memcpy(target + i * lineStride * 4, key + i, 4);
    return;
  }
  auto *halves = reinterpret_cast<uint16_t *>(target);
  for (int64_t i = 0; i < size; ++i)
    halves[i * lineStride] = type == ElementType::F16
                                 ? quant::floatToHalf(key[i])
                                 : quant::floatToBfloat16(key[i]);
}

/// `keys`: those of a head in a page.
static void appendKey(const KvCacheLayout &layout, const float *key,
                      int64_t slot, uint8_t *keys) {
  int64_t size = layout.headSize, bits = quant::bitsOf(layout.key.element);
  int64_t group = slot / lineStride * lineStride * layout.keyRowBytes();
  if (layout.key.isFloat())
    return storeKey(layout.key.element, key, size,
                    keys + group + slot % lineStride * bits / 8);
  std::vector<uint8_t> codes(size_t(layout.keyRowBytes()));
  quant::VectorScale scale =
      quant::encodeVector(layout.key, key, size, codes.data());
  for (size_t i = 0; i < codes.size(); ++i)
    keys[group + int64_t(i) * lineStride + slot % lineStride] = codes[i];
  std::memcpy(keys + layout.keyCodeBytes() + slot * 2, &scale.scale, 2);
}

/// `values`: those of a head in a page.
static void appendValue(const KvCacheLayout &layout, const float *value,
                        int64_t slot, uint8_t *values) {
  const quant::Format &format = layout.value;
  const quant::Element &element = quant::elementOf(format.element);
  int64_t size = layout.headSize;
  uint8_t *codes = values + slot * layout.valueRowBytes();
  if (format.isFloat())
    return element.encode(value, size, codes);
  int64_t group = format.groupSize ? format.groupSize : size;
  auto *scales = reinterpret_cast<uint16_t *>(values + layout.valueCodeBytes() +
                                              slot * layout.valueScaleBytes());
  for (int64_t i = 0; i < size / group; ++i) {
    quant::VectorScale scale = quant::encodeVector(
        format, value + i * group, group, codes + i * group * element.bits / 8);
    scales[i] = scale.scale;
    if (format.zero == quant::ZeroType::Float)
      scales[size / group + i] = scale.offset;
  }
}

static void appendToken(const KvAppendArguments &a, int64_t token,
                        uint8_t *page, int64_t slot) {
  const KvCacheLayout &layout = a.layout;
  int64_t size = layout.headSize;
  for (int64_t head = 0; head < layout.keyHeads; ++head) {
    if (!layout.keyGroup())
      appendKey(layout, a.key + token * a.keyStride + head * size, slot,
                page + head * layout.keyHeadBytes());
    appendValue(layout, a.value + token * a.valueStride + head * size, slot,
                page + layout.valueOffset() + head * layout.valueHeadBytes());
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
  if (!layout.keyGroup() && !layout.recent)
    return;
  auto append = layout.recent ? appendLatest : appendKeyGroups;
  pool.parallelFor(arguments.batch.sequences * layout.keyHeads, 1,
                   [&](int64_t begin, int64_t end) {
                     for (int64_t i = begin; i < end; ++i)
                       append(arguments, i / layout.keyHeads,
                              i % layout.keyHeads);
                   });
}

} // namespace qopt::host
