// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
#include "Codes.h"
#include "lib/Quant/Element.h"
#include "lib/Quant/FloatConversion.h"

#include <algorithm>

namespace qopt::programs {

/// What a code that may be another adds to the error: its step is one number
/// that goes through all that follows, where terms of sums that it is in are
/// not independent.
static constexpr double share = 4 / reach;

/// Quotients are products with an inverse, both rounded to f32.
static constexpr double quotientError = 8 * roundoff;

static double half(double x) {
  return quant::halfToFloat(quant::floatToHalf(float(std::min(x, 65504.0))));
}

static double codeOf(const Grid &grid, double quotient) {
  double clamped = std::clamp(quotient, grid.lowest, grid.highest);
  return grid.integers ? std::nearbyint(clamped)
                       : quant::e4m3ToFloat(quant::floatToE4m3(float(clamped)));
}

Grid::Number Grid::operator()(Real x) const {
  double least = scale.value - scale.error;
  if (least <= 0) { // a scale of 0 has codes of 0
    bool isZero = scale.value == 0 && scale.error == 0;
    Real result = offset;
    if (!isZero)
      result.add(std::abs(x.value - offset.value) + x.error);
    return {result, std::abs(offset.value), 0, false};
  }
  double quotient = (x.value - offset.value) / scale.value,
         rounding = quotientError * (std::abs(quotient) +
                                     std::abs(offset.value) / scale.value + 1),
         width = reach *
                     together(x.error, offset.error,
                              std::abs(quotient) * scale.error) /
                     least +
                 rounding;
  double code = codeOf(*this, quotient),
         step = std::max(codeOf(*this, quotient + width) - code,
                         code - codeOf(*this, quotient - width));
  double part = std::abs(scale.value * code);
  Real result{scale.value * code + offset.value, scale.error * std::abs(code)};
  result.add(offset.error);
  result.add(4 * roundoff * (part + std::abs(offset.value)));
  constexpr double narrow = 1e-3; // of a step
  return {result, part + std::abs(offset.value), share * step * scale.value,
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

/// A function that never falls, of a number with an error: as far as it goes
/// within reach.
template <typename Function> static Real between(Real x, Function function) {
  double value = function(x.value), width = reach * x.error;
  return {value, std::max(function(x.value + width) - value,
                          value - function(x.value - width)) /
                     reach};
}

Grid cacheGrid(const quant::Format &format, std::span<const Real> numbers) {
  const quant::Element &element = quant::elementOf(format.element);
  Grid grid;
  grid.integers = element.isInteger();
  bool offsets = format.zero == quant::ZeroType::Float;
  Range range(numbers, !offsets);
  if (!offsets) {
    grid.lowest = -element.maxCode;
    grid.highest = element.maxCode;
    grid.scale = between({std::max(range.most, -range.least), range.error},
                         [&](double most) {
                           return half(std::max(most, 0.0) / element.maxCode);
                         });
    return grid;
  }
  double levels = double(int64_t(1) << (element.bits - 1));
  grid.lowest = -levels;
  grid.highest = levels - 1;
  grid.scale =
      between({range.most - range.least, 2 * range.error}, [&](double width) {
        return half(std::max(width, 0.0) / (2 * levels - 1));
      });
  // Of the least number, and of the scale that was stored.
  grid.offset =
      between({range.least + levels * grid.scale.value,
               range.error + levels * grid.scale.error +
                   roundoff * levels * grid.scale.value},
              [](double x) {
                return quant::halfToFloat(quant::floatToHalf(float(x)));
              });
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
  return grid;
}

Real stored(Real x, quant::ElementType type) {
  x.add(roundoff * x.most());
  return between(x, [&](double number) -> double {
    auto value = float(number);
    if (type == quant::ElementType::F16)
      return quant::halfToFloat(quant::floatToHalf(value));
    return type == quant::ElementType::BF16
               ? quant::bfloat16ToFloat(quant::floatToBfloat16(value))
               : number;
  });
}

} // namespace qopt::programs
