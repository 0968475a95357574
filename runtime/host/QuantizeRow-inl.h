// The inner loop of activation quantization, shared by every kernel that may
// write its result as int8 records. The formula is in QuantizedActivations.h.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
#include "runtime/host/QuantizedActivations.h"
#include "runtime/host/Simd-inl.h"

#include <limits>

#if defined(QOPT_RUNTIME_HOST_QUANTIZEROW_INL_H) == defined(HWY_TARGET_TOGGLE)
#ifdef QOPT_RUNTIME_HOST_QUANTIZEROW_INL_H
#undef QOPT_RUNTIME_HOST_QUANTIZEROW_INL_H
#else
#define QOPT_RUNTIME_HOST_QUANTIZEROW_INL_H
#endif

HWY_BEFORE_NAMESPACE();
namespace qopt::host::HWY_NAMESPACE {

/// One full block of 32 values: 32 codes, a scale and a sum.
HWY_INLINE void quantizeBlock(const float *x, int8_t *codes, float *scale,
                              int32_t *sum) {
  const FloatTag d;
  const hn::RebindToSigned<FloatTag> di;
  const hn::Rebind<int8_t, FloatTag> d8;
  constexpr int64_t lanes = hn::MaxLanes(FloatTag());
  // Compared as integers, magnitudes have the order of their values and what is
  // not finite comes last; a maximum of floats would drop NaN.
  auto magnitude = [&](int64_t i) HWY_ATTR {
    return hn::BitCast(di, hn::Abs(hn::LoadU(d, x + i)));
  };
  auto largest = magnitude(0);
  for (int64_t i = lanes; i < blockColumns; i += lanes)
    largest = hn::Max(largest, magnitude(i));
  const int32_t bits = hn::GetLane(hn::MaxOfLanes(di, largest));
  constexpr int32_t infinity = 0x7F800000;
  if (HWY_UNLIKELY(bits >= infinity)) {
    std::memset(codes, 0, blockColumns);
    *scale = std::numeric_limits<float>::quiet_NaN();
    *sum = 0;
    return;
  }
  float most;
  std::memcpy(&most, &bits, sizeof(most));
  const float s = most / 127.0f;
  // 1/s of a subnormal s may be infinite; bounded, no code is beyond ±127.
  const auto inverse = hn::Set(
      d, s > 0 ? HWY_MIN(1.0f / s, std::numeric_limits<float>::max()) : 0.0f);
  auto total = hn::Zero(di);
  for (int64_t i = 0; i < blockColumns; i += lanes) {
    const auto code = hn::NearestInt(hn::Mul(hn::LoadU(d, x + i), inverse));
    total = hn::Add(total, code);
    hn::StoreU(hn::DemoteTo(d8, code), d8, codes + i);
  }
  *scale = s;
  *sum = hn::GetLane(hn::SumOfLanes(di, total));
}

/// `count` values into the blocks of one record from `firstBlock` on; a short
/// last block is filled with zeros.
HWY_INLINE void quantizeSpan(const float *x, int64_t count,
                             const QuantizedLayout &layout, uint8_t *record,
                             int64_t firstBlock) {
  int8_t *codes = reinterpret_cast<int8_t *>(record);
  float *scales = reinterpret_cast<float *>(record + layout.scaleOffset());
  int32_t *sums = reinterpret_cast<int32_t *>(record + layout.sumOffset());
  for (int64_t i = 0; i < count; i += blockColumns) {
    const int64_t block = firstBlock + i / blockColumns;
    const float *source = x + i;
    HWY_ALIGN float buffer[blockColumns];
    if (count - i < blockColumns) {
      std::memset(buffer, 0, sizeof(buffer));
      std::memcpy(buffer, source, (count - i) * sizeof(float));
      source = buffer;
    }
    quantizeBlock(source, codes + block * blockColumns, scales + block,
                  sums + block);
  }
}

} // namespace qopt::host::HWY_NAMESPACE
HWY_AFTER_NAMESPACE();

#endif // per-target guard
