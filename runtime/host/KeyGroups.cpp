// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
#include "runtime/host/KeyGroups.h"
#include "lib/Quant/Element.h"
#include "lib/Quant/FloatConversion.h"
#include "runtime/host/Scratch.h"

#include <algorithm>
#include <array>
#include <cmath>
#include <cstring>
#include <limits>

namespace qopt::host {

constexpr float infinity = std::numeric_limits<float>::infinity();

namespace {
/// How a channel of a group becomes codes.
struct ChannelCodes {
  uint16_t scale = 0, offset = 0; ///< f16
  float inverse = 0;              ///< 1 / scale; 0 for a scale of 0
  float lowest = 0, highest = 0;  ///< codes
};
} // namespace

/// Of the `group` keys in `column`, `stride` elements apart.
static ChannelCodes codesOf(const KvCacheLayout &layout, const uint16_t *column,
                            int64_t stride) {
  constexpr float largestHalf = 65504;
  const quant::Element &element = quant::elementOf(layout.keyType);
  float least = infinity, most = -infinity;
  for (int64_t t = 0; t < layout.keyGroup; ++t) {
    float key = quant::halfToFloat(column[t * stride]);
    least = std::fmin(least, key);
    most = std::fmax(most, key);
  }
  if (!(least <= most)) // no key is a number
    least = most = 0;
  ChannelCodes codes;
  auto levels = float(1 << (element.bits - 1));
  codes.lowest = layout.keyOffsets ? -levels : float(-element.maxCode);
  codes.highest = layout.keyOffsets ? levels - 1 : float(element.maxCode);
  float scale = layout.keyOffsets
                    ? (most - least) / (2 * levels - 1)
                    : std::max(most, -least) / float(element.maxCode);
  codes.scale = quant::floatToHalf(std::min(scale, largestHalf));
  scale = quant::halfToFloat(codes.scale);
  codes.inverse = scale > 0 ? 1 / scale : 0;
  if (layout.keyOffsets)
    codes.offset = quant::floatToHalf(least + levels * scale);
  return codes;
}

/// One channel of a block: `rows` [32][D] from that channel on.
static void storeCodes(const KvCacheLayout &layout, const uint16_t *rows,
                       const ChannelCodes &channel, uint8_t *codes) {
  float offset = quant::halfToFloat(channel.offset);
  std::array<int, keyBlock> numbers;
  for (int64_t t = 0; t < keyBlock; ++t) {
    float x = quant::halfToFloat(rows[t * layout.headSize]);
    x = (x - offset) * channel.inverse;
    x = std::isnan(x) ? 0 : std::clamp(x, channel.lowest, channel.highest);
    numbers[size_t(t)] = int(std::nearbyint(x));
  }
  if (layout.keyType == quant::ElementType::Int4)
    for (size_t i = 0; i < keyBlock / 2; ++i)
      codes[i] = uint8_t((numbers[i] & 15) | (numbers[i + 16] & 15) << 4);
  else
    for (size_t i = 0; i < keyBlock; ++i)
      codes[i] = uint8_t(numbers[i]);
}

/// `rows` [keyGroup][D] as f16 become codes.
static void closeGroup(const KvCacheLayout &layout, const uint16_t *rows,
                       void *pages, const KeyGroupPlace &place) {
  auto *codes = static_cast<uint8_t *>(pages) + place.codes;
  auto *scales = reinterpret_cast<uint16_t *>(static_cast<uint8_t *>(pages) +
                                              place.scales);
  int64_t size = layout.headSize;
  int64_t lineBytes =
      layout.keyCodeBytes() * keyBlock / layout.pageTokens / size;
  for (int64_t d = 0; d < size; ++d) {
    ChannelCodes channel = codesOf(layout, rows + d, size);
    scales[d] = channel.scale;
    if (layout.keyOffsets)
      scales[size + d] = channel.offset;
    for (int64_t block = 0; block < layout.keyGroup / keyBlock; ++block)
      storeCodes(layout, rows + block * keyBlock * size + d, channel,
                 codes + (block * size + d) * lineBytes);
  }
}

void appendKeyGroups(const KvAppendArguments &a, int64_t sequence,
                     int64_t head) {
  const KvCacheLayout &layout = a.layout;
  int64_t size = layout.headSize, group = layout.keyGroup;
  int64_t token = a.batch.tokenStarts[sequence];
  int64_t context = a.batch.contextStarts[sequence];
  int64_t length = context + a.batch.tokenStarts[sequence + 1] - token;
  if (length == context)
    return;
  auto *open = const_cast<uint16_t *>(
      openKeys(layout, a.pages, a.batch.slots[sequence], head));
  auto *full = static_cast<uint16_t *>(threadScratch(group * size * 2));
  for (int64_t start = context / group * group; start < length;
       start += group) {
    int64_t first = std::max(start, context);
    bool closes = start + group <= length;
    uint16_t *rows = closes ? full : open;
    if (closes)
      std::memcpy(rows, open, size_t((first - start) * size * 2));
    for (int64_t p = first; p < std::min(start + group, length); ++p)
      for (int64_t d = 0; d < size; ++d)
        rows[(p - start) * size + d] = quant::floatToHalf(
            a.key[(token + p - context) * a.keyStride + head * size + d]);
    if (closes)
      closeGroup(layout, rows, a.pages,
                 keyGroupPlace(layout, a.batch, sequence, head, start));
  }
}

} // namespace qopt::host
