// f16 and bf16 arithmetic is the exact result rounded once, for all pairs of
// special codes and many random ones.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
#include "runtime/emulator/numerics/Half.h"
#include "FormatOracle.h"
#include "HostRounding.h"
#include <gtest/gtest.h>

using namespace qopt::emulator::numerics;

template <typename Format> struct Oracle : FormatOracle {
  Oracle()
      : FormatOracle(int(Format::exponentBits), int(Format::fractionBits),
                     Format::bias, true, true) {}
  bool isFinite(unsigned code) const { return (code & 0x7fff) <= largest(); }
  /// Exact, for what __float128 holds.
  __float128 value(unsigned code) const {
    const __float128 magnitude = values[code & 0x7fff];
    return code & 0x8000 ? -magnitude : magnitude;
  }
  unsigned nearest(__float128 exact) const {
    return round(exact, Rounding::NearestEven, false);
  }
};

/// Codes of close exponents half of the time.
template <typename Format> static uint16_t anyCode(Random &random) {
  const uint16_t code = uint16_t(random.bits());
  if (random.below(2))
    return code;
  const unsigned fraction = Format::fractionBits;
  const uint16_t exponent = uint16_t((Format::bias - 4 + int(random.below(9))));
  const uint16_t mask = uint16_t(0x8000 | ((1 << fraction) - 1));
  return uint16_t((code & mask) | exponent << fraction);
}

template <typename Format> class Half : public testing::Test {};
using Formats = testing::Types<Float16, Bfloat16>;
TYPED_TEST_SUITE(Half, Formats);

TYPED_TEST(Half, RoundsOnce) {
  const Oracle<TypeParam> oracle;
  Random random(5);
  for (int i = 0; i < 400000; ++i) {
    const uint16_t a = anyCode<TypeParam>(random),
                   b = anyCode<TypeParam>(random);
    uint16_t c = anyCode<TypeParam>(random);
    if (!oracle.isFinite(a) || !oracle.isFinite(b) || !oracle.isFinite(c))
      continue;
    const __float128 x = oracle.value(a), y = oracle.value(b);
    if (x + y != 0) {
      ASSERT_EQ(addHalf<TypeParam>(a, b), oracle.nearest(x + y))
          << a << " + " << b;
    }
    if (x - y != 0) {
      ASSERT_EQ(subtractHalf<TypeParam>(a, b), oracle.nearest(x - y))
          << a << " - " << b;
    }
    if (x * y == 0)
      continue;
    const uint16_t product = multiplyHalf<TypeParam>(a, b);
    ASSERT_EQ(product, oracle.nearest(x * y)) << a << " * " << b;
    if (i % 3 == 0 && oracle.isFinite(product))
      c = uint16_t(product ^ 0x8000); // what is left is the product's error
    // __float128 holds the sum where the terms are close enough.
    const __float128 z = oracle.value(c), sum = x * y + z;
    if (sum - x * y != z || sum - z != x * y || sum == 0)
      continue;
    ASSERT_EQ(fusedMultiplyAddHalf<TypeParam>(a, b, c), oracle.nearest(sum))
        << a << " * " << b << " + " << c;
  }
}

TEST(Half, FmaSeesATermFarBelowATie) {
  // bf16: 1.0078125 · 1.0078125 has 16 bits; here the product is a tie, 2^16
  // times 2^100, and c is 2^-100 or its negative.
  const uint16_t a = 0x3f81, b = 0x3fc0; // 1.0078125 · 1.5 = 1.51171875: a tie
  const uint16_t tiny = 0x0d80, minusTiny = 0x8d80;
  EXPECT_EQ(fusedMultiplyAddHalf<Bfloat16>(a, b, tiny), 0x3fc2);
  EXPECT_EQ(fusedMultiplyAddHalf<Bfloat16>(a, b, minusTiny), 0x3fc1);
  EXPECT_EQ(fusedMultiplyAddHalf<Bfloat16>(a, b, 0), 0x3fc2); // to even
}

