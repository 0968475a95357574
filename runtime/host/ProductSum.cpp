// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
#include "runtime/host/ProductSum.h"

#include <algorithm>
#include <bit>
#include <cmath>

namespace qopt::host {

constexpr int keptBits = 25;

/// Of a number's alignment: a subnormal one has the least normal exponent.
static int exponentOf(float value, int least) {
  int field = int(std::bit_cast<uint32_t>(value) >> 23 & 0xff);
  return std::max(field - 127, least);
}

static double powerOfTwo(int exponent) {
  return std::bit_cast<double>(uint64_t(exponent + 1023) << 52);
}

/// What is not finite decides alone.
static float specialSum(const float *a, const float *b, int count, float c) {
  float sum = std::isfinite(c) ? 0 : c;
  for (int i = 0; i < count; ++i)
    if (!std::isfinite(a[i]) || !std::isfinite(b[i]))
      sum += a[i] * b[i];
  return sum;
}

float productSum(const float *a, const float *b, int count, int leastExponent,
                 float c) {
  int top = exponentOf(c, leastExponentOfFloat);
  bool finite = std::isfinite(c);
  for (int i = 0; i < count; ++i) {
    finite &= std::isfinite(a[i]) && std::isfinite(b[i]);
    if (a[i] != 0 && b[i] != 0)
      top = std::max(top, exponentOf(a[i], leastExponent) +
                              exponentOf(b[i], leastExponent));
  }
  if (!finite)
    return specialSum(a, b, count, c);
  // Conversions to integers cut toward zero.
  const double scale = powerOfTwo(keptBits - top);
  int64_t sum = int64_t(double(c) * scale);
  for (int i = 0; i < count; ++i)
    sum += int64_t(double(a[i]) * double(b[i]) * scale);
  const double value = double(sum) * powerOfTwo(top - keptBits);
  if (std::fabs(value) < 0x1p-126) // subnormal numbers have fewer bits
    return float(std::trunc(value * 0x1p149) * 0x1p-149);
  // 24 significant bits remain: the conversion is exact, or an infinity.
  return float(std::bit_cast<double>(std::bit_cast<uint64_t>(value) &
                                     ~uint64_t(0x1fffffff)));
}

float tf32Of(float value) {
  return std::bit_cast<float>(std::bit_cast<uint32_t>(value) & 0xffffe000u);
}

} // namespace qopt::host
