// What the products of activations and weights with one scale a row share: the
// records of x, and the two scales behind the sum.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
#include "runtime/host/ScaleLines-inl.h"

#if defined(QOPT_RUNTIME_HOST_ROWSCALES_INL_H) == defined(HWY_TARGET_TOGGLE)
#ifdef QOPT_RUNTIME_HOST_ROWSCALES_INL_H
#undef QOPT_RUNTIME_HOST_ROWSCALES_INL_H
#else
#define QOPT_RUNTIME_HOST_ROWSCALES_INL_H
#endif

HWY_BEFORE_NAMESPACE();
namespace qopt::host::HWY_NAMESPACE {

/// The records of all rows of x.
struct RowRecords {
  explicit RowRecords(const LinearArguments &a)
      : layout{a.layout.columns, a.codes},
        start(static_cast<const uint8_t *>(a.quantized)) {}

  HWY_INLINE const uint8_t *codes(int64_t row) const {
    return start + row * layout.rowBytes();
  }
  HWY_INLINE float scale(int64_t row) const {
    float scale;
    std::memcpy(&scale, codes(row) + layout.scaleOffset(), sizeof(scale));
    return scale;
  }
  HWY_INLINE int32_t sum(int64_t row) const {
    int32_t sum;
    std::memcpy(&sum, codes(row) + layout.sumOffset(), sizeof(sum));
    return sum;
  }

  /// Of Int8Centred.
  HWY_INLINE int32_t zero(int64_t row) const {
    int32_t zero;
    std::memcpy(&zero, codes(row) + layout.zeroOffset(), sizeof(zero));
    return zero;
  }

  QuantizedLayout layout;
  const uint8_t *start;
};

/// y[row, 16·tile …] = sums · the row's scale · the weight's scales (+ bias) (+
/// residual), in this order, which is that of GPUs.
HWY_INLINE void storeScaledRow(const LinearArguments &a, const TileSizes &sizes,
                               float scale, int64_t row, int64_t tile,
                               FloatVector *sums) {
  const uint8_t *weight =
      static_cast<const uint8_t *>(a.weight) + tile * sizes.tileBytes;
  for (int64_t part = 0; part < lineVectors; ++part)
    sums[part] = hn::Mul(hn::Mul(sums[part], hn::Set(FloatTag(), scale)),
                         loadScales(sizes, weight, 0, part));
  storeTileRow(a, row, tile, sums);
}

/// y[row, 16·tile …] = Σ (cx − zero of x) (c − zero of c) · (the row's scale ·
/// the weight's scales) (+ bias) (+ residual), of sums Σ cx·c: the scales are
/// multiplied first, as a model does that has the product in one node and the
/// scales in others. A function of its own: the rows of a tile have many copies
/// of what stores them, and are long beside a call.
inline HWY_NOINLINE void storeCentredRow(const LinearArguments &a,
                                         const TileSizes &sizes,
                                         const RowRecords &x, int64_t row,
                                         int64_t tile,
                                         const WholeVector *sums) {
  const hn::RebindToSigned<FloatTag> di;
  const uint8_t *weight =
      static_cast<const uint8_t *>(a.weight) + tile * sizes.tileBytes;
  const auto scale = hn::Set(FloatTag(), x.scale(row));
  const auto sum = hn::Set(di, x.sum(row)), zero = hn::Set(di, x.zero(row));
  FloatVector values[lineVectors];
  for (int64_t part = 0; part < lineVectors; ++part) {
    const auto zeros = sizes.zero == quant::ZeroType::None
                           ? hn::Set(di, sizes.codeZero)
                           : loadWholeZeros(sizes, weight, 0, part);
    const auto rowSums = hn::LoadU(
        di, reinterpret_cast<const int32_t *>(weight + sizes.rowSumOffset) +
                part * lineLanes);
    const auto rest = hn::Add(hn::Mul(zeros, sum), hn::Mul(rowSums, zero));
    values[part] = hn::Mul(hn::ConvertTo(FloatTag(), hn::Sub(sums[part], rest)),
                           hn::Mul(scale, loadScales(sizes, weight, 0, part)));
  }
  storeTileRow(a, row, tile, values);
}

} // namespace qopt::host::HWY_NAMESPACE
HWY_AFTER_NAMESPACE();

#endif // per-target guard