TYPED_TEST(Half, SpecialValues) {
  using F = TypeParam;
  const uint16_t infinity = F::infinity,
                 one = uint16_t(F::bias << F::fractionBits);
  const uint16_t sign = 0x8000, quietNan = uint16_t(F::infinity | 1),
                 nan = 0x7fff;
  EXPECT_EQ((addHalf<F>(infinity, infinity | sign)), nan);
  EXPECT_EQ((addHalf<F>(quietNan, one)), nan);
  EXPECT_EQ((multiplyHalf<F>(infinity, 0)), nan);
  EXPECT_EQ((multiplyHalf<F>(infinity, one | sign)), infinity | sign);
  EXPECT_EQ((addHalf<F>(F::largest, F::largest)), infinity);
  EXPECT_EQ((addHalf<F>(one, one | sign)), 0);
  EXPECT_EQ((addHalf<F>(sign, sign)), sign);
  EXPECT_EQ((fusedMultiplyAddHalf<F>(one, one, infinity | sign)),
            infinity | sign);
  EXPECT_EQ((minimumHalf<F>(quietNan, one)), one);
  EXPECT_EQ((minimumHalf<F>(quietNan, quietNan)), nan);
  EXPECT_EQ((maximumHalf<F, false, NanRule::Nan>(one, quietNan)), nan);
  EXPECT_EQ((minimumHalf<F>(0, sign)), sign);
  EXPECT_EQ((maximumHalf<F>(sign, 0)), 0);
  EXPECT_EQ((maximumXorSignHalf<F>(one | sign, 0)), one | sign);
  EXPECT_EQ((negateHalf<F>(one)), one | sign);
  EXPECT_EQ((negateHalf<F>(quietNan)), nan);
  EXPECT_EQ((absoluteHalf<F>(one | sign)), one);
  EXPECT_EQ((absoluteHalf<F>(quietNan | sign)), nan);
}

TYPED_TEST(Half, Clamps) {
  using F = TypeParam;
  const uint16_t one = uint16_t(F::bias << F::fractionBits),
                 minusOne = one | 0x8000;
  constexpr auto saturate = HalfClamp::Saturate, relu = HalfClamp::Relu;
  EXPECT_EQ((addHalf<F, false, saturate>(one, one)), one);
  EXPECT_EQ((addHalf<F, false, saturate>(minusOne, 0)), 0);
  EXPECT_EQ((addHalf<F, false, saturate>(F::nan, 0)), 0);
  EXPECT_EQ((addHalf<F, false, saturate>(0x8000, 0x8000)), 0);
  EXPECT_EQ((fusedMultiplyAddHalf<F, false, relu>(one, minusOne, 0)), 0);
  EXPECT_EQ((fusedMultiplyAddHalf<F, false, relu>(one, F::nan, 0)), 0x7fff);
  EXPECT_EQ((fusedMultiplyAddHalf<F, false, relu>(one, one, 0)), one);
}

TEST(Half, FlushesSubnormals) {
  EXPECT_EQ((addHalf<Float16, true>(0x0200, 0x0200)), 0);
  EXPECT_EQ((addHalf<Float16>(0x0200, 0x0200)), 0x0400);
  EXPECT_EQ((multiplyHalf<Float16, true>(0x8400, 0x3800)), 0x8000);
  EXPECT_EQ((fusedMultiplyAddHalf<Float16, true>(0x3c00, 0x03ff, 0x3c00)),
            0x3c00);
  // Below 2^-14 with 11 bits too, though the f16 is 2^-14: a GPU flushes it.
  EXPECT_EQ((multiplyHalf<Float16, true>(0x2144, 0x9e13)), 0x8000);
  EXPECT_EQ((multiplyHalf<Float16>(0x2144, 0x9e13)), 0x8400);
  // Rounded to 11 bits this is 2^-14.
  EXPECT_EQ((multiplyHalf<Float16, true>(0x3a5c, 0x0508)), 0x0400);
}
