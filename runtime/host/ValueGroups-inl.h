// Values with scales for groups of channels, from their codes to f32 rows. A
// chunk is widened once for all rows of a block.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
#include "runtime/host/CacheLines-inl.h"
#include "runtime/host/CachedAttention.h"

#if defined(QOPT_RUNTIME_HOST_VALUEGROUPS_INL_H) == defined(HWY_TARGET_TOGGLE)
#ifdef QOPT_RUNTIME_HOST_VALUEGROUPS_INL_H
#undef QOPT_RUNTIME_HOST_VALUEGROUPS_INL_H
#else
#define QOPT_RUNTIME_HOST_VALUEGROUPS_INL_H
#endif

HWY_BEFORE_NAMESPACE();
namespace qopt::host::HWY_NAMESPACE {

/// One position: scale · code + offset.
template <quant::ElementType type>
HWY_INLINE void widenRow(const uint8_t *codes, const uint16_t *scales,
                         const KvCacheLayout &layout, float *wide) {
  const FloatTag d;
  const int64_t group = layout.valueGroup(), groups = layout.headSize / group;
  const bool offsets = layout.value.zero == quant::ZeroType::Float;
  for (int64_t g = 0; g < groups; ++g) {
    const auto scale = broadcastHalf(scales[g]);
    const auto offset =
        offsets ? broadcastHalf(scales[groups + g]) : hn::Zero(d);
    for (int64_t i = g * group; i < (g + 1) * group; i += lineLanes)
      hn::StoreU(hn::MulAdd(loadRow<type>(codes, i), scale, offset), d,
                 wide + i);
  }
}

using RowFunction = void (*)(const uint8_t *, const uint16_t *,
                             const KvCacheLayout &, float *);
inline RowFunction rowFunction(quant::ElementType type) {
  switch (type) {
  case quant::ElementType::Int8:
    return widenRow<quant::ElementType::Int8>;
  case quant::ElementType::Int4:
    return widenRow<quant::ElementType::Int4>;
  case quant::ElementType::Int3:
    return widenRow<quant::ElementType::Int3>;
  default:
    return widenRow<quant::ElementType::Int2>;
  }
}

/// Widens the values of a chunk and points its groups to them: `wide` has room
/// for chunkKeys · D.
HWY_INLINE void widenValues(const CachedAttentionArguments &a, int64_t sequence,
                            int64_t head, KeyChunk &chunk, float *wide) {
  const KvCacheLayout &layout = a.layout;
  const int64_t size = layout.headSize;
  const int64_t rowBytes = size * quant::bitsOf(layout.value.element) / 8;
  const int32_t *table = a.batch.pageTable + sequence * a.batch.pageTableStride;
  const RowFunction widen = rowFunction(layout.value.element);
  for (int64_t t = 0; t < chunk.keys; ++t) {
    const int64_t position = chunk.start + t;
    const int64_t slot = position % layout.pageTokens;
    const uint8_t *values =
        static_cast<const uint8_t *>(a.pages) +
        table[position / layout.pageTokens] * layout.pageBytes() +
        layout.valueOffset() + head * layout.valueHeadBytes();
    const uint8_t *scales =
        values + layout.valueCodeBytes() + slot * layout.valueScaleBytes();
    widen(values + slot * rowBytes, reinterpret_cast<const uint16_t *>(scales),
          layout, wide + t * size);
    if (t % groupKeys == 0)
      chunk.valueGroups[t / groupKeys] = wide + t * size;
  }
}

} // namespace qopt::host::HWY_NAMESPACE
HWY_AFTER_NAMESPACE();

#endif // per-target guard
