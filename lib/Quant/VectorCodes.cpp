// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
#include "lib/Quant/VectorCodes.h"
#include "lib/Quant/Element.h"
#include "lib/Quant/FloatConversion.h"

#include <algorithm>
#include <array>
#include <cmath>
#include <limits>
#include <vector>

namespace qopt::quant {

namespace {
struct Grid {
  VectorScale stored;
  float offset = 0, inverse = 0; ///< 1 / scale; 0 for a scale of 0
  float lowest = 0, highest = 0; ///< codes
};
} // namespace

static Grid gridOf(const Format &format, const float *values, int64_t count) {
  constexpr float infinity = std::numeric_limits<float>::infinity();
  constexpr float largestHalf = 65504;
  const Element &element = elementOf(format.element);
  float least = infinity, most = -infinity;
  for (int64_t i = 0; i < count; ++i) {
    least = std::fmin(least, values[i]);
    most = std::fmax(most, values[i]);
  }
  if (!(least <= most)) // none is a number
    least = most = 0;
  bool offsets = format.zero == ZeroType::Float;
  auto levels = float(1 << (element.bits - 1));
  Grid grid;
  grid.lowest = offsets ? -levels : float(-element.maxCode);
  grid.highest = offsets ? levels - 1 : float(element.maxCode);
  float scale = offsets ? (most - least) / (2 * levels - 1)
                        : std::max(most, -least) / float(element.maxCode);
  grid.stored.scale = floatToHalf(std::min(scale, largestHalf));
  scale = halfToFloat(grid.stored.scale);
  grid.inverse = scale > 0 ? 1 / scale : 0;
  if (offsets) {
    grid.stored.offset = floatToHalf(least + levels * scale);
    grid.offset = halfToFloat(grid.stored.offset);
  }
  return grid;
}

VectorScale encodeVector(const Format &format, const float *values,
                         int64_t count, uint8_t *codes) {
  const Element &element = elementOf(format.element);
  Grid grid = gridOf(format, values, count);
  constexpr int64_t most = 64; // at once: whole bytes of any element
  std::array<float, most> quotients;
  std::array<int16_t, most> numbers;
  for (int64_t begin = 0; begin < count; begin += most) {
    int64_t end = std::min(count, begin + most);
    for (int64_t i = begin; i < end; ++i)
      quotients[size_t(i - begin)] = (values[i] - grid.offset) * grid.inverse;
    uint8_t *bytes = codes + begin * element.bits / 8;
    if (!element.isInteger()) {
      element.encode(quotients.data(), end - begin, bytes);
      continue;
    }
    for (size_t i = 0; i < size_t(end - begin); ++i) {
      float x = quotients[i];
      x = std::isnan(x) ? 0 : std::clamp(x, grid.lowest, grid.highest);
      numbers[i] = int16_t(std::nearbyint(x));
    }
    element.pack(numbers.data(), end - begin, bytes);
  }
  return grid.stored;
}

void decodeVector(const Format &format, VectorScale stored,
                  const uint8_t *codes, int64_t count, float *values) {
  const Element &element = elementOf(format.element);
  float scale = halfToFloat(stored.scale);
  float offset =
      format.zero == ZeroType::Float ? halfToFloat(stored.offset) : 0;
  if (element.isInteger()) {
    std::vector<int16_t> numbers(size_t(count), 0);
    element.unpackSigned(codes, count, numbers.data());
    for (int64_t i = 0; i < count; ++i)
      values[i] = scale * float(numbers[size_t(i)]) + offset;
    return;
  }
  element.decode(codes, count, values);
  for (int64_t i = 0; i < count; ++i)
    values[i] *= scale;
}

bool isVectorFormat(const Format &format) {
  return format.isFloat() ||
         (format.granularity == Granularity::Channel && format.isSymmetric() &&
          format.scale == ScaleType::F32 && format.range == CodeRange::Usual &&
          (format.element == ElementType::Int8 ||
           format.element == ElementType::Int4 ||
           format.element == ElementType::Fp8E4m3));
}

/// Whether there are codes of this element in groups; no kernel of attention
/// reads those of 6 and 5 bits.
static bool hasVectorGroups(ElementType element) {
  return element == ElementType::Int8 || element == ElementType::Int4 ||
         element == ElementType::Int3 || element == ElementType::Int2;
}

bool isVectorGroupFormat(const Format &format) {
  return format == groupFormat(format.element, format.groupSize, format.zero) &&
         format.zero != ZeroType::U8 && hasVectorGroups(format.element);
}

} // namespace qopt::quant
