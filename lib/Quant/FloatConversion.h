// Conversions between f32 and the narrower floating point types, exact in every
// bit: to the nearest, ties to even; subnormals, infinities and the sign of
// zero are kept; a NaN stays a NaN with the leading bits of its payload. A type
// is its bits here (uint16_t, uint8_t), so that a value can be read from any
// byte of a mapped file.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
#ifndef QOPT_LIB_QUANT_FLOATCONVERSION_H
#define QOPT_LIB_QUANT_FLOATCONVERSION_H

#include <bit>
#include <cstdint>

namespace qopt::quant {

/// IEEE binary16 (1 sign, 5 exponent, 10 fraction bits) to f32; every half has
/// an equal f32.
inline float halfToFloat(uint16_t half) {
  uint32_t sign = uint32_t(half & 0x8000u) << 16;
  uint32_t magnitude = half & 0x7fffu;
  if (magnitude >= 0x7c00u) // infinity or NaN
    return std::bit_cast<float>(sign | 0x7f800000u |
                                (magnitude & 0x3ffu) << 13);
  // The bits of a normal half, moved, are an f32 whose exponent is too small by
  // 112. One product sets it right for subnormals too, because the product of a
  // subnormal f32 and a power of two is exact here.
  float scaled = std::bit_cast<float>(magnitude << 13) * 0x1p112f;
  return std::bit_cast<float>(sign | std::bit_cast<uint32_t>(scaled));
}

/// f32 to the nearest half, ties to even; from 65520 on the result is infinite.
inline uint16_t floatToHalf(float value) {
  uint32_t bits = std::bit_cast<uint32_t>(value);
  uint16_t sign = uint16_t(bits >> 16 & 0x8000u);
  uint32_t magnitude = bits & 0x7fffffffu;
  if (magnitude > 0x7f800000u) // NaN; the quiet bit keeps it one
    return uint16_t(sign | 0x7e00u | (magnitude >> 13 & 0x3ffu));
  if (magnitude >= 0x477ff000u) // 65520: half way between the largest half and
                                // the next power of two
    return uint16_t(sign | 0x7c00u);
  if (magnitude < 0x38800000u) {
    // Below the smallest normal half, 2^-14: adding 0.5 leaves multiples of
    // 2^-24 in the fraction, rounded to even.
    float shifted = std::bit_cast<float>(magnitude) + 0.5f;
    return uint16_t(sign | (std::bit_cast<uint32_t>(shifted) - 0x3f000000u));
  }
  uint32_t odd = magnitude >> 13 & 1;
  return uint16_t(sign | ((magnitude - 0x38000000u + 0xfffu + odd) >> 13));
}

/// bfloat16 (the upper half of an f32) to f32.
inline float bfloat16ToFloat(uint16_t value) {
  return std::bit_cast<float>(uint32_t(value) << 16);
}

/// f32 to the nearest bfloat16, ties to even; what rounds beyond the largest
/// becomes infinite.
inline uint16_t floatToBfloat16(float value) {
  uint32_t bits = std::bit_cast<uint32_t>(value);
  if ((bits & 0x7fffffffu) > 0x7f800000u)
    return uint16_t(bits >> 16 | 0x40u);
  return uint16_t((bits + 0x7fffu + (bits >> 16 & 1)) >> 16);
}

/// OCP e4m3 (1 sign, 4 exponent with bias 7, 3 fraction bits) to f32. There is
/// no infinity; all ones but for the sign is the NaN, so that the largest value
/// is 448.
inline float e4m3ToFloat(uint8_t code) {
  uint32_t sign = uint32_t(code & 0x80u) << 24;
  uint32_t magnitude = code & 0x7fu;
  if (magnitude == 0x7fu)
    return std::bit_cast<float>(sign | 0x7fc00000u);
  // As with halves: moved, the exponent is too small, here by 120.
  float scaled = std::bit_cast<float>(magnitude << 20) * 0x1p120f;
  return std::bit_cast<float>(sign | std::bit_cast<uint32_t>(scaled));
}

/// f32 to the nearest e4m3, ties to even; what is larger than 448, infinity
/// included, becomes 448.
inline uint8_t floatToE4m3(float value) {
  uint32_t bits = std::bit_cast<uint32_t>(value);
  uint8_t sign = uint8_t(bits >> 24 & 0x80u);
  uint32_t magnitude = bits & 0x7fffffffu;
  if (magnitude > 0x7f800000u)
    return uint8_t(sign | 0x7fu);
  if (magnitude >= 0x43e00000u) // 448
    return uint8_t(sign | 0x7eu);
  if (magnitude < 0x3c800000u) {
    // Below the smallest normal, 2^-6: adding 2^14 leaves multiples of 2^-9.
    float shifted = std::bit_cast<float>(magnitude) + 0x1p14f;
    return uint8_t(sign | (std::bit_cast<uint32_t>(shifted) - 0x46800000u));
  }
  uint32_t odd = magnitude >> 20 & 1;
  return uint8_t(sign | ((magnitude - 0x3c000000u + 0x7ffffu + odd) >> 20));
}

/// OCP e5m2 (1 sign, 5 exponent, 2 fraction bits: the upper half of a half) to
/// f32; it has infinities.
inline float e5m2ToFloat(uint8_t code) {
  return halfToFloat(uint16_t(code << 8));
}

/// f32 to the nearest e5m2, ties to even; what is larger than 57344, infinity
/// included, becomes 57344.
inline uint8_t floatToE5m2(float value) {
  uint32_t bits = std::bit_cast<uint32_t>(value);
  uint8_t sign = uint8_t(bits >> 24 & 0x80u);
  uint32_t magnitude = bits & 0x7fffffffu;
  if (magnitude > 0x7f800000u)
    return uint8_t(sign | 0x7fu);
  if (magnitude >= 0x47600000u) // 57344
    return uint8_t(sign | 0x7bu);
  if (magnitude < 0x38800000u) {
    // Below the smallest normal, 2^-14: adding 2^7 leaves multiples of 2^-16.
    float shifted = std::bit_cast<float>(magnitude) + 0x1p7f;
    return uint8_t(sign | (std::bit_cast<uint32_t>(shifted) - 0x43000000u));
  }
  uint32_t odd = magnitude >> 21 & 1;
  return uint8_t(sign | ((magnitude - 0x38000000u + 0xfffffu + odd) >> 21));
}

/// OCP e2m1 (1 sign, 2 exponent with bias 1, 1 fraction bit) in the low four
/// bits to f32: 0, 0.5, 1, 1.5, 2, 3, 4, 6 and their negatives.
inline float e2m1ToFloat(uint8_t code) {
  float scaled = std::bit_cast<float>(uint32_t(code & 7u) << 22) * 0x1p126f;
  return std::bit_cast<float>(std::bit_cast<uint32_t>(scaled) |
                              uint32_t(code & 8u) << 28);
}

/// f32 to the nearest e2m1, ties to even; what is larger than 6, infinity
/// included, becomes 6. There is no NaN, which becomes 6 of its sign.
inline uint8_t floatToE2m1(float value) {
  uint32_t bits = std::bit_cast<uint32_t>(value);
  uint8_t sign = uint8_t(bits >> 28 & 8u);
  uint32_t magnitude = bits & 0x7fffffffu;
  if (magnitude >= 0x40c00000u) // 6
    return uint8_t(sign | 7u);
  if (magnitude < 0x3f800000u) {
    // Below the smallest normal, 1: adding 2^22 leaves multiples of 0.5.
    float shifted = std::bit_cast<float>(magnitude) + 0x1p22f;
    return uint8_t(sign | (std::bit_cast<uint32_t>(shifted) - 0x4a800000u));
  }
  uint32_t odd = magnitude >> 22 & 1;
  return uint8_t(sign | ((magnitude - 0x3f000000u + 0x1fffffu + odd) >> 22));
}

/// OCP e8m0 (8 exponent bits with bias 127, no sign, no zero) to f32: the power
/// of two; 255 is the NaN.
inline float e8m0ToFloat(uint8_t code) {
  if (code == 0xffu)
    return std::bit_cast<float>(0x7fc00000u);
  return std::bit_cast<float>(code ? uint32_t(code) << 23 : 0x00400000u);
}

/// The magnitude of an f32 rounded up to e8m0, as ONNX's Cast does where
/// nothing else is asked: 2^-127 at least and 2^127 at most, infinity included.
inline uint8_t floatToE8m0(float value) {
  uint32_t magnitude = std::bit_cast<uint32_t>(value) & 0x7fffffffu;
  if (magnitude > 0x7f800000u)
    return 0xffu;
  if (magnitude > 0x7f000000u) // 2^127
    return 0xfeu;
  if (magnitude <= 0x00400000u) // 2^-127
    return 0;
  return uint8_t((magnitude + 0x7fffffu) >> 23);
}

} // namespace qopt::quant

#endif // QOPT_LIB_QUANT_FLOATCONVERSION_H
