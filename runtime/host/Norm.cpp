// Norms: rows are independent; a row is read twice or three times, from the
// cache after the first.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
#include "runtime/host/Norm.h"
#include "runtime/host/Scratch.h"

#include <cmath>

#undef HWY_TARGET_INCLUDE
#define HWY_TARGET_INCLUDE "runtime/host/Norm.cpp"
#include <hwy/foreach_target.h>
// After foreach_target.h.
#include "runtime/host/QuantizeRow-inl.h"

HWY_BEFORE_NAMESPACE();
namespace qopt::host::HWY_NAMESPACE {

/// Σ (x − center)², or Σ x where `square` is false, with four partial vectors.
template <bool square>
HWY_INLINE float sumRow(const float *x, int64_t count, float center) {
  const FloatTag d;
  const int64_t lanes = hn::Lanes(d);
  const auto c = hn::Set(d, center);
  FloatVector total[4] = {hn::Zero(d), hn::Zero(d), hn::Zero(d), hn::Zero(d)};
  auto add = [&](FloatVector &t, FloatVector v) HWY_ATTR {
    if constexpr (square) {
      v = hn::Sub(v, c);
      t = hn::MulAdd(v, v, t);
    } else {
      t = hn::Add(t, v);
    }
  };
  int64_t i = 0;
  for (; i + 4 * lanes <= count; i += 4 * lanes)
    for (int64_t j = 0; j < 4; ++j)
      add(total[j], hn::LoadU(d, x + i + j * lanes));
  for (; i + lanes <= count; i += lanes)
    add(total[0], hn::LoadU(d, x + i));
  float tail = 0;
  for (; i < count; ++i)
    tail += square ? (x[i] - center) * (x[i] - center) : x[i];
  return sumOf(d, hn::Add(hn::Add(total[0], total[1]),
                          hn::Add(total[2], total[3]))) +
         tail;
}

HWY_INLINE void addRow(const float *a, const float *b, float *sum,
                       int64_t count) {
  const FloatTag d;
  const int64_t lanes = hn::Lanes(d);
  int64_t i = 0;
  for (; i + lanes <= count; i += lanes)
    hn::StoreU(hn::Add(hn::LoadU(d, a + i), hn::LoadU(d, b + i)), d, sum + i);
  for (; i < count; ++i)
    sum[i] = a[i] + b[i];
}

/// y = (x − center) · factor · scale + bias, of `row` from column `from` on.
HWY_INLINE void scaleSpan(const NormArguments &a, int64_t row, const float *x,
                          int64_t from, int64_t count, float center,
                          float factor, float *y) {
  const int64_t own = row % a.heads * a.columns;
  const FloatTag d;
  const int64_t lanes = hn::Lanes(d);
  const auto c = hn::Set(d, center), f = hn::Set(d, factor);
  for (int64_t i = 0; i < count; i += lanes) {
    const int64_t n = HWY_MIN(lanes, count - i), at = from + i;
    auto load = [&](const float *p) HWY_ATTR {
      return n == lanes ? hn::LoadU(d, p) : loadPartial(d, p, n);
    };
    auto v = hn::Mul(hn::Sub(load(x + at), c), f);
    if (a.scale)
      v = hn::Mul(v, load(a.scale + own + at));
    if (a.bias)
      v = hn::Add(v, load(a.bias + own + at));
    if (n == lanes)
      hn::StoreU(v, d, y + i);
    else
      storePartial(v, d, y + i, n);
  }
}

/// A row whose codes have one scale: all of it before the first code.
HWY_INLINE void normalizeWholeRow(const NormArguments &a, int64_t row,
                                  const float *x, float center, float factor) {
  const QuantizedLayout layout{a.columns, a.format.codes};
  float *y = a.output ? a.output + row * a.columns
                      : static_cast<float *>(threadScratch(a.columns * 4));
  scaleSpan(a, row, x, 0, a.columns, center, factor, y);
  quantizeRow(y, a.format, layout,
              static_cast<uint8_t *>(a.quantized) + row * layout.rowBytes());
}

HWY_INLINE void normalizeRow(const NormArguments &a, int64_t row,
                             const float *x, float center, float factor) {
  if (a.quantized && a.format.isRowWise())
    return normalizeWholeRow(a, row, x, center, factor);
  constexpr int64_t chunk = 512;
  const QuantizedLayout layout{a.columns};
  HWY_ALIGN float buffer[chunk];
  for (int64_t from = 0; from < a.columns; from += chunk) {
    const int64_t count = HWY_MIN(chunk, a.columns - from);
    float *y = a.output ? a.output + row * a.columns + from : buffer;
    scaleSpan(a, row, x, from, count, center, factor, y);
    if (a.quantized)
      quantizeSpan(y, count, layout,
                   static_cast<uint8_t *>(a.quantized) +
                       row * layout.rowBytes(),
                   from / blockColumns);
  }
}

/// The row to normalise: the input, or its sum with the residual.
HWY_INLINE const float *rowOf(const NormArguments &a, int64_t row) {
  const int64_t at = row * a.columns;
  if (!a.residual)
    return a.input + at;
  addRow(a.input + at, a.residual + at, a.sum + at, a.columns);
  return a.sum + at;
}

void rmsNormRows(const NormArguments &a, int64_t begin, int64_t end) {
  for (int64_t row = begin; row < end; ++row) {
    const float *x = rowOf(a, row);
    float mean = sumRow<true>(x, a.columns, 0) / static_cast<float>(a.columns);
    normalizeRow(a, row, x, 0, 1.0f / std::sqrt(mean + a.epsilon));
  }
}

void layerNormRows(const NormArguments &a, int64_t begin, int64_t end) {
  const float count = static_cast<float>(a.columns);
  for (int64_t row = begin; row < end; ++row) {
    const float *x = rowOf(a, row);
    float mean = sumRow<false>(x, a.columns, 0) / count;
    float variance = sumRow<true>(x, a.columns, mean) / count;
    normalizeRow(a, row, x, mean, 1.0f / std::sqrt(variance + a.epsilon));
  }
}

} // namespace qopt::host::HWY_NAMESPACE
HWY_AFTER_NAMESPACE();

#if HWY_ONCE
namespace qopt::host {

HWY_EXPORT(rmsNormRows);
HWY_EXPORT(layerNormRows);

static int64_t rowGrain(const NormArguments &arguments) {
  return 16384 / arguments.columns + 1;
}

void rmsNorm(const NormArguments &arguments, ThreadPool &pool) {
  if (arguments.order)
    return orderedNorm(arguments, /*centered=*/false, pool);
  auto body = HWY_DYNAMIC_DISPATCH(rmsNormRows);
  pool.parallelFor(
      arguments.rows, rowGrain(arguments),
      [&](int64_t begin, int64_t end) { body(arguments, begin, end); });
}

void layerNorm(const NormArguments &arguments, ThreadPool &pool) {
  if (arguments.order)
    return orderedNorm(arguments, /*centered=*/true, pool);
  auto body = HWY_DYNAMIC_DISPATCH(layerNormRows);
  pool.parallelFor(
      arguments.rows, rowGrain(arguments),
      [&](int64_t begin, int64_t end) { body(arguments, begin, end); });
}

} // namespace qopt::host
#endif // HWY_ONCE
