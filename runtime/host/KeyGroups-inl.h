// From the codes and the open group of KeyGroups.h to the f32 lines that the
// products of attention read. A chunk of keys is widened once for all rows of a
// block.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
#include "runtime/host/CacheLines-inl.h"
#include "runtime/host/KeyGroups.h"

#if defined(QOPT_RUNTIME_HOST_KEYGROUPS_INL_H) == defined(HWY_TARGET_TOGGLE)
#ifdef QOPT_RUNTIME_HOST_KEYGROUPS_INL_H
#undef QOPT_RUNTIME_HOST_KEYGROUPS_INL_H
#else
#define QOPT_RUNTIME_HOST_KEYGROUPS_INL_H
#endif

HWY_BEFORE_NAMESPACE();
namespace qopt::host::HWY_NAMESPACE {

/// A block of a full group: `wide` [2][D][16].
template <quant::ElementType type>
HWY_INLINE void widenBlock(const uint8_t *codes, const uint16_t *scales,
                           const KvCacheLayout &layout, float *wide) {
  const FloatTag d;
  const int64_t size = layout.headSize;
  const bool offsets = layout.key.zero == quant::ZeroType::Float;
  constexpr int64_t lineBytes = keyBlock * quant::bitsOf(type) / 8;
  for (int64_t i = 0; i < size; ++i) {
    const auto scale = broadcastHalf(scales[i]);
    const auto offset = offsets ? broadcastHalf(scales[size + i]) : hn::Zero(d);
    for (int64_t t = 0; t < keyBlock; t += lineLanes)
      hn::StoreU(
          hn::MulAdd(loadRow<type>(codes + i * lineBytes, t), scale, offset), d,
          wide + (t / groupKeys * size + i) * groupKeys + t % groupKeys);
  }
}

using BlockFunction = void (*)(const uint8_t *, const uint16_t *,
                               const KvCacheLayout &, float *);
inline BlockFunction blockFunction(quant::ElementType type) {
  switch (type) {
  case quant::ElementType::Int8:
    return widenBlock<quant::ElementType::Int8>;
  case quant::ElementType::Int4:
    return widenBlock<quant::ElementType::Int4>;
  case quant::ElementType::Int3:
    return widenBlock<quant::ElementType::Int3>;
  default:
    return widenBlock<quant::ElementType::Int2>;
  }
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
  const int64_t size = layout.headSize, group = layout.keyGroup();
  const int64_t length = a.batch.contextStarts[sequence] +
                         a.batch.tokenStarts[sequence + 1] -
                         a.batch.tokenStarts[sequence];
  const BlockFunction widen = blockFunction(layout.key.element);
  for (int64_t t = 0; t < chunk.keys; t += keyBlock) {
    const int64_t position = chunk.start + t;
    const int64_t start = position / group * group;
    float *target = wide + t * size;
    chunk.keyGroups[t / groupKeys] = target;
    chunk.keyGroups[t / groupKeys + 1] = target + groupKeys * size;
    if (!layout.recent && start + group > length) {
      const uint16_t *open =
          openKeys(layout, a.pages, a.batch.slots[sequence], head);
      widenOpen(open + (position - start) * size,
                HWY_MIN(length - position, keyBlock), size, target);
      continue;
    }
    const auto *pages = static_cast<const uint8_t *>(a.pages);
    const KeyGroupPlace place =
        keyGroupPlace(layout, a.batch, sequence, head, position);
    widen(pages + place.codes,
          reinterpret_cast<const uint16_t *>(pages + place.scales), layout,
          target);
  }
}

} // namespace qopt::host::HWY_NAMESPACE
HWY_AFTER_NAMESPACE();

#endif // per-target guard
