// The inner loop of activation quantization, shared by every kernel that may
// write its result as records. The formula is in QuantizedActivations.h.
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

using RowInts = hn::Vec<hn::RebindToSigned<FloatTag>>;

/// Magnitudes as integers: they have the order of their values, and what is not
/// finite comes last; a maximum of floats would drop NaN.
HWY_INLINE RowInts magnitudeBits(FloatVector x) {
  return hn::BitCast(hn::RebindToSigned<FloatTag>(), hn::Abs(x));
}

/// The largest magnitude of values from the bits of it; false where one of them
/// is not finite.
HWY_INLINE bool largestMagnitude(RowInts bits, float &largest) {
  const int32_t most =
      hn::GetLane(hn::MaxOfLanes(hn::RebindToSigned<FloatTag>(), bits));
  std::memcpy(&largest, &most, sizeof(largest));
  return most < 0x7F800000; // infinity
}

/// 1/s of a subnormal s may be infinite; bounded, no code is beyond the
/// largest.
HWY_INLINE float inverseScale(float s) {
  return s > 0 ? HWY_MIN(1.0f / s, std::numeric_limits<float>::max()) : 0.0f;
}

/// One full block of 32 values: 32 codes, a scale and a sum.
HWY_INLINE void quantizeBlock(const float *x, int8_t *codes, float *scale,
                              int32_t *sum) {
  const FloatTag d;
  const hn::RebindToSigned<FloatTag> di;
  const hn::Rebind<int8_t, FloatTag> d8;
  constexpr int64_t lanes = hn::MaxLanes(FloatTag());
  auto largest = magnitudeBits(hn::LoadU(d, x));
  for (int64_t i = lanes; i < blockColumns; i += lanes)
    largest = hn::Max(largest, magnitudeBits(hn::LoadU(d, x + i)));
  float most;
  if (HWY_UNLIKELY(!largestMagnitude(largest, most))) {
    std::memset(codes, 0, blockColumns);
    *scale = std::numeric_limits<float>::quiet_NaN();
    *sum = 0;
    return;
  }
  const float s = most / 127.0f;
  const auto inverse = hn::Set(d, inverseScale(s));
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

/// The nearest e4m3 of finite values up to 448, in the lowest bytes
/// (floatToE4m3 of lib/Quant/FloatConversion.h, lane by lane).
HWY_INLINE hn::Vec<hn::RebindToUnsigned<FloatTag>> e4m3Codes(FloatVector x) {
  const FloatTag d;
  const hn::RebindToUnsigned<FloatTag> du;
  const auto bits = hn::BitCast(du, x);
  const auto sign = hn::And(hn::ShiftRight<24>(bits), hn::Set(du, 0x80));
  const auto magnitude = hn::And(bits, hn::Set(du, 0x7fffffff));
  const auto odd =
      hn::And(hn::ShiftRight<20>(magnitude), hn::Set(du, uint32_t{1}));
  const auto normal = hn::ShiftRight<20>(
      hn::Add(hn::Sub(magnitude, hn::Set(du, 0x3c000000 - 0x7ffff)), odd));
  // Below 2^−6: adding 2^14 leaves multiples of 2^−9.
  const auto shifted = hn::Add(hn::BitCast(d, magnitude), hn::Set(d, 0x1p14f));
  const auto small = hn::Sub(hn::BitCast(du, shifted), hn::Set(du, 0x46800000));
  const auto isSmall = hn::Lt(magnitude, hn::Set(du, 0x3c800000));
  return hn::Or(sign, hn::IfThenElse(isSmall, small, normal));
}

/// `count` values as codes of a row with the inverse of its scale; returns the
/// sums of int8 codes, lane by lane.
template <ActivationCodes kind>
HWY_INLINE RowInts encodeValues(FloatVector x, FloatVector inverse,
                                uint8_t *codes) {
  const FloatTag d;
  const hn::RebindToSigned<FloatTag> di;
  const hn::Rebind<uint8_t, FloatTag> du8;
  constexpr float most = kind == ActivationCodes::Fp8Rows ? 448 : 127;
  const auto scaled = hn::Min(hn::Max(hn::Mul(x, inverse), hn::Set(d, -most)),
                              hn::Set(d, most));
  if constexpr (kind == ActivationCodes::Fp8Rows) {
    hn::StoreU(hn::DemoteTo(du8, hn::BitCast(di, e4m3Codes(scaled))), du8,
               codes);
    return hn::Zero(di);
  } else {
    const auto code = hn::NearestInt(scaled);
    hn::StoreU(
        hn::BitCast(du8, hn::DemoteTo(hn::Rebind<int8_t, FloatTag>(), code)),
        du8, codes);
    return code;
  }
}

/// A row with one scale: that of `format`, or of its largest value.
template <ActivationCodes kind>
HWY_INLINE void quantizeRowOf(const float *x, const ActivationFormat &format,
                              const QuantizedLayout &layout, uint8_t *record) {
  const FloatTag d;
  const hn::RebindToSigned<FloatTag> di;
  constexpr int64_t lanes = hn::MaxLanes(FloatTag());
  const int64_t count = layout.columns, whole = count - count % lanes;
  auto tail = [&]()
                  HWY_ATTR { return loadPartial(d, x + whole, count - whole); };
  auto largest = hn::Zero(di);
  for (int64_t i = 0; i < whole; i += lanes)
    largest = hn::Max(largest, magnitudeBits(hn::LoadU(d, x + i)));
  if (whole < count)
    largest = hn::Max(largest, magnitudeBits(tail()));
  float most;
  const bool isFinite = largestMagnitude(largest, most);
  constexpr float top = kind == ActivationCodes::Fp8Rows ? 448 : 127;
  const float s = format.scale > 0 ? format.scale : most / top;
  const auto inverse = hn::Set(d, isFinite ? inverseScale(s) : 0.0f);
  auto total = hn::Zero(di);
  std::memset(record + whole, 0, layout.scaleOffset() - whole);
  if (HWY_UNLIKELY(!isFinite)) {
    std::memset(record, 0, layout.scaleOffset());
  } else {
    for (int64_t i = 0; i < whole; i += lanes)
      total = hn::Add(
          total, encodeValues<kind>(hn::LoadU(d, x + i), inverse, record + i));
    if (whole < count) { // the block has room for a whole vector
      total =
          hn::Add(total, encodeValues<kind>(tail(), inverse, record + whole));
    }
  }
  const float scale = isFinite ? s : std::numeric_limits<float>::quiet_NaN();
  const int32_t sum = hn::GetLane(hn::SumOfLanes(di, total));
  std::memcpy(record + layout.scaleOffset(), &scale, sizeof(scale));
  std::memcpy(record + layout.sumOffset(), &sum, sizeof(sum));
}

/// A whole row of a format with one scale a row.
HWY_INLINE void quantizeRow(const float *x, const ActivationFormat &format,
                            const QuantizedLayout &layout, uint8_t *record) {
  if (format.codes == ActivationCodes::Fp8Rows)
    quantizeRowOf<ActivationCodes::Fp8Rows>(x, format, layout, record);
  else
    quantizeRowOf<ActivationCodes::Int8Rows>(x, format, layout, record);
}

} // namespace qopt::host::HWY_NAMESPACE
HWY_AFTER_NAMESPACE();

#endif // per-target guard
