// Round to nearest: each group on its own, no data, no search. The formulas are
// in Algorithm.h; here they are loops that a compiler can vectorise. Groups are
// short, so a group's range, scale and codes are done before the next is
// touched.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
#include "lib/Quant/Algorithm.h"
#include "lib/Quant/Element.h"
#include "lib/Quant/Storage.h"
#include <algorithm>
#include <cmath>
#include <string>
#include <vector>

namespace qopt::quant {

namespace {
/// The stored numbers of one group, as f32.
struct GroupParameters {
  float scale, zero;
};
} // namespace

/// To the nearest integer, ties to even, for |x| < 2^22 in the default rounding
/// mode; unlike rintf a plain sum, which needs no newer instruction to be
/// vectorised. Larger values, which the clamp makes equal, stay large.
static float roundToEven(float x) {
  constexpr float magic = 0x1.8p23f;
  return (x + magic) - magic;
}

/// True when every value is finite: the exponent of x − x is all ones exactly
/// where that of x is.
static bool allFinite(const float *values, int64_t count) {
  float sum = 0;
  for (int64_t i = 0; i < count; ++i)
    sum += values[i] - values[i];
  return sum == 0;
}

static ValueRange rangeOf(const float *values, int64_t count) {
  ValueRange range;
  for (int64_t i = 0; i < count; ++i) {
    range.low = std::min(range.low, values[i]);
    range.high = std::max(range.high, values[i]);
  }
  if (range.high != -range.low) {
    range.largestMagnitude = range.high > -range.low ? range.high : range.low;
    return range;
  }
  for (int64_t i = 0; i < count; ++i) // a tie: the first decides
    if (std::fabs(values[i]) == range.high) {
      range.largestMagnitude = values[i];
      break;
    }
  return range;
}

/// Scale and zero point for a range, written to `result` at `index`.
static GroupParameters chooseParameters(const Format &format,
                                        const ValueRange &range,
                                        const QuantizedRows &result,
                                        int64_t index) {
  const Element &element = elementOf(format.element);
  if (format.isSymmetric()) {
    bool fullRange = element.minCode + element.maxCode < 0;
    float exact =
        fullRange ? range.largestMagnitude / float(element.minCode)
                  : std::fabs(range.largestMagnitude) / float(element.maxCode);
    return {storeScale(format, exact, result.scales, index), 0};
  }
  float limit = float(element.unsignedMax);
  float scale = storeScale(format, (range.high - range.low) / limit,
                           result.scales, index);
  float zero = scale == 0 ? 0 : -range.low / scale;
  if (format.zero == ZeroType::Float)
    return {scale, storeScale(format, zero, result.zeros, index)};
  zero = std::clamp(roundToEven(zero), 0.0f, limit);
  result.zeros[index] = uint8_t(zero);
  return {scale, zero};
}

static void quantizeGroup(const Format &format, const float *values,
                          int64_t count, GroupParameters group,
                          int16_t *codes) {
  const Element &element = elementOf(format.element);
  float low = format.isSymmetric() ? float(element.minCode) : 0;
  float high =
      float(format.isSymmetric() ? element.maxCode : element.unsignedMax);
  if (group.scale == 0) {
    std::fill(codes, codes + count, int16_t(0));
    return;
  }
  // A fractional zero is added before rounding, an integer one after.
  float inside = format.zero == ZeroType::Float ? group.zero : 0;
  float outside = format.zero == ZeroType::Float ? 0 : group.zero;
  for (int64_t i = 0; i < count; ++i) {
    float code = roundToEven(values[i] / group.scale + inside) + outside;
    codes[i] = int16_t(std::clamp(code, low, high));
  }
}

/// What e4m3 rounds by itself: values in units of the scale.
static void divideGroup(const float *values, int64_t count, float scale,
                        float *quotients) {
  for (int64_t i = 0; i < count; ++i)
    quotients[i] = scale == 0 ? 0 : values[i] / scale;
}

/// Values that are stored as they are, rounded.
static Status convertRows(const Format &format, const RowBlock &block,
                          const QuantizedRows &result) {
  const Element &element = elementOf(format.element);
  element.encode(block.values, block.rows * block.columns, result.codes);
  std::vector<float> stored(static_cast<size_t>(block.columns));
  for (int64_t row = 0; row < block.rows; ++row) {
    const float *values = block.values + row * block.columns;
    element.decode(result.codes + row * bytesPerRow(format, block.columns),
                   block.columns, stored.data());
    if (allFinite(stored.data(), block.columns))
      continue;
    ValueRange ignored;
    QOPT_RETURN_IF_ERROR(observeRange(
        {values, block.firstRow + row, 1, block.columns}, ignored));
    for (int64_t column = 0; column < block.columns; ++column)
      if (!std::isfinite(stored[column]))
        return beyondType(format, values[column], block.firstRow + row, column);
  }
  return {};
}

static Status quantizeRows(const Format &format, const RowBlock &block,
                           const ValueRange &range,
                           const QuantizedRows &result) {
  const Element &element = elementOf(format.element);
  if (element.isFloat)
    return convertRows(format, block, result);
  if (!allFinite(block.values, block.rows * block.columns)) {
    ValueRange ignored;
    return observeRange(block, ignored);
  }
  bool perTensor = format.granularity == Granularity::Tensor;
  int64_t groups = groupsPerRow(format, block.columns),
          size = groupColumns(format, block.columns);
  std::vector<int16_t> codes(static_cast<size_t>(block.columns));
  std::vector<float> quotients(codes.size());
  for (int64_t row = 0; row < block.rows; ++row) {
    for (int64_t group = 0; group < groups; ++group) {
      int64_t begin = group * size,
              count = std::min(size, block.columns - begin);
      const float *values = block.values + row * block.columns + begin;
      ValueRange groupRange = perTensor ? range : rangeOf(values, count);
      GroupParameters parameters = chooseParameters(
          format, groupRange, result, perTensor ? 0 : row * groups + group);
      if (!std::isfinite(parameters.scale))
        return beyondType(format, groupRange.largestMagnitude,
                          block.firstRow + row, begin);
      if (element.isInteger())
        quantizeGroup(format, values, count, parameters, codes.data() + begin);
      else
        divideGroup(values, count, parameters.scale, quotients.data() + begin);
    }
    uint8_t *bytes = result.codes + row * bytesPerRow(format, block.columns);
    if (element.isInteger())
      element.pack(codes.data(), block.columns, bytes);
    else
      element.encode(quotients.data(), block.columns, bytes);
  }
  return {};
}

constinit const Algorithm roundToNearest = {.name = "rtn",
                                            .quantizeRows = quantizeRows};

} // namespace qopt::quant
