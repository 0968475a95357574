// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
#include "runtime/host/RoundedWeight.h"
#include "runtime/host/ProductSum.h"

#include <bit>
#include <cmath>
#include <limits>

namespace qopt::host {
namespace {

struct Rounding {
  bool bf16;

  /// One rounding of what is exact in f64: on the way through f32 the last bit
  /// says whether something was cut off.
  float operator()(double exact) const {
    auto value = float(exact);
    if (double(value) != exact && !(std::bit_cast<uint32_t>(value) & 1))
      value =
          std::nextafterf(value, exact > double(value)
                                     ? std::numeric_limits<float>::infinity()
                                     : -std::numeric_limits<float>::infinity());
    return roundedTo16(value, bf16);
  }
};

} // namespace

float roundedWeight(const quant::Format &format, WeightRounding rounding,
                    float number, float zero, float scale) {
  Rounding round{rounding.bf16};
  float whole =
      format.zero == quant::ZeroType::Float ? std::nearbyintf(zero) : zero;
  float level = number - whole;
  if (!format.isGrouped())
    return round(double(level) + double(round(whole - zero)));
  float rest = round((whole - zero) * scale);
  bool halves =
      format.scale == quant::ScaleType::F16 || format.hasScaleFields();
  if (halves)
    return round(double(level) * double(round(scale)) + double(rest));
  float scaled = scale * rounding.factor;
  float high = round(scaled), low = round(scaled - high);
  double part = level / rounding.factor;
  rest = round(part * double(low) + double(rest));
  return round(part * double(high) + double(rest));
}

} // namespace qopt::host
