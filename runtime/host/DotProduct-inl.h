// Four-way dot products of bytes: acc[r] += Σi w[4r+i] · x[4r+i] in every lane
// r, w unsigned weight codes, x signed activation codes. Exact in int32 on
// every target.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
#include "runtime/host/Simd-inl.h"

#if defined(QOPT_RUNTIME_HOST_DOTPRODUCT_INL_H) == defined(HWY_TARGET_TOGGLE)
#ifdef QOPT_RUNTIME_HOST_DOTPRODUCT_INL_H
#undef QOPT_RUNTIME_HOST_DOTPRODUCT_INL_H
#else
#define QOPT_RUNTIME_HOST_DOTPRODUCT_INL_H
#endif

HWY_BEFORE_NAMESPACE();
namespace qopt::host::HWY_NAMESPACE {

using ByteTag = hn::ScalableTag<uint8_t>;
using SignedByteTag = hn::ScalableTag<int8_t>;
using IntTag = hn::ScalableTag<int32_t>;
using ByteVector = hn::Vec<ByteTag>;
using SignedByteVector = hn::Vec<SignedByteTag>;
using IntVector = hn::Vec<IntTag>;

/// What `dotBytes` takes off each code: with u8·s8 instructions nothing, else
/// 128, which makes the code signed. The caller's zero point makes up for it.
#if HWY_TARGET == HWY_AVX3_DL
constexpr int byteOffset = 0;
#else
constexpr int byteOffset = 128;
#endif

#if HWY_ARCH_X86 && HWY_TARGET != HWY_AVX3_DL
/// Σ of pairs of u8 · s8 in int16 (must not overflow), then Σ of pairs of
/// these.
HWY_INLINE IntVector addPairs(IntVector acc, ByteVector w, SignedByteVector x) {
#if HWY_TARGET == HWY_AVX3
  const __m512i pairs = _mm512_maddubs_epi16(w.raw, x.raw);
  const IntVector sum{_mm512_madd_epi16(pairs, _mm512_set1_epi16(1))};
#elif HWY_TARGET == HWY_AVX2
  const __m256i pairs = _mm256_maddubs_epi16(w.raw, x.raw);
  const IntVector sum{_mm256_madd_epi16(pairs, _mm256_set1_epi16(1))};
#else
  const __m128i pairs = _mm_maddubs_epi16(w.raw, x.raw);
  const IntVector sum{_mm_madd_epi16(pairs, _mm_set1_epi16(1))};
#endif
  return hn::Add(acc, sum);
}
#endif

#if HWY_TARGET == HWY_NEON
/// Σ of four products of signed bytes.
HWY_INLINE IntVector addSigned(IntVector acc, SignedByteVector w,
                               SignedByteVector x) {
#if defined(__ARM_FEATURE_DOTPROD)
  return IntVector(vdotq_s32(acc.raw, w.raw, x.raw));
#else
  const int16x8_t low = vmull_s8(vget_low_s8(w.raw), vget_low_s8(x.raw));
  const int16x8_t high = vmull_s8(vget_high_s8(w.raw), vget_high_s8(x.raw));
  // 2 · 128 · 127 fits int16.
  return IntVector(vpadalq_s16(acc.raw, vpaddq_s16(low, high)));
#endif
}
#elif !HWY_ARCH_X86
HWY_INLINE IntVector addSigned(IntVector acc, SignedByteVector w,
                               SignedByteVector x) {
  constexpr size_t lanes = hn::MaxLanes(IntTag());
  HWY_ALIGN int32_t sums[lanes];
  HWY_ALIGN int8_t a[4 * lanes], b[4 * lanes];
  hn::Store(acc, IntTag(), sums);
  hn::Store(w, SignedByteTag(), a);
  hn::Store(x, SignedByteTag(), b);
  for (size_t i = 0; i < 4 * lanes; ++i)
    sums[i / 4] += a[i] * b[i];
  return hn::Load(IntTag(), sums);
}
#endif

/// Codes 0…255, less byteOffset.
HWY_INLINE IntVector dotBytes(IntVector acc, ByteVector w, SignedByteVector x) {
#if HWY_TARGET == HWY_AVX3_DL
  return IntVector{_mm512_dpbusd_epi32(acc.raw, w.raw, x.raw)};
#else
  const auto w8 =
      hn::BitCast(SignedByteTag(), hn::Xor(w, hn::Set(ByteTag(), 0x80)));
#if HWY_ARCH_X86
  // |w| · (x with the sign of w): 2 · 128 · 127 fits int16.
  const auto negative = hn::Lt(w8, hn::Zero(SignedByteTag()));
  const auto signedX = hn::IfThenElse(negative, hn::Neg(x), x);
  const auto magnitude =
      hn::BitCast(ByteTag(), hn::IfThenElse(negative, hn::Neg(w8), w8));
  return addPairs(acc, magnitude, signedX);
#else
  return addSigned(acc, w8, x);
#endif
#endif
}

/// Codes 0…255 and any signed x, -128 too, whose products with a neighbour's
/// overflow the int16 of the others.
HWY_INLINE IntVector dotAnyBytes(IntVector acc, ByteVector w,
                                 SignedByteVector x) {
#if HWY_TARGET == HWY_AVX3_DL
  return IntVector{_mm512_dpbusd_epi32(acc.raw, w.raw, x.raw)};
#elif HWY_ARCH_X86
  // Bytes at even and at odd places as int16: pairs of products fit int32.
  const hn::Repartition<uint16_t, ByteTag> du16;
  const hn::Repartition<int16_t, ByteTag> d16;
  const auto w16 = hn::BitCast(du16, w);
  const auto x16 = hn::BitCast(d16, x);
  const auto evenW = hn::BitCast(d16, hn::And(w16, hn::Set(du16, 0xFF)));
  const auto oddW = hn::BitCast(d16, hn::ShiftRight<8>(w16));
  const auto evenX = hn::ShiftRight<8>(hn::ShiftLeft<8>(x16));
  const auto oddX = hn::ShiftRight<8>(x16);
#if HWY_TARGET == HWY_AVX3
  const IntVector even{_mm512_madd_epi16(evenW.raw, evenX.raw)};
  const IntVector odd{_mm512_madd_epi16(oddW.raw, oddX.raw)};
#elif HWY_TARGET == HWY_AVX2
  const IntVector even{_mm256_madd_epi16(evenW.raw, evenX.raw)};
  const IntVector odd{_mm256_madd_epi16(oddW.raw, oddX.raw)};
#else
  const IntVector even{_mm_madd_epi16(evenW.raw, evenX.raw)};
  const IntVector odd{_mm_madd_epi16(oddW.raw, oddX.raw)};
#endif
  return hn::Add(acc, hn::Add(even, odd));
#else
  constexpr size_t lanes = hn::MaxLanes(IntTag());
  HWY_ALIGN int32_t sums[lanes];
  HWY_ALIGN uint8_t a[4 * lanes];
  HWY_ALIGN int8_t b[4 * lanes];
  hn::Store(acc, IntTag(), sums);
  hn::Store(w, ByteTag(), a);
  hn::Store(x, SignedByteTag(), b);
  for (size_t i = 0; i < 4 * lanes; ++i)
    sums[i / 4] += a[i] * b[i];
  return hn::Load(IntTag(), sums);
#endif
}

/// Codes 0…127: 2 · 127 · 127 fits int16.
HWY_INLINE IntVector dotShort(IntVector acc, ByteVector w, SignedByteVector x) {
#if HWY_TARGET == HWY_AVX3_DL
  return IntVector{_mm512_dpbusd_epi32(acc.raw, w.raw, x.raw)};
#elif HWY_ARCH_X86
  return addPairs(acc, w, x);
#else
  return addSigned(acc, hn::BitCast(SignedByteTag(), w), x);
#endif
}

/// Four consecutive activation codes in every lane.
HWY_INLINE SignedByteVector broadcastFour(const int8_t *codes) {
  int32_t four;
  std::memcpy(&four, codes, 4);
  return hn::BitCast(SignedByteTag(), hn::Set(IntTag(), four));
}

} // namespace qopt::host::HWY_NAMESPACE
HWY_AFTER_NAMESPACE();

#endif // per-target guard
