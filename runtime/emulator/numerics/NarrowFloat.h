// The floating point formats of PTX that are narrower than f64, as traits, with
// one exact conversion from f64 in every rounding and one to f32: cvt of f16,
// bf16, tf32, e4m3, e5m2, e3m2, e2m3, e2m1 and ue8m0, and what their arithmetic
// is built on. A value is its code in an unsigned integer. NaN comes out as the
// format's one canonical NaN, as NVIDIA's GPUs write it.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
#ifndef QOPT_RUNTIME_EMULATOR_NUMERICS_NARROWFLOAT_H
#define QOPT_RUNTIME_EMULATOR_NUMERICS_NARROWFLOAT_H

#include "lib/Quant/FloatConversion.h"
#include "runtime/emulator/numerics/Rounding.h"

namespace qopt::emulator::numerics {

/// What a format holds beside its finite numbers.
enum class Specials : uint8_t { InfinityAndNan, NanOnly, None };

/// Traits of a format: 1 sign, `exponent` and `fraction` bits, from the top.
/// `nan` is the canonical NaN's code; a format without one gives its largest
/// number (PTX, cvt to .e2m1x2 and its kin).
template <typename CodeType, unsigned Exponent, unsigned Fraction, int Bias,
          Specials S>
struct FloatFormat {
  using Code = CodeType;
  static constexpr unsigned exponentBits = Exponent, fractionBits = Fraction;
  static constexpr int bias = Bias;
  static constexpr Specials specials = S;
  static constexpr Code magnitudeMask =
      Code((Code(1) << (Exponent + Fraction)) - 1);
  static constexpr Code signBit = Code(Code(1) << (Exponent + Fraction));
  /// The code behind the largest finite number, were it one.
  static constexpr Code infinity =
      Code(((Code(1) << Exponent) - 1) << Fraction);
  static constexpr Code largest =
      S == Specials::InfinityAndNan
          ? Code(infinity - 1)
          : Code(magnitudeMask - (S == Specials::NanOnly));
  static constexpr Code nan = S == Specials::None ? largest : magnitudeMask;
};

using Float32 = FloatFormat<uint32_t, 8, 23, 127, Specials::InfinityAndNan>;
using Float16 = FloatFormat<uint16_t, 5, 10, 15, Specials::InfinityAndNan>;
using Bfloat16 = FloatFormat<uint16_t, 8, 7, 127, Specials::InfinityAndNan>;
using Tf32 = FloatFormat<uint32_t, 8, 10, 127, Specials::InfinityAndNan>;
using E5M2 = FloatFormat<uint8_t, 5, 2, 15, Specials::InfinityAndNan>;
using E4M3 = FloatFormat<uint8_t, 4, 3, 7, Specials::NanOnly>;
using E3M2 = FloatFormat<uint8_t, 3, 2, 3, Specials::None>;
using E2M3 = FloatFormat<uint8_t, 2, 3, 1, Specials::None>;
using E2M1 = FloatFormat<uint8_t, 2, 1, 1, Specials::None>;

/// What becomes of numbers beyond the largest: the IEEE rule of the rounding
/// (an infinity or the largest; NaN where a format has no infinity), or the
/// largest always (.satfinite; infinities too).
enum class Overflow : uint8_t { Ieee, Saturate };

/// The code of `value`, rounded once. The value may be a rounding to odd.
template <typename Format, Rounding R, Overflow O = Overflow::Ieee>
inline typename Format::Code narrow(double value) {
  using Code = typename Format::Code;
  constexpr unsigned fraction = Format::fractionBits;
  constexpr int smallest = 1 - Format::bias; // exponent of the least normal
  const uint64_t bits = std::bit_cast<uint64_t>(value);
  const bool negative = bits >> 63;
  const int field = int(bits >> 52 & 0x7ff);
  const int exponent = (field ? field : 1) - 1023;
  const uint64_t significand =
      (bits & 0xfffffffffffffull) | uint64_t(field != 0) << 52;
  const int normal = exponent > smallest ? exponent : smallest;
  const int wanted = 52 - int(fraction) + (normal - exponent);
  const unsigned shift = unsigned(wanted < 62 ? wanted : 62);
  const uint64_t kept = roundingShift<R>(significand, shift, negative);
  // A carry out of the fraction moves on into the exponent, as it should.
  const uint64_t magnitude = (uint64_t(normal - smallest) << fraction) + kept;
  const bool isNan = (bits & ~(uint64_t(1) << 63)) > 0x7ff0000000000000ull;
  const bool isInfinite = field == 0x7ff && !isNan;
  Code code = Code(magnitude);
  if (magnitude > Format::largest || isInfinite) {
    constexpr bool nearest =
        R == Rounding::NearestEven || R == Rounding::NearestAway;
    const bool away = nearest || isInfinite ||
                      (R == Rounding::Up && !negative) ||
                      (R == Rounding::Down && negative);
    constexpr Code beyond = Format::specials == Specials::InfinityAndNan
                                ? Format::infinity
                                : Format::nan;
    code = O == Overflow::Ieee && away ? beyond : Format::largest;
  }
  if (isNan)
    return Format::nan;
  return Code(code | (negative ? Format::signBit : Code(0)));
}

/// The value of a finite number's code; every one is an f32.
template <typename Format>
inline float widenFinite(typename Format::Code code) {
  const uint32_t magnitude = code & Format::magnitudeMask;
  const uint32_t sign = code & Format::signBit ? 0x80000000u : 0;
  // The code's bits, moved, are an f32 whose exponent is too small by a fixed
  // amount. Done with an integer for subnormal codes: f32 products of subnormal
  // numbers are slow.
  constexpr uint32_t hidden = 1u << Format::fractionBits;
  float value;
  if constexpr (Format::bias == 127) {
    value = std::bit_cast<float>(magnitude << (23 - Format::fractionBits));
  } else {
    constexpr float least = std::bit_cast<float>(
        uint32_t(128 - Format::bias - int(Format::fractionBits)) << 23);
    const uint32_t normal = (magnitude << (23 - Format::fractionBits)) +
                            (uint32_t(127 - Format::bias) << 23);
    const float subnormal = float(int32_t(magnitude)) * least;
    value = magnitude < hidden ? subnormal : std::bit_cast<float>(normal);
  }
  return std::bit_cast<float>(std::bit_cast<uint32_t>(value) | sign);
}

/// The value of a code. A NaN becomes the canonical f32.
template <typename Format> inline float widen(typename Format::Code code) {
  const uint32_t magnitude = code & Format::magnitudeMask;
  uint32_t bits = std::bit_cast<uint32_t>(widenFinite<Format>(code));
  if constexpr (Format::specials == Specials::InfinityAndNan) {
    const uint32_t infinity = 0x7f800000u | (bits & 0x80000000u);
    bits = magnitude == Format::infinity ? infinity : bits;
    bits = magnitude > Format::infinity ? 0x7fffffffu : bits;
  } else if constexpr (Format::specials == Specials::NanOnly) {
    bits = magnitude == Format::nan ? 0x7fffffffu : bits;
  }
  return std::bit_cast<float>(bits);
}

/// f32 to nearest, the conversions that kernels are full of.
inline uint16_t toHalf(float value) {
  const uint16_t code = quant::floatToHalf(value);
  return value != value ? Float16::nan : code;
}
inline uint16_t toBfloat16(float value) {
  const uint16_t code = quant::floatToBfloat16(value);
  return value != value ? Bfloat16::nan : code;
}

/// cvt with .relu: negative numbers become +0, NaN stays the canonical NaN.
template <typename Format>
inline typename Format::Code relu(typename Format::Code code) {
  return code & Format::signBit ? typename Format::Code(0) : code;
}

/// cvt.R.tf32.f32: 10 fraction bits, in the upper bits of an f32; the lower 13
/// are 0. A NaN keeps its upper bits, as on a GPU.
template <Rounding R, Overflow O = Overflow::Ieee>
inline uint32_t toTf32(float value) {
  if (value != value)
    return std::bit_cast<uint32_t>(value) & 0xffffe000u;
  return narrow<Tf32, R, O>(value) << 13;
}

/// ue8m0, powers of two from 2^-127 (code 0) to 2^127 (254); 255 is NaN. PTX
/// rounds the magnitude toward zero or up; what is too small becomes 2^-127,
/// too large 2^127 with Overflow::Saturate, else NaN.
template <Rounding R, Overflow O> inline uint8_t toUe8m0(float value) {
  static_assert(R == Rounding::Zero || R == Rounding::Up);
  const uint32_t magnitude = std::bit_cast<uint32_t>(value) & 0x7fffffffu;
  if (magnitude > 0x7f800000u)
    return 0xff;
  // 2^-127 is the f32 subnormal 0x400000; below it nothing but code 0 is left.
  uint32_t code = magnitude >> 23;
  if (R == Rounding::Up &&
      (code ? (magnitude & 0x7fffffu) != 0 : magnitude > 0x400000u))
    ++code;
  if (code > 254)
    return O == Overflow::Saturate ? 254 : 255;
  return uint8_t(code);
}
inline float fromUe8m0(uint8_t code) {
  const uint32_t bits = code == 255 ? 0x7fffffffu
                        : code      ? uint32_t(code) << 23
                                    : 0x400000u;
  return std::bit_cast<float>(bits);
}

} // namespace qopt::emulator::numerics

#endif // QOPT_RUNTIME_EMULATOR_NUMERICS_NARROWFLOAT_H
