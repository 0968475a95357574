// From the codes and the open group of KeyGroups.h to the f32 lines that the
// products of attention read. A chunk of keys is widened once for all rows of a
// block.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
#include "runtime/host/AttentionBlock.h"
#include "runtime/host/KeyGroups.h"
#include "runtime/host/LinearTile-inl.h"

#if defined(QOPT_RUNTIME_HOST_KEYGROUPS_INL_H) == defined(HWY_TARGET_TOGGLE)
#ifdef QOPT_RUNTIME_HOST_KEYGROUPS_INL_H
#undef QOPT_RUNTIME_HOST_KEYGROUPS_INL_H
#else
#define QOPT_RUNTIME_HOST_KEYGROUPS_INL_H
#endif

HWY_BEFORE_NAMESPACE();
namespace qopt::host::HWY_NAMESPACE {

/// One channel of a block, scale · code + offset: 16 positions to `low`, the
/// others to `high`.
template <quant::ElementType type>
HWY_INLINE void widenCodes(const uint8_t *codes, float scale, float offset,
                           float *low, float *high) {
  const FloatTag d;
  const hn::RebindToSigned<FloatTag> di;
  const hn::Rebind<int8_t, FloatTag> d8;
  const auto factor = hn::Set(d, scale), added = hn::Set(d, offset);
  auto store = [&](hn::Vec<decltype(di)> numbers, float *target) {
    hn::StoreU(hn::MulAdd(hn::ConvertTo(d, numbers), factor, added), d, target);
  };
  for (int64_t part = 0; part < lineVectors; ++part) {
    const int64_t at = part * lineLanes;
    const auto *bytes = reinterpret_cast<const int8_t *>(codes) + at;
    const auto first = hn::PromoteTo(di, hn::LoadU(d8, bytes));
    if constexpr (type == quant::ElementType::Int4) {
      store(hn::ShiftRight<28>(hn::ShiftLeft<28>(first)), low + at);
      store(hn::ShiftRight<4>(first), high + at);
    } else {
      store(first, low + at);
      store(hn::PromoteTo(di, hn::LoadU(d8, bytes + groupKeys)), high + at);
    }
  }
}

/// A block of a full group: `wide` [2][D][16].
template <quant::ElementType type>
HWY_INLINE void widenBlock(const uint8_t *codes, const uint16_t *scales,
                           const KvCacheLayout &layout, float *wide) {
  const int64_t size = layout.headSize;
  constexpr int64_t lineBytes =
      type == quant::ElementType::Int4 ? keyBlock / 2 : keyBlock;
  for (int64_t i = 0; i < size; ++i)
    widenCodes<type>(codes + i * lineBytes, quant::halfToFloat(scales[i]),
                     layout.keyOffsets ? quant::halfToFloat(scales[size + i])
                                       : 0,
                     wide + i * groupKeys, wide + (size + i) * groupKeys);
}

/// `count` positions of an open group, zeros behind them.
HWY_INLINE void widenOpen(const uint16_t *rows, int64_t count, int64_t size,
                          float *wide) {
  std::memset(wide, 0, keyBlock * size * sizeof(float));
  for (int64_t t = 0; t < count; ++t)
    for (int64_t i = 0; i < size; ++i)
      wide[(t / groupKeys * size + i) * groupKeys + t % groupKeys] =
          quant::halfToFloat(rows[t * size + i]);
}

/// Widens the keys of a chunk and points its groups to them: `wide` has room
/// for chunkKeys · D.
HWY_INLINE void widenKeys(const CachedAttentionArguments &a, int64_t sequence,
                          int64_t head, KeyChunk &chunk, float *wide) {
  const KvCacheLayout &layout = a.layout;
  const int64_t size = layout.headSize, group = layout.keyGroup;
  const int64_t length = a.batch.contextStarts[sequence] +
                         a.batch.tokenStarts[sequence + 1] -
                         a.batch.tokenStarts[sequence];
  for (int64_t t = 0; t < chunk.keys; t += keyBlock) {
    const int64_t position = chunk.start + t;
    const int64_t start = position / group * group;
    float *target = wide + t * size;
    chunk.keyGroups[t / groupKeys] = target;
    chunk.keyGroups[t / groupKeys + 1] = target + groupKeys * size;
    if (start + group > length) {
      const uint16_t *open =
          openKeys(layout, a.pages, a.batch.slots[sequence], head);
      widenOpen(open + (position - start) * size,
                HWY_MIN(length - position, keyBlock), size, target);
      continue;
    }
    const auto *pages = static_cast<const uint8_t *>(a.pages);
    const KeyGroupPlace place =
        keyGroupPlace(layout, a.batch, sequence, head, position);
    const uint8_t *codes = pages + place.codes;
    const auto *scales =
        reinterpret_cast<const uint16_t *>(pages + place.scales);
    if (layout.keyType == quant::ElementType::Int4)
      widenBlock<quant::ElementType::Int4>(codes, scales, layout, target);
    else
      widenBlock<quant::ElementType::Int8>(codes, scales, layout, target);
  }
}

} // namespace qopt::host::HWY_NAMESPACE
HWY_AFTER_NAMESPACE();

#endif // per-target guard
