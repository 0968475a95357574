// Conversions between integers and floating point against the host's unit and
// __int128, at the ends of every range, and the NaN rule of the PTX ISA.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
#include "runtime/emulator/numerics/Conversion.h"
#include "FormatOracle.h"
#include "HostRounding.h"
#include <gtest/gtest.h>

using namespace qopt::emulator::numerics;

template <typename Int, Rounding R> static Int expectedInteger(double value) {
  const double whole = host::toIntegral(value, R);
  const __int128 low = std::numeric_limits<Int>::min();
  const __int128 high = std::numeric_limits<Int>::max();
  if (std::fabs(whole) > 1e30)
    return Int(whole < 0 ? low : high);
  return Int(std::clamp(__int128(whole), low, high));
}

template <typename Int, Rounding R> static void compareToInteger() {
  Random random(20 + sizeof(Int));
  for (int i = 0; i < 40000; ++i) {
    double value = random.anyDouble();
    if (i % 2) // around the ends of the range and small ties
      value =
          std::ldexp(1.0, int(random.below(66))) * (random.below(2) ? 1 : -1) +
          double(int(random.below(9)) - 4) / 2;
    if (value != value)
      continue;
    ASSERT_EQ((toInteger<Int, R>(value)), (expectedInteger<Int, R>(value)))
        << value << " to " << sizeof(Int) * 8 << " bits in mode " << int(R);
    const float single = float(value);
    ASSERT_EQ((toInteger<Int, R>(single)),
              (expectedInteger<Int, R>(double(single))))
        << single;
  }
}

template <typename Int> class ToInteger : public testing::Test {};
using Integers = testing::Types<int8_t, uint8_t, int16_t, uint16_t, int32_t,
                                uint32_t, int64_t, uint64_t>;
TYPED_TEST_SUITE(ToInteger, Integers);

TYPED_TEST(ToInteger, ClampsAndRounds) {
  compareToInteger<TypeParam, Rounding::NearestEven>();
  compareToInteger<TypeParam, Rounding::Zero>();
  compareToInteger<TypeParam, Rounding::Down>();
  compareToInteger<TypeParam, Rounding::Up>();
}

TEST(Conversion, NanToIntegers) {
  const float single = std::nanf("");
  const double wide = std::nan("");
  constexpr auto R = Rounding::Zero;
  EXPECT_EQ((toInteger<int32_t, R>(single)), 0);
  EXPECT_EQ((toInteger<uint8_t, R>(single)), 0);
  EXPECT_EQ((toInteger<int64_t, R>(single)), INT64_MIN);
  EXPECT_EQ((toInteger<uint64_t, R>(single)), uint64_t(1) << 63);
  EXPECT_EQ((toInteger<int32_t, R>(wide)), INT32_MIN);
  EXPECT_EQ((toInteger<uint32_t, R>(wide)), 0x80000000u);
  EXPECT_EQ((toInteger<int64_t, R>(wide)), INT64_MIN);
}

template <Rounding R> static void compareFromInteger() {
  Random random(30 + int(R));
  const FormatOracle half(5, 10, 15, true, true), brain(8, 7, 127, true, true);
  for (int i = 0; i < 30000; ++i) {
    const int64_t value = int64_t(random.bits()) >> random.below(64);
    ASSERT_TRUE(same(std::bit_cast<float>(narrowInteger<Float32, R>(value)),
                     host::toFloat(value, R)))
        << value;
    ASSERT_TRUE(same(integerToDouble<R>(value), host::toDouble(value, R)))
        << value;
    ASSERT_EQ((narrowInteger<Float16, R>(value)), half.round(value, R, false))
        << value;
    ASSERT_EQ((narrowInteger<Bfloat16, R>(value)),
              brain.round(value, R, false));
    const uint64_t natural = uint64_t(value);
    ASSERT_EQ((narrowInteger<Bfloat16, R>(natural)),
              brain.round(natural, R, false))
        << natural;
    const __float128 wide = integerToDouble<R>(natural);
    const __float128 error = wide - __float128(natural);
    ASSERT_TRUE(error > -2048 && error < 2048) << natural;
    ASSERT_FALSE((R == Rounding::Down || R == Rounding::Zero) && error > 0);
    ASSERT_FALSE(R == Rounding::Up && error < 0);
  }
}

TEST(Conversion, FromIntegers) {
  compareFromInteger<Rounding::NearestEven>();
  compareFromInteger<Rounding::Zero>();
  compareFromInteger<Rounding::Down>();
  compareFromInteger<Rounding::Up>();
}

template <Rounding R> static void compareFromDouble() {
  Random random(40 + int(R));
  for (int i = 0; i < 200000; ++i) {
    const double value = random.anyDouble();
    ASSERT_TRUE(same(toFloat<R>(value), host::toFloat(value, R))) << value;
  }
}

TEST(Conversion, F64ToF32) {
  compareFromDouble<Rounding::NearestEven>();
  compareFromDouble<Rounding::Zero>();
  compareFromDouble<Rounding::Down>();
  compareFromDouble<Rounding::Up>();
  EXPECT_EQ((toFloat<Rounding::NearestEven, true>(-0x1p-130)), 0.0f);
  EXPECT_EQ((toFloat<Rounding::NearestEven, false, true>(1.5)), 1.0f);
}

TEST(Conversion, IntegralFloats) {
  Random random(50);
  for (int i = 0; i < 100000; ++i) {
    const double value = double(random.anyFloat());
    ASSERT_TRUE(same(toIntegral<Rounding::NearestEven>(value),
                     host::toIntegral(value, Rounding::NearestEven)));
    ASSERT_TRUE(same(toIntegral<Rounding::Zero>(value),
                     host::toIntegral(value, Rounding::Zero)));
    ASSERT_TRUE(same(toIntegral<Rounding::Down>(value),
                     host::toIntegral(value, Rounding::Down)));
    ASSERT_TRUE(same(toIntegral<Rounding::Up>(value),
                     host::toIntegral(value, Rounding::Up)));
  }
}

TEST(Conversion, SaturatesIntegers) {
  EXPECT_EQ(saturateInteger<int8_t>(int64_t(200)), 127);
  EXPECT_EQ(saturateInteger<int8_t>(int64_t(-200)), -128);
  EXPECT_EQ(saturateInteger<uint32_t>(int32_t(-1)), 0u);
  EXPECT_EQ(saturateInteger<int32_t>(~uint64_t(0)), INT32_MAX);
  EXPECT_EQ(saturateInteger<uint64_t>(int64_t(-5)), 0u);
  EXPECT_EQ(saturateInteger<uint16_t>(uint32_t(65535)), 65535);
}
