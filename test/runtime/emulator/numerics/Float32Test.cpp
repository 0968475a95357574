// f32 arithmetic in every rounding gives the bits of the host's own unit, for
// subnormal numbers, ties, zeros and infinities too; .ftz, .sat, NaN and minima
// follow the PTX ISA.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
#include "runtime/emulator/numerics/Float32.h"
#include "HostRounding.h"
#include <gtest/gtest.h>

using namespace qopt::emulator::numerics;

static uint32_t bitsOf(float value) { return std::bit_cast<uint32_t>(value); }
static float of(uint32_t bits) { return std::bit_cast<float>(bits); }
static const float nan32 = of(0x7fc00001), infinity = HUGE_VALF;

template <Rounding R> static void compareWithHost() {
  Random random(1 + int(R));
  for (int i = 0; i < 300000; ++i) {
    const float a = random.anyFloat(), b = random.anyFloat();
    // Every third c nearly cancels the product.
    const float c = i % 3 ? random.anyFloat() : -(a * b);
    ASSERT_TRUE(same(add<R>(a, b), host::add(a, b, R))) << a << " + " << b;
    ASSERT_TRUE(same(subtract<R>(a, a), host::add(a, -a, R))) << a;
    ASSERT_TRUE(same(multiply<R>(a, b), host::multiply(a, b, R)))
        << a << " * " << b;
    ASSERT_TRUE(same(fusedMultiplyAdd<R>(a, b, c), host::fma(a, b, c, R)))
        << a << " * " << b << " + " << c;
    ASSERT_TRUE(same(divide<R>(a, b), host::divide(a, b, R)))
        << a << " / " << b;
    ASSERT_TRUE(same(reciprocal<R>(a), host::divide(1.0f, a, R))) << a;
    ASSERT_TRUE(same(squareRoot<R>(a), host::squareRoot(a, R))) << a;
  }
}

TEST(Float32, RoundsToNearest) { compareWithHost<Rounding::NearestEven>(); }
TEST(Float32, RoundsTowardZero) { compareWithHost<Rounding::Zero>(); }
TEST(Float32, RoundsDown) { compareWithHost<Rounding::Down>(); }
TEST(Float32, RoundsUp) { compareWithHost<Rounding::Up>(); }

TEST(Float32, NanIsCanonical) {
  EXPECT_EQ(bitsOf(add<Rounding::NearestEven>(nan32, 1.0f)), 0x7fffffffu);
  EXPECT_EQ(bitsOf(add<Rounding::Up>(infinity, -infinity)), 0x7fffffffu);
  EXPECT_EQ(bitsOf(multiply<Rounding::Down>(0.0f, infinity)), 0x7fffffffu);
  EXPECT_EQ(bitsOf(squareRoot<Rounding::Zero>(-1.0f)), 0x7fffffffu);
  EXPECT_EQ(bitsOf(divide<Rounding::NearestEven>(0.0f, 0.0f)), 0x7fffffffu);
}

TEST(Float32, FlushesOperandsAndResults) {
  constexpr auto R = Rounding::NearestEven;
  const float tiny = of(0x00400000);
  EXPECT_EQ(bitsOf(add<R, true>(tiny, tiny)), 0u);
  EXPECT_EQ(add<R>(tiny, tiny), 0x1p-126f);
  EXPECT_EQ(bitsOf(multiply<R, true>(0x1p-100f, -0x1p-30f)), 0x80000000u);
  EXPECT_EQ(bitsOf(fusedMultiplyAdd<R, true>(0x1p-126f, 0.5f, 0.0f)), 0u);
  EXPECT_EQ(bitsOf(divide<R, true>(1.0f, tiny)), bitsOf(infinity));
  EXPECT_EQ(bitsOf(squareRoot<R, true>(-tiny)), 0x80000000u);
}

TEST(Float32, Saturates) {
  constexpr auto R = Rounding::NearestEven;
  EXPECT_EQ((add<R, false, true>(0.75f, 0.5f)), 1.0f);
  EXPECT_EQ(bitsOf(add<R, false, true>(-0.75f, 0.5f)), 0u);
  EXPECT_EQ(bitsOf(multiply<R, false, true>(-0.0f, 0.5f)), 0u);
  EXPECT_EQ(bitsOf(add<R, false, true>(nan32, 0.5f)), 0u);
  EXPECT_EQ((fusedMultiplyAdd<R, false, true>(0.5f, 0.5f, 0.25f)), 0.5f);
}

TEST(Float32, MinimaAndMaxima) {
  EXPECT_EQ(bitsOf(minimum(0.0f, -0.0f)), 0x80000000u);
  EXPECT_EQ(bitsOf(minimum(-0.0f, 0.0f)), 0x80000000u);
  EXPECT_EQ(bitsOf(maximum(0.0f, -0.0f)), 0u);
  EXPECT_EQ(bitsOf(maximum(-0.0f, 0.0f)), 0u);
  EXPECT_EQ(minimum(nan32, 2.0f), 2.0f);
  EXPECT_EQ(maximum(2.0f, nan32), 2.0f);
  EXPECT_EQ(bitsOf(minimum(nan32, nan32)), 0x7fffffffu);
  EXPECT_EQ(bitsOf(maximum<NanRule::Nan>(2.0f, nan32)), 0x7fffffffu);
  EXPECT_EQ(bitsOf(minimum<NanRule::Nan>(nan32, 2.0f)), 0x7fffffffu);
  EXPECT_EQ(minimumXorSign(-3.0f, 2.0f), -2.0f);
  EXPECT_EQ(maximumXorSign(-3.0f, -2.0f), 3.0f);
  EXPECT_EQ(minimum(-HUGE_VAL, 1.0), -HUGE_VAL);
}

TEST(Float32, Classes) {
  const float values[] = {0.0f, 0x1p-127f, 1.0f, infinity, nan32};
  const int expected[6] = {0b00111, 0b01000, 0b01111,
                           0b10000, 0b00100, 0b00010};
  for (int c = 0; c < 6; ++c)
    for (int i = 0; i < 5; ++i)
      EXPECT_EQ(isOfClass(values[i], FloatClass(c)), bool(expected[c] >> i & 1))
          << "class " << c << " of " << values[i];
}
