// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
#include "Codes.h"
#include "lib/Quant/Element.h"
#include "lib/Quant/FloatConversion.h"

#include <algorithm>

namespace qopt::programs {

/// Quotients are products with an inverse, both rounded to f32.
static constexpr double quotientError = 8 * roundoff;

static constexpr double largestHalf = 65504;

static double codeOf(const Grid &grid, double quotient) {
  double clamped = std::clamp(quotient, grid.lowest, grid.highest);
  return grid.integers ? std::nearbyint(clamped)
                       : quant::e4m3ToFloat(quant::floatToE4m3(float(clamped)));
}

Grid::Number Grid::operator()(Real x) const {
  double least = scale.value - scaleReach;
  if (least <= 0) { // a scale of 0 has codes of 0
    bool isZero = scale.value == 0 && scaleReach == 0;
    Real result = offset;
    if (!isZero)
      result.add(std::abs(x.value - offset.value) + x.error);
    return {result, std::abs(offset.value), 0, false};
  }
  double quotient = (x.value - offset.value) / scale.value,
         rounding = quotientError * (std::abs(quotient) +
                                     std::abs(offset.value) / scale.value + 1),
         width = together(reach * x.error, offsetReach,
                          std::abs(quotient) * scaleReach) /
                     least +
                 rounding;
  double code = codeOf(*this, quotient),
         step = std::max(codeOf(*this, quotient + width) - code,
                         code - codeOf(*this, quotient - width));
  // One code more or less is all of the error; where it may be many, what x has
  // is, and the rounding.
  double unit = integers ? 1 : std::max(std::abs(code) / 8, 0x1p-9),
         other = std::min(step * scale.value,
                          together(x.error, offset.error, unit * scale.value));
  double part = std::abs(scale.value * code);
  Real result{scale.value * code + offset.value, scale.error * std::abs(code)};
  result.add(offset.error);
  result.add(4 * roundoff * (part + std::abs(offset.value)));
  constexpr double narrow = 1e-3; // of a step
  return {result, part + std::abs(offset.value), other,
          step > 0 && width < narrow};
}

namespace {
struct Range {
  double least = 0, most = 0, error = 0;
  Range(std::span<const Real> numbers, bool withZero) {
    if (!withZero)
      least = most = numbers.front().value;
    for (const Real &x : numbers) {
      least = std::min(least, x.value);
      most = std::max(most, x.value);
      error = std::max(error, x.error);
    }
    error += quotientError * std::max(most, -least);
  }
};
} // namespace

static double rounded(double x, quant::ElementType type) {
  auto number = float(x);
  if (type == quant::ElementType::F16)
    return quant::halfToFloat(quant::floatToHalf(number));
  return type == quant::ElementType::BF16
             ? quant::bfloat16ToFloat(quant::floatToBfloat16(number))
             : x;
}

/// The largest distance of two numbers of a type that are as large as x.
static double unitAt(double x, quant::ElementType type) {
  double relative = type == quant::ElementType::F16    ? 0x1p-10
                    : type == quant::ElementType::BF16 ? 0x1p-7
                                                       : 2 * roundoff;
  return std::max(relative * std::abs(x), 0x1p-24);
}

namespace {
/// A number that was rounded to a type, and how far from it a device's may be.
struct Rounded {
  Real real;
  double far;
};
} // namespace

/// Where all that a device may have is rounded alike there is no error. Where
/// it may be the next number, that is all of the error: one step, however
/// little is missing to it. Where it may be many, both roundings, which are up
/// to half a step each, come on top of the error that x has.
static Rounded roundedTo(Real x, quant::ElementType type) {
  double value = rounded(x.value, type), width = reach * x.error,
         far = std::max(rounded(x.value + width, type) - value,
                        value - rounded(x.value - width, type));
  if (!std::isfinite(far))
    far = std::numeric_limits<double>::infinity();
  return {{value, std::min(far, together(x.error, unitAt(x.value, type)))},
          far};
}

Grid cacheGrid(const quant::Format &format, std::span<const Real> numbers) {
  const quant::Element &element = quant::elementOf(format.element);
  Grid grid;
  grid.integers = element.isInteger();
  bool offsets = format.zero == quant::ZeroType::Float;
  Range range(numbers, !offsets);
  double levels = double(int64_t(1) << (element.bits - 1)),
         most = offsets ? range.most - range.least
                        : std::max(range.most, -range.least),
         codes = offsets ? 2 * levels - 1 : double(element.maxCode);
  grid.lowest = offsets ? -levels : -double(element.maxCode);
  grid.highest = offsets ? levels - 1 : double(element.maxCode);
  Rounded scale = roundedTo({std::min(most / codes, largestHalf),
                             (offsets ? 2 : 1) * range.error / codes},
                            quant::ElementType::F16);
  grid.scale = scale.real;
  grid.scaleReach = scale.far;
  if (!offsets)
    return grid;
  // Of the least number, and of the scale that was stored.
  Real least{range.least + levels * scale.real.value, range.error};
  least.add(levels * scale.far / reach);
  least.add(roundoff * levels * scale.real.value);
  Rounded offset = roundedTo(least, quant::ElementType::F16);
  grid.offset = offset.real;
  grid.offsetReach = offset.far;
  return grid;
}

Grid activationGrid(const quant::Format &format, std::span<const Real> numbers,
                    double given) {
  const quant::Element &element = quant::elementOf(format.element);
  Grid grid;
  grid.integers = element.isInteger();
  grid.lowest = -element.maxCode;
  grid.highest = element.maxCode;
  Range range(numbers, true);
  double most = std::max(range.most, -range.least) / element.maxCode;
  grid.scale =
      given > 0
          ? Real{given, 0}
          : Real{most, range.error / element.maxCode + quotientError * most};
  if (most == 0 && range.error == 0)
    grid.scale = {};
  grid.scaleReach = reach * grid.scale.error;
  return grid;
}

Real stored(Real x, quant::ElementType type) {
  x.add(roundoff * x.most());
  return roundedTo(x, type).real;
}

} // namespace qopt::programs
