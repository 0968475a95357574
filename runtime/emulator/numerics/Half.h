// Arithmetic of f16 and bf16 on their codes: add, sub, mul and fma rounded
// once, .ftz, .sat and .relu, minima and maxima. Format is Float16 or Bfloat16
// of NarrowFloat.h. PTX rounds these to nearest even only.
//
// Sums and products go through f32, whose 24 bits are twice 11 and two more, so
// that rounding twice is rounding once; fma goes through f64, rounded to odd.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
#ifndef QOPT_RUNTIME_EMULATOR_NUMERICS_HALF_H
#define QOPT_RUNTIME_EMULATOR_NUMERICS_HALF_H

#include "runtime/emulator/numerics/Float32.h"

namespace qopt::emulator::numerics {

/// f32 to nearest.
template <typename Format> inline uint16_t fromFloat(float value);
template <> inline uint16_t fromFloat<Float16>(float value) {
  return toHalf(value);
}
template <> inline uint16_t fromFloat<Bfloat16>(float value) {
  return toBfloat16(value);
}

/// An f64 that was rounded to odd, to nearest. It goes through f32, again to
/// odd; what f32 has no 24 bits for is rounded in f64.
template <typename Format> inline uint16_t fromOdd(double value) {
  const uint64_t bits = std::bit_cast<uint64_t>(value);
  const uint64_t below = bits & 0x1fffffff;
  const uint64_t cut = (bits ^ below) | uint64_t(below != 0) << 29;
  const float odd = float(std::bit_cast<double>(cut));
  if constexpr (Format::bias != 127) {
    return fromFloat<Format>(odd); // an f16's results are normal f32
  } else {
    // Rounds to a multiple of 2^-133, bf16's least number.
    const double shifted = value + 0x1.8p-81;
    const double multiple = shifted - 0x1.8p-81;
    const float subnormal = std::copysign(float(multiple), float(value));
    const bool small = std::fabs(value) < 0x1p-126;
    return fromFloat<Format>(small ? subnormal : odd);
  }
}

/// .ftz of f16 (bf16 has none): subnormal halves become zeros of their sign.
template <bool Ftz, typename Format> inline uint16_t flushHalf(uint16_t code) {
  if constexpr (Ftz)
    return code & Format::infinity ? code : uint16_t(code & Format::signBit);
  return code;
}

/// What may follow an operation.
enum class HalfClamp : uint8_t { None, Saturate, Relu };

/// `code` is the rounded `exact`. A GPU flushes what would be below 2^-14 were
/// it rounded to 11 bits all the same.
template <typename Format, bool Ftz, HalfClamp C, typename Exact>
inline uint16_t finishedHalf(uint16_t code, Exact exact) {
  const bool tiny = Ftz && std::fabs(exact) < Exact(0x1p-14 - 0x1p-26);
  const uint16_t flushed = tiny ? uint16_t(code & Format::signBit) : code;
  if constexpr (C == HalfClamp::Relu)
    return relu<Format>(flushed);
  if constexpr (C == HalfClamp::Saturate) {
    const uint16_t one = uint16_t(Format::bias << Format::fractionBits);
    const bool zero = flushed > Format::infinity; // negative or NaN
    return zero ? uint16_t(0) : flushed < one ? flushed : one;
  }
  return flushed;
}

template <typename Format, bool Ftz = false, HalfClamp C = HalfClamp::None>
inline uint16_t addHalf(uint16_t a, uint16_t b) {
  const float x = widen<Format>(flushHalf<Ftz, Format>(a));
  const float y = widen<Format>(flushHalf<Ftz, Format>(b));
  const float sum = x + y;
  return finishedHalf<Format, Ftz, C>(fromFloat<Format>(sum), sum);
}

template <typename Format, bool Ftz = false, HalfClamp C = HalfClamp::None>
inline uint16_t subtractHalf(uint16_t a, uint16_t b) {
  return addHalf<Format, Ftz, C>(a, uint16_t(b ^ Format::signBit));
}

template <typename Format, bool Ftz = false, HalfClamp C = HalfClamp::None>
inline uint16_t multiplyHalf(uint16_t a, uint16_t b) {
  const float x = widen<Format>(flushHalf<Ftz, Format>(a));
  const float y = widen<Format>(flushHalf<Ftz, Format>(b));
  const float product = x * y;
  return finishedHalf<Format, Ftz, C>(fromFloat<Format>(product), product);
}

template <typename Format, bool Ftz = false, HalfClamp C = HalfClamp::None>
inline uint16_t fusedMultiplyAddHalf(uint16_t a, uint16_t b, uint16_t c) {
  const double x = widen<Format>(flushHalf<Ftz, Format>(a));
  const double y = widen<Format>(flushHalf<Ftz, Format>(b));
  const double z = widen<Format>(flushHalf<Ftz, Format>(c));
  const double product = x * y; // exact
  const double odd = sumToOdd(product, z);
  return finishedHalf<Format, Ftz, C>(fromOdd<Format>(odd), odd);
}

template <typename Format, bool Ftz = false, NanRule N = NanRule::Number>
inline uint16_t minimumHalf(uint16_t a, uint16_t b) {
  const float x = widen<Format>(flushHalf<Ftz, Format>(a));
  const float y = widen<Format>(flushHalf<Ftz, Format>(b));
  return fromFloat<Format>(minimum<N>(x, y));
}
template <typename Format, bool Ftz = false, NanRule N = NanRule::Number>
inline uint16_t maximumHalf(uint16_t a, uint16_t b) {
  const float x = widen<Format>(flushHalf<Ftz, Format>(a));
  const float y = widen<Format>(flushHalf<Ftz, Format>(b));
  return fromFloat<Format>(maximum<N>(x, y));
}
template <typename Format, NanRule N = NanRule::Number>
inline uint16_t minimumXorSignHalf(uint16_t a, uint16_t b) {
  return fromFloat<Format>(
      minimumXorSign<N>(widen<Format>(a), widen<Format>(b)));
}
template <typename Format, NanRule N = NanRule::Number>
inline uint16_t maximumXorSignHalf(uint16_t a, uint16_t b) {
  return fromFloat<Format>(
      maximumXorSign<N>(widen<Format>(a), widen<Format>(b)));
}

/// neg and abs; a NaN becomes the canonical one.
template <typename Format, bool Ftz = false>
inline uint16_t negateHalf(uint16_t code) {
  const uint16_t flipped =
      uint16_t(flushHalf<Ftz, Format>(code) ^ Format::signBit);
  const bool isNan = (code & Format::magnitudeMask) > Format::infinity;
  return isNan ? Format::nan : flipped;
}
template <typename Format, bool Ftz = false>
inline uint16_t absoluteHalf(uint16_t code) {
  const uint16_t magnitude =
      uint16_t(flushHalf<Ftz, Format>(code) & Format::magnitudeMask);
  return magnitude > Format::infinity ? Format::nan : magnitude;
}

} // namespace qopt::emulator::numerics

#endif // QOPT_RUNTIME_EMULATOR_NUMERICS_HALF_H
