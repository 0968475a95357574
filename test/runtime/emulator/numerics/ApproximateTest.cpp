// The approximate functions keep the bounds of the PTX ISA against the host's
// long double functions, treat special values as it says, and give the same
// bits everywhere.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
#include "runtime/emulator/numerics/Approximate.h"
#include "HostRounding.h"
#include <gtest/gtest.h>

using namespace qopt::emulator::numerics;

static uint32_t bitsOf(float value) { return std::bit_cast<uint32_t>(value); }
static const float infinity = HUGE_VALF;

/// The distance in units of the expected value's last place.
static double ulps(float got, long double expected) {
  const float nearest = float(expected);
  const int exponent = std::max(std::ilogb(nearest), -126);
  return double(std::fabs(got - expected) / std::ldexp(1.0L, exponent - 23));
}

/// All exponents, 4001 fractions each, both signs.
template <typename Visit> static void forFloats(Visit visit) {
  for (uint32_t exponent = 0; exponent < 255; ++exponent)
    for (uint32_t i = 0; i < 401; ++i) {
      const uint32_t bits = exponent << 23 | (i * 20921 & 0x7fffff);
      visit(std::bit_cast<float>(bits));
      visit(std::bit_cast<float>(bits | 0x80000000u));
    }
}

TEST(Approximate, Exponential) {
  forFloats([](float x) {
    const long double expected = exp2l(x);
    if (expected > 3.4e38L || x < -150)
      return;
    ASSERT_LT(ulps(exponential2(x), expected), 0.51) << x;
  });
  EXPECT_EQ(exponential2(infinity), infinity);
  EXPECT_EQ(bitsOf(exponential2(-infinity)), 0u);
  EXPECT_EQ(exponential2(128.0f), infinity);
  EXPECT_EQ(bitsOf(exponential2(-1000.0f)), 0u);
  EXPECT_EQ(bitsOf(exponential2(std::nanf(""))), 0x7fffffffu);
  EXPECT_EQ(exponential2(-130.0f), 0x1p-130f);
  EXPECT_EQ(bitsOf(exponential2<true>(-130.0f)), 0u);
}

TEST(Approximate, Logarithm) {
  forFloats([](float x) {
    if (x <= 0)
      return;
    ASSERT_LT(ulps(logarithm2(x), log2l(x)), 0.51) << x;
  });
  EXPECT_EQ(logarithm2(0.0f), -infinity);
  EXPECT_EQ(logarithm2(infinity), infinity);
  EXPECT_EQ(bitsOf(logarithm2(-1.0f)), 0x7fffffffu);
  EXPECT_EQ(logarithm2<true>(0x1p-130f), -infinity);
  EXPECT_EQ(bitsOf(logarithm2(1.0f)), 0u);
}

TEST(Approximate, SineAndCosine) {
  forFloats([](float x) {
    if (std::fabs(x) > 3.1415926f)
      return;
    ASSERT_NEAR(sine(x), double(sinl(x)), 0x1p-20) << x;
    ASSERT_NEAR(cosine(x), double(cosl(x)), 0x1p-20) << x;
  });
  EXPECT_EQ(bitsOf(sine(-0.0f)), 0x80000000u);
  EXPECT_EQ(cosine(0.0f), 1.0f);
  EXPECT_EQ(bitsOf(sine(infinity)), 0x7fffffffu);
  EXPECT_EQ(bitsOf(cosine(-infinity)), 0x7fffffffu);
  EXPECT_NEAR(sine(100.0f), std::sin(100.0), 1e-5);
}

TEST(Approximate, HyperbolicTangent) {
  forFloats([](float x) {
    ASSERT_LT(ulps(hyperbolicTangent(x), tanhl(x)), 0.51) << x;
  });
  EXPECT_EQ(hyperbolicTangent(infinity), 1.0f);
  EXPECT_EQ(hyperbolicTangent(-infinity), -1.0f);
  EXPECT_EQ(bitsOf(hyperbolicTangent(-0.0f)), 0x80000000u);
  EXPECT_EQ(bitsOf(hyperbolicTangent(std::nanf(""))), 0x7fffffffu);
}

TEST(Approximate, Roots) {
  forFloats([](float x) {
    if (x <= 0)
      return;
    ASSERT_LT(ulps(reciprocalSquareRoot(x), 1 / sqrtl(x)), 0.51) << x;
    ASSERT_LT(ulps(squareRootApproximate(x), sqrtl(x)), 0.51) << x;
  });
  EXPECT_EQ(reciprocalSquareRoot(-0.0f), -infinity);
  EXPECT_EQ(bitsOf(reciprocalSquareRoot(infinity)), 0u);
  EXPECT_EQ(bitsOf(reciprocalSquareRoot(-1.0f)), 0x7fffffffu);
}

TEST(Approximate, Quotients) {
  EXPECT_EQ(divideApproximate(3.0f, 0x1.8p0f), 2.0f);
  // Beyond 2^126 the approximate quotient is 0, the full one is not.
  EXPECT_EQ(bitsOf(divideApproximate(-1.0f, 0x1.8p126f)), 0x80000000u);
  EXPECT_EQ(bitsOf(divideApproximate(infinity, 0x1.8p126f)), 0x7fffffffu);
  EXPECT_EQ(divideFull(0x1p100f, 0x1.8p126f), float(0x1p-26 / 1.5));
  EXPECT_EQ(reciprocalApproximate(-0.0f), -infinity);
  EXPECT_EQ(reciprocalApproximate<true>(0x1p-130f), infinity);
}

TEST(Approximate, CoarseF64) {
  Random random(1);
  for (int i = 0; i < 100000; ++i) {
    const double x = random.anyDouble();
    if (!(std::fabs(x) > 0x1p-1000 && std::fabs(x) < 0x1p1000))
      continue;
    const double reciprocal = reciprocalCoarse(x);
    ASSERT_EQ(std::bit_cast<uint64_t>(reciprocal) & 0xffffffff, 0u);
    ASSERT_NEAR(reciprocal * x, 1, 0x1p-18) << x;
    if (x > 0) {
      const double root = reciprocalSquareRootCoarse(x);
      ASSERT_NEAR(root * root * x, 1, 0x1p-18) << x;
    }
  }
  EXPECT_EQ(reciprocalCoarse(-0.0), -HUGE_VAL);
}

TEST(Approximate, SameBitsEverywhere) {
  uint64_t hash = 1469598103934665603ull;
  forFloats([&](float x) {
    for (float y : {exponential2(x), logarithm2(x), sine(x), cosine(x),
                    hyperbolicTangent(x), reciprocalSquareRoot(x)})
      hash = (hash ^ bitsOf(y)) * 1099511628211ull;
  });
  EXPECT_EQ(hash, 2108258949701330369ull);
}
