// Elements of a KV cache as f32 vectors: lines of 16 keys of one channel, and
// rows of values. The layouts are drawn in KvCacheLayout.h; scales are not
// applied here.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
#include "lib/Quant/FloatConversion.h"
#include "runtime/host/AttentionBlock.h"
#include "runtime/host/Dequantize-inl.h"

#if defined(QOPT_RUNTIME_HOST_CACHELINES_INL_H) == defined(HWY_TARGET_TOGGLE)
#ifdef QOPT_RUNTIME_HOST_CACHELINES_INL_H
#undef QOPT_RUNTIME_HOST_CACHELINES_INL_H
#else
#define QOPT_RUNTIME_HOST_CACHELINES_INL_H
#endif

HWY_BEFORE_NAMESPACE();
namespace qopt::host::HWY_NAMESPACE {

/// Codes that are bytes.
template <quant::ElementType type>
HWY_INLINE FloatVector byteValues(const uint8_t *codes) {
  const FloatTag d;
  if constexpr (type == quant::ElementType::Fp8E4m3) {
    const hn::Rebind<uint8_t, FloatTag> d8;
    const hn::RebindToUnsigned<FloatTag> du;
    return e4m3Values(hn::PromoteTo(du, hn::LoadU(d8, codes)));
  } else {
    const hn::Rebind<int8_t, FloatTag> d8;
    const hn::RebindToSigned<FloatTag> di;
    const auto *bytes = reinterpret_cast<const int8_t *>(codes);
    return hn::ConvertTo(d, hn::PromoteTo(di, hn::LoadU(d8, bytes)));
  }
}

/// Signed codes of 2, 3 or 4 bits in canonical storage, `index` a multiple of
/// the lanes. Eight codes lie in whole bytes: a word has those of eight lanes,
/// and each lane shifts its own code to the top.
template <quant::ElementType type>
HWY_INLINE FloatVector packedValues(const uint8_t *codes, int64_t index) {
  const FloatTag d;
  const hn::RebindToUnsigned<FloatTag> du;
  const hn::RebindToSigned<FloatTag> di;
  constexpr int bits = quant::bitsOf(type);
  uint64_t word = 0;
  std::memcpy(&word, codes + index * bits / 8, (lineLanes * bits + 7) / 8);
  word >>= index * bits % 8;
  auto words = hn::Set(du, static_cast<uint32_t>(word));
  if constexpr (lineLanes == 16)
    words =
        hn::IfThenElse(hn::FirstN(du, 8), words,
                       hn::Set(du, static_cast<uint32_t>(word >> 8 * bits)));
  const auto lane = hn::And(hn::Iota(du, 0), hn::Set(du, 7));
  const auto shift =
      hn::Sub(hn::Set(du, 32 - bits), hn::Mul(lane, hn::Set(du, bits)));
  const auto top = hn::BitCast(di, hn::Shl(words, shift));
  return hn::ConvertTo(d, hn::ShiftRight<32 - bits>(top));
}

/// Values from `index` on, a multiple of the lanes, in a row that begins at
/// `row`.
template <quant::ElementType type>
HWY_INLINE FloatVector loadRow(const uint8_t *row, int64_t index) {
  constexpr int bits = quant::bitsOf(type);
  if constexpr (bits >= 16)
    return loadLine<type>(row + index * bits / 8, 0);
  else if constexpr (bits == 8)
    return byteValues<type>(row + index);
  else
    return packedValues<type>(row, index);
}

/// Channel `channel` of 16 keys; `part` chooses the vector.
template <quant::ElementType type>
HWY_INLINE FloatVector loadKeys(const void *group, int64_t channel,
                                int64_t part) {
  constexpr int bits = quant::bitsOf(type);
  const auto *lines = static_cast<const uint8_t *>(group);
  if constexpr (bits >= 16) {
    return loadLine<type>(lines + channel * groupKeys * bits / 8, part);
  } else if constexpr (bits == 8) {
    return byteValues<type>(lines + channel * groupKeys + part * lineLanes);
  } else {
    static_assert(bits == 4);
    const FloatTag d;
    const hn::RebindToSigned<FloatTag> di;
    const hn::Rebind<uint8_t, FloatTag> d8;
    const auto pairs = hn::PromoteTo(
        di, hn::LoadU(d8, lines + channel / 2 * groupKeys + part * lineLanes));
    const auto top = hn::ShiftLeftSame(pairs, channel % 2 ? 24 : 28);
    return hn::ConvertTo(d, hn::ShiftRight<28>(top));
  }
}

/// An f16 scale in every lane.
HWY_INLINE FloatVector broadcastHalf(uint16_t bits) {
  const hn::Rebind<uint16_t, FloatTag> du16;
  const hn::Rebind<hwy::float16_t, FloatTag> dh;
  return hn::PromoteTo(FloatTag(), hn::BitCast(dh, hn::Set(du16, bits)));
}

/// `count` f16 scales, zeros behind them up to a whole group.
HWY_INLINE void widenScales(const uint8_t *scales, int64_t count, float *wide) {
  for (int64_t part = 0; part < lineVectors; ++part)
    hn::StoreU(loadLine<quant::ElementType::F16>(scales, part), FloatTag(),
               wide + part * lineLanes);
  for (int64_t i = count; i < groupKeys; ++i)
    wide[i] = 0;
}

} // namespace qopt::host::HWY_NAMESPACE
HWY_AFTER_NAMESPACE();

#endif // per-target guard
