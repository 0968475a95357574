// Conversions at the edges; all 65,536 halves are compared with NumPy in
// test_quant_arrays.py.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
#include "lib/Quant/FloatConversion.h"
#include <cmath>
#include <gtest/gtest.h>
#include <limits>

using namespace qopt::quant;

TEST(FloatConversion, halvesAtTheEdges) {
  EXPECT_EQ(floatToHalf(0.0f), 0x0000);
  EXPECT_EQ(floatToHalf(-0.0f), 0x8000);
  EXPECT_EQ(floatToHalf(1.0f), 0x3c00);
  EXPECT_EQ(floatToHalf(65504.0f), 0x7bff);
  EXPECT_EQ(floatToHalf(65519.996f), 0x7bff);
  EXPECT_EQ(floatToHalf(65520.0f), 0x7c00); // a tie, to the even side
  EXPECT_EQ(floatToHalf(0x1p-24f), 0x0001); // the smallest subnormal
  EXPECT_EQ(floatToHalf(0x1p-25f), 0x0000); // half of it: a tie, to zero
  EXPECT_EQ(floatToHalf(0x1.000002p-25f), 0x0001);
  EXPECT_EQ(floatToHalf(0x1.8p-24f), 0x0002);       // a tie, to even
  EXPECT_EQ(floatToHalf(0x1.ff8p-15f), 0x03ff);     // the largest subnormal
  EXPECT_EQ(floatToHalf(0x1.ffcp-15f), 0x0400);     // a tie, to a normal
  EXPECT_EQ(floatToHalf(0x1.fffp-15f), 0x0400);     // rounds to a normal
  EXPECT_EQ(floatToHalf(-0x1.ffep15f), 0xfbff + 1); // rounds to infinity
  EXPECT_EQ(floatToHalf(std::numeric_limits<float>::infinity()), 0x7c00);
}

TEST(FloatConversion, tiesGoToEven) {
  EXPECT_EQ(floatToHalf(1.0f + 0x1p-11f), 0x3c00);
  EXPECT_EQ(floatToHalf(1.0f + 0x1p-10f + 0x1p-11f), 0x3c02);
  EXPECT_EQ(floatToBfloat16(1.0f + 0x1p-8f), 0x3f80);
  EXPECT_EQ(floatToBfloat16(1.0f + 0x1p-7f + 0x1p-8f), 0x3f82);
}

TEST(FloatConversion, notANumberStaysOne) {
  for (uint32_t bits : {0x7f800001u, 0xff801fffu, 0x7fc00000u, 0x7fffffffu}) {
    float value = std::bit_cast<float>(bits);
    EXPECT_TRUE(std::isnan(halfToFloat(floatToHalf(value)))) << bits;
    EXPECT_TRUE(std::isnan(bfloat16ToFloat(floatToBfloat16(value)))) << bits;
  }
}

TEST(FloatConversion, e4m3AtTheEdges) {
  EXPECT_EQ(floatToE4m3(0.0f), 0x00);
  EXPECT_EQ(floatToE4m3(-0.0f), 0x80);
  EXPECT_EQ(floatToE4m3(1.0f), 0x38);
  EXPECT_EQ(floatToE4m3(0x1p-9f), 0x01);        // the smallest subnormal
  EXPECT_EQ(floatToE4m3(0x1p-10f), 0x00);       // half of it: a tie, to zero
  EXPECT_EQ(floatToE4m3(0x1.8p-9f), 0x02);      // a tie, to even
  EXPECT_EQ(floatToE4m3(0x1.ep-7f), 0x08);      // a tie, to a normal
  EXPECT_EQ(floatToE4m3(0x1.dffffep-7f), 0x07); // the largest subnormal
  EXPECT_EQ(floatToE4m3(1.0625f), 0x38);        // ties, to even
  EXPECT_EQ(floatToE4m3(1.1875f), 0x3a);
  EXPECT_EQ(floatToE4m3(440.0f), 0x7e);
  EXPECT_EQ(floatToE4m3(464.0f), 0x7e); // the next would be 480
  EXPECT_EQ(floatToE4m3(-1e30f), 0xfe);
  EXPECT_EQ(floatToE4m3(std::numeric_limits<float>::infinity()), 0x7e);
  EXPECT_EQ(floatToE4m3(std::numeric_limits<float>::quiet_NaN()) & 0x7f, 0x7f);
  EXPECT_TRUE(std::isnan(e4m3ToFloat(0x7f)) && std::isnan(e4m3ToFloat(0xff)));
}

/// Against the definition: the nearest of all values, the even code in a tie.
TEST(FloatConversion, everyHalfHasItsE4m3) {
  auto valueOf = [](int code) {
    int exponent = code >> 3, fraction = code & 7;
    return exponent ? std::ldexp(8 + fraction, exponent - 10)
                    : std::ldexp(fraction, -9);
  };
  for (int code = 0; code < 0x7f; ++code)
    ASSERT_EQ(e4m3ToFloat(uint8_t(code)), valueOf(code));
  for (uint32_t half = 0; half < 0x7c00; ++half) {
    double value = halfToFloat(uint16_t(half));
    int nearest = 0;
    for (int code = 1; code < 0x7f; ++code) {
      double found = std::abs(valueOf(code) - value),
             best = std::abs(valueOf(nearest) - value);
      if (found < best || (found == best && code % 2 == 0))
        nearest = code;
    }
    ASSERT_EQ(floatToE4m3(float(value)), nearest) << value;
    ASSERT_EQ(floatToE4m3(-float(value)), nearest | 0x80) << value;
  }
}

TEST(FloatConversion, everyHalfComesBack) {
  for (uint32_t half = 0; half < 0x10000; ++half) {
    float value = halfToFloat(uint16_t(half));
    if (!std::isnan(value)) {
      ASSERT_EQ(floatToHalf(value), half);
    }
    float brain = bfloat16ToFloat(uint16_t(half));
    if (!std::isnan(brain)) {
      ASSERT_EQ(floatToBfloat16(brain), half);
    }
  }
}

TEST(FloatConversion, everyE2m1IsItsNumber) {
  const float numbers[] = {0, 0.5f, 1, 1.5f, 2, 3, 4, 6};
  for (uint8_t code = 0; code < 16; ++code) {
    float number = e2m1ToFloat(code);
    EXPECT_EQ(std::fabs(number), numbers[code & 7]);
    EXPECT_EQ(std::signbit(number), code >= 8);
    EXPECT_EQ(floatToE2m1(number), code);
  }
}
