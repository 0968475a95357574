// Every code of every narrow format has the value of its definition, and every
// rounding of numbers at, between and beyond the codes gives the code that a
// search for the nearest finds.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
#include "runtime/emulator/numerics/NarrowFloat.h"
#include "FormatOracle.h"
#include "HostRounding.h"
#include <gtest/gtest.h>

using namespace qopt::emulator::numerics;

template <typename Format> static FormatOracle oracleOf() {
  return {int(Format::exponentBits), int(Format::fractionBits), Format::bias,
          Format::specials == Specials::InfinityAndNan,
          Format::specials == Specials::NanOnly};
}

template <typename Format> class NarrowFloat : public testing::Test {};
using Formats =
    testing::Types<Float16, Bfloat16, Tf32, E5M2, E4M3, E3M2, E2M3, E2M1>;
TYPED_TEST_SUITE(NarrowFloat, Formats);

TYPED_TEST(NarrowFloat, WidensEveryCode) {
  using Code = typename TypeParam::Code;
  const FormatOracle oracle = oracleOf<TypeParam>();
  for (unsigned code = 0; code <= oracle.largest(); ++code) {
    ASSERT_EQ(widen<TypeParam>(Code(code)), float(oracle.values[code])) << code;
    ASSERT_EQ(widen<TypeParam>(Code(code | oracle.sign())),
              -float(oracle.values[code]));
    ASSERT_TRUE(std::signbit(widen<TypeParam>(Code(code | oracle.sign()))));
  }
  for (unsigned code = oracle.infinity(); code < oracle.sign(); ++code) {
    const float value = widen<TypeParam>(Code(code));
    if (oracle.hasInfinity && code == oracle.infinity())
      ASSERT_EQ(value, HUGE_VALF);
    else
      ASSERT_EQ(std::bit_cast<uint32_t>(value), 0x7fffffffu) << code;
  }
}

template <typename Format, Rounding R>
static void compare(const FormatOracle &oracle, double value) {
  ASSERT_EQ((narrow<Format, R, Overflow::Saturate>(value)),
            oracle.round(value, R, true))
      << "saturating " << value << " in mode " << int(R);
  if (Format::specials == Specials::InfinityAndNan) {
    ASSERT_EQ((narrow<Format, R>(value)), oracle.round(value, R, false))
        << value << " in mode " << int(R);
  }
}

template <typename Format>
static void compareAll(const FormatOracle &oracle, double value) {
  for (double signedValue : {value, -value}) {
    compare<Format, Rounding::NearestEven>(oracle, signedValue);
    compare<Format, Rounding::NearestAway>(oracle, signedValue);
    compare<Format, Rounding::Zero>(oracle, signedValue);
    compare<Format, Rounding::Down>(oracle, signedValue);
    compare<Format, Rounding::Up>(oracle, signedValue);
  }
}

TYPED_TEST(NarrowFloat, RoundsAtAndAroundEveryTie) {
  const FormatOracle oracle = oracleOf<TypeParam>();
  // All codes of the small formats, every 61st of the larger ones.
  const unsigned step = oracle.largest() > 70000 ? 61 : 1;
  for (unsigned code = 0; code <= oracle.largest(); code += step) {
    const double value = oracle.values[code];
    const double next = code < oracle.largest()
                            ? oracle.values[code + 1]
                            : 2 * value - oracle.values[code - 1];
    const double tie = (value + next) / 2;
    for (double x :
         {value, tie, std::nextafter(tie, 0.0), std::nextafter(tie, HUGE_VAL),
          std::nextafter(value, HUGE_VAL), value + (tie - value) / 2})
      compareAll<TypeParam>(oracle, x);
    if (testing::Test::HasFatalFailure())
      return;
  }
  for (double x : {4e38, 1e39, 1e300, 1e-300, 0x1p-1074, 0x1p-150})
    compareAll<TypeParam>(oracle, x);
}

