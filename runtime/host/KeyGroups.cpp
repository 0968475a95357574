// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
#include "runtime/host/KeyGroups.h"
#include "lib/Quant/FloatConversion.h"
#include "lib/Quant/VectorCodes.h"
#include "runtime/host/Scratch.h"

#include <algorithm>
#include <cstring>
#include <vector>

namespace qopt::host {

void closeKeyGroup(const KvCacheLayout &layout, const uint16_t *rows,
                   void *pages, const KeyGroupPlace &place) {
  auto *codes = static_cast<uint8_t *>(pages) + place.codes;
  auto *scales = reinterpret_cast<uint16_t *>(static_cast<uint8_t *>(pages) +
                                              place.scales);
  int64_t size = layout.headSize, group = layout.keyGroup();
  int64_t lineBytes = keyBlock * quant::bitsOf(layout.key.element) / 8;
  std::vector<float> column(size_t(group), 0);
  std::vector<uint8_t> lines(size_t(group / keyBlock * lineBytes), 0);
  for (int64_t d = 0; d < size; ++d) {
    for (int64_t t = 0; t < group; ++t)
      column[size_t(t)] = quant::halfToFloat(rows[t * size + d]);
    quant::VectorScale scale =
        quant::encodeVector(layout.key, column.data(), group, lines.data());
    scales[d] = scale.scale;
    if (layout.key.zero == quant::ZeroType::Float)
      scales[size + d] = scale.offset;
    for (int64_t block = 0; block < group / keyBlock; ++block)
      std::memcpy(codes + (block * size + d) * lineBytes,
                  lines.data() + block * lineBytes, size_t(lineBytes));
  }
}

void appendKeyGroups(const KvAppendArguments &a, int64_t sequence,
                     int64_t head) {
  const KvCacheLayout &layout = a.layout;
  int64_t size = layout.headSize, group = layout.keyGroup();
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
      closeKeyGroup(layout, rows, a.pages,
                    keyGroupPlace(layout, a.batch, sequence, head, start));
  }
}

} // namespace qopt::host
