// The 8-bit floats of ONNX that have neither infinities nor -0, whose code is
// the NaN: e4m3fnuz (bias 8) and e5m2fnuz (bias 16). Weights have none of them;
// the formats that weights have are FloatConversion's.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
#ifndef QOPT_LIB_QUANT_FNUZCONVERSION_H
#define QOPT_LIB_QUANT_FNUZCONVERSION_H

#include <cmath>
#include <cstdint>
#include <limits>

namespace qopt::quant {

/// A code of 1 sign, 7 - `fraction` exponent and `fraction` fraction bits with
/// the bias 2^(6 - fraction) to f32; exact.
template <int fraction> float fnuzToFloat(uint8_t code) {
  constexpr int smallest = 1 - (1 << (6 - fraction)) - fraction;
  if (code == 0x80)
    return std::numeric_limits<float>::quiet_NaN();
  int magnitude = code & 0x7f, exponent = magnitude >> fraction;
  int significand = magnitude & ((1 << fraction) - 1);
  float value = exponent ? std::ldexp(float(significand + (1 << fraction)),
                                      smallest + exponent - 1)
                         : std::ldexp(float(significand), smallest);
  return code & 0x80 ? -value : value;
}
inline float e4m3fnuzToFloat(uint8_t code) { return fnuzToFloat<3>(code); }
inline float e5m2fnuzToFloat(uint8_t code) { return fnuzToFloat<2>(code); }

} // namespace qopt::quant

#endif // QOPT_LIB_QUANT_FNUZCONVERSION_H