TYPED_TEST(NarrowFloat, RoundsRandomNumbers) {
  const FormatOracle oracle = oracleOf<TypeParam>();
  Random random(3);
  for (int i = 0; i < 30000 && !testing::Test::HasFatalFailure(); ++i) {
    const float value = std::fabs(random.anyFloat());
    if (std::isfinite(value))
      compareAll<TypeParam>(oracle, value);
  }
}

TYPED_TEST(NarrowFloat, InfinityAndNan) {
  const FormatOracle oracle = oracleOf<TypeParam>();
  const double infinity = HUGE_VAL;
  EXPECT_EQ(
      (narrow<TypeParam, Rounding::NearestEven, Overflow::Saturate>(-infinity)),
      oracle.sign() | oracle.largest());
  if (oracle.hasInfinity) {
    EXPECT_EQ((narrow<TypeParam, Rounding::Zero>(infinity)), oracle.infinity());
    EXPECT_EQ((narrow<TypeParam, Rounding::Up>(-infinity)),
              oracle.sign() | oracle.infinity());
  }
  const unsigned nan = oracle.hasInfinity || oracle.hasNan ? oracle.sign() - 1
                                                           : oracle.largest();
  EXPECT_EQ((narrow<TypeParam, Rounding::NearestEven, Overflow::Saturate>(
                std::nan(""))),
            nan);
}

TEST(NarrowFloat, FastConversionsAreTheExactOnes) {
  Random random(4);
  for (int i = 0; i < 1000000; ++i) {
    const float value = random.anyFloat();
    ASSERT_EQ(toHalf(value),
              (narrow<Float16, Rounding::NearestEven>(double(value))));
    ASSERT_EQ(toBfloat16(value),
              (narrow<Bfloat16, Rounding::NearestEven>(double(value))));
  }
}

TEST(NarrowFloat, Tf32KeepsTheUpperBits) {
  const float tie = 1.0f + 0x1p-11f;
  EXPECT_EQ(toTf32<Rounding::NearestAway>(tie),
            std::bit_cast<uint32_t>(1.0f + 0x1p-10f));
  EXPECT_EQ(toTf32<Rounding::NearestEven>(tie), std::bit_cast<uint32_t>(1.0f));
  EXPECT_EQ(toTf32<Rounding::Zero>(-tie), std::bit_cast<uint32_t>(-1.0f));
  const float largest = std::bit_cast<float>(0x7f7fffffu);
  EXPECT_EQ(toTf32<Rounding::NearestAway>(largest), 0x7f800000u);
  EXPECT_EQ((toTf32<Rounding::NearestEven, Overflow::Saturate>(largest)),
            0x7f7fe000u);
  EXPECT_EQ(toTf32<Rounding::NearestAway>(std::bit_cast<float>(0xffd990d0u)),
            0xffd98000u);
}

TEST(NarrowFloat, Ue8m0IsAPowerOfTwo) {
  for (int code = 0; code < 255; ++code) {
    const float value = float(std::ldexp(1.0, code - 127));
    ASSERT_EQ(fromUe8m0(uint8_t(code)), value);
    ASSERT_EQ((toUe8m0<Rounding::Zero, Overflow::Saturate>(value)), code);
    ASSERT_EQ((toUe8m0<Rounding::Up, Overflow::Saturate>(-value)), code);
    const float more = std::nextafter(value, HUGE_VALF);
    ASSERT_EQ((toUe8m0<Rounding::Zero, Overflow::Saturate>(more)), code);
    ASSERT_EQ((toUe8m0<Rounding::Up, Overflow::Saturate>(more)),
              std::min(code + 1, 254));
  }
  EXPECT_TRUE(std::isnan(fromUe8m0(255)));
  EXPECT_EQ((toUe8m0<Rounding::Up, Overflow::Saturate>(std::nanf(""))), 255);
  EXPECT_EQ((toUe8m0<Rounding::Zero, Overflow::Saturate>(HUGE_VALF)), 254);
  EXPECT_EQ((toUe8m0<Rounding::Zero, Overflow::Ieee>(HUGE_VALF)), 255);
  EXPECT_EQ((toUe8m0<Rounding::Zero, Overflow::Saturate>(0.0f)), 0);
}
