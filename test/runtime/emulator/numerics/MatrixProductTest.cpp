// Tiles against a model in whole numbers that aligns, cuts and adds one term
// after another, and against sums that a reader can follow.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
#include "HostRounding.h"
#include "runtime/emulator/numerics/Fp8Product.h"
#include "runtime/emulator/numerics/IntegerProduct.h"
#include "runtime/emulator/numerics/RowMajorTiles.h"
#include <gtest/gtest.h>
#include <vector>

using namespace qopt::emulator::numerics;

/// value = significand · 2^exponent, with the exponent that the alignment sees.
struct Term {
  __int128 significand;
  int exponent, place;
};

template <typename Format> static Term termOf(typename Format::Code code) {
  const int field = (code & Format::magnitudeMask) >> Format::fractionBits;
  const int fraction = code & ((1 << Format::fractionBits) - 1);
  const int place = (field ? field : 1) - Format::bias;
  const int significand = fraction + (field ? 1 << Format::fractionBits : 0);
  return {code & Format::signBit ? -significand : significand,
          place - int(Format::fractionBits), place};
}

/// The sum of aligned terms, as a multiple of 2^(top − 25), each cut to it.
static double alignedSum(const std::vector<Term> &terms) {
  int top = -1000;
  for (const Term &term : terms)
    if (term.significand != 0)
      top = std::max(top, term.place);
  if (top == -1000)
    return 0;
  __int128 sum = 0;
  for (const Term &term : terms) {
    const int shift = term.exponent - (top - 25);
    // C++ divides toward zero.
    if (shift >= 0)
      sum += term.significand << shift;
    else if (shift > -100)
      sum += term.significand / (__int128(1) << -shift);
  }
  return std::ldexp(double(sum), top - 25);
}

/// Toward zero, by the host; beyond the range infinite all the same.
static float cutToFloat(double value) {
  if (std::fabs(value) >= 0x1p128)
    return std::copysign(HUGE_VALF, float(value));
  return host::toFloat(value, Rounding::Zero);
}

template <typename Format, int K> struct Tile {
  using Code = typename Format::Code;
  Code a[16 * K], b[K * 8];
  float c[16 * 8], d[16 * 8];

  /// Exponents within ±spread of 1, a tenth of zeros.
  Tile(Random &random, int spread) {
    for (Code &code : a)
      code = any(random, spread);
    for (Code &code : b)
      code = any(random, spread);
    for (float &value : c) {
      const int exponent = int(random.below(4 * spread + 1)) - 2 * spread;
      const float fraction = float(random.below(1 << 23)) / (1 << 23);
      value = std::ldexp(1 + fraction, std::clamp(exponent, -126, 100));
      value = random.below(10) ? (random.below(2) ? value : -value) : 0.0f;
    }
  }
  static Code any(Random &random, int spread) {
    const int highest = (1 << Format::exponentBits) - 2;
    const int field = Format::bias + int(random.below(2 * spread + 1)) - spread;
    const Code fraction = Code(random.below(1 << Format::fractionBits));
    const Code sign = random.below(2) ? Format::signBit : Code(0);
    const Code exponent = Code(std::clamp(field, 0, highest));
    return random.below(10)
               ? Code(sign | exponent << Format::fractionBits | fraction)
               : Code(0);
  }
  double expected(int row, int column) const {
    std::vector<Term> terms = {
        termOf<Float32>(std::bit_cast<uint32_t>(c[row * 8 + column]))};
    for (int k = 0; k < K; ++k) {
      const Term x = termOf<Format>(a[row * K + k]),
                 y = termOf<Format>(b[k * 8 + column]);
      terms.push_back({x.significand * y.significand, x.exponent + y.exponent,
                       x.place + y.place});
    }
    return alignedSum(terms);
  }
};

template <typename Format, int K> static void compareWithModel() {
  Random random(K + Format::exponentBits);
  for (int spread : {0, 1, 3, 8, 14, 30, 60, 126})
    for (int repeat = 0; repeat < 4; ++repeat) {
      Tile<Format, K> tile(random, spread);
      multiplyTile<Format, K>(tile.a, tile.b, tile.c, tile.d);
      for (int i = 0; i < 16 * 8; ++i)
        ASSERT_TRUE(same(tile.d[i], cutToFloat(tile.expected(i / 8, i % 8))))
            << "spread " << spread << " at " << i << ": " << tile.d[i]
            << " for " << cutToFloat(tile.expected(i / 8, i % 8));
    }
}

TEST(MatrixProduct, F16) {
  compareWithModel<Float16, 16>();
  compareWithModel<Float16, 8>();
}
TEST(MatrixProduct, Bf16) {
  compareWithModel<Bfloat16, 16>();
  compareWithModel<Bfloat16, 8>();
}
TEST(MatrixProduct, Tf32) {
  compareWithModel<Tf32, 8>();
  compareWithModel<Tf32, 4>();
}

/// One row and column, the rest zero.
static float product(std::vector<float> a, std::vector<float> b, float c) {
  uint16_t left[256] = {}, right[128] = {};
  float start[128] = {c}, result[128];
  for (size_t k = 0; k < a.size(); ++k) {
    left[k] = toHalf(a[k]);
    right[k * 8] = toHalf(b[k]);
  }
  multiplyTile<Float16, 16>(left, right, start, result);
  return result[0];
}

TEST(MatrixProduct, CutsTermsAtTwentyFiveBits) {
  // 2^-24 and 2^-25 of the largest term count, 2^-26 does not.
  EXPECT_EQ(product({1, 0x1p-12f, 0x1p-12f}, {1, 0x1p-12f, 0x1p-12f}, 0),
            1 + 0x1p-23f);
  EXPECT_EQ(product({1, 0x1p-12f, 0x1p-12f, -1}, {1, 0x1p-13f, 0x1p-13f, 1}, 0),
            0x1p-24f);
  EXPECT_EQ(product({1, 0x1p-13f, 0x1p-13f, -1}, {1, 0x1p-13f, 0x1p-13f, 1}, 0),
            0);
  // The result is cut, not rounded; nor is it toward minus infinity.
  EXPECT_EQ(product({1, 0x1p-12f, 0x1p-12f}, {1, 0x1p-12f, 0x1p-13f}, 0), 1.0f);
  EXPECT_EQ(product({-1, -0x1p-12f, -0x1p-12f}, {1, 0x1p-12f, 0x1p-13f}, 0),
            -1.0f);
  // A large accumulator hides what lies below its 25th bit.
  EXPECT_EQ(product({1, 1}, {1, 1}, 0x1p26f), 0x1p26f);
  EXPECT_EQ(product({1, 1}, {2, 2}, 0x1p25f), 0x1p25f + 4);
}

TEST(MatrixProduct, SpecialValues) {
  const float infinity = HUGE_VALF, nan = std::nanf("");
  const auto bits = [](float value) { return std::bit_cast<uint32_t>(value); };
  EXPECT_EQ(product({infinity, 1}, {1, 1}, 0), infinity);
  EXPECT_EQ(product({infinity, 1}, {-1, 1}, 5), -infinity);
  EXPECT_EQ(bits(product({infinity, infinity}, {1, -1}, 0)), 0x7fffffffu);
  EXPECT_EQ(bits(product({infinity}, {0}, 0)), 0x7fffffffu);
  EXPECT_EQ(bits(product({nan}, {1}, 0)), 0x7fffffffu);
  EXPECT_EQ(bits(product({1}, {1}, nan)), 0x7fffffffu);
  EXPECT_EQ(product({1}, {1}, -infinity), -infinity);
  // What is not finite stays in its row and column.
  uint16_t a[256] = {}, b[128] = {};
  float c[128] = {}, d[128];
  a[0] = Float16::infinity, a[16] = toHalf(3), b[0] = toHalf(1), b[1] = 0;
  c[127] = 7;
  multiplyTile<Float16, 16>(a, b, c, d);
  EXPECT_EQ(d[0], infinity);
  EXPECT_EQ(bits(d[1]), 0x7fffffffu);
  EXPECT_EQ(d[8], 3.0f);
  EXPECT_EQ(d[127], 7.0f);
}

TEST(MatrixProduct, F16AccumulatorRoundsToNearestOnce) {
  Random random(9);
  for (int repeat = 0; repeat < 20; ++repeat) {
    Tile<Float16, 16> tile(random, 4);
    uint16_t c[128], d[128];
    for (int i = 0; i < 128; ++i) {
      c[i] = toHalf(tile.c[i]);
      tile.c[i] = widen<Float16>(c[i]);
    }
    multiplyTile<Float16, 16>(tile.a, tile.b, c, d);
    for (int i = 0; i < 128; ++i)
      ASSERT_EQ(d[i], (narrow<Float16, Rounding::NearestEven>(
                          tile.expected(i / 8, i % 8))));
  }
}

TEST(MatrixProduct, Fp8IsTwoSumsOfF16) {
  Random random(10);
  uint8_t a[16 * 32], b[32 * 8];
  float c[128], d[128];
  for (uint8_t &code : a)
    code = uint8_t(0x20 + random.below(0x28) + 0x80 * random.below(2));
  for (uint8_t &code : b)
    code = uint8_t(0x20 + random.below(0x28) + 0x80 * random.below(2));
  for (float &value : c)
    value = float(random.below(1000)) / 7;
  multiplyRows<8, 32>(a, b, c, d, multiplyFp8Fragments<E4M3, E5M2>);
  for (int i = 0; i < 128; ++i) {
    float sum = 0;
    for (int part = 0; part < 2; ++part) {
      std::vector<Term> terms = {termOf<Float32>(std::bit_cast<uint32_t>(sum))};
      for (int k = 0; k < 32; ++k) {
        if (k % 4 / 2 != part)
          continue;
        const Term x = termOf<Float16>(toHalf(widen<E4M3>(a[i / 8 * 32 + k])));
        const Term y = termOf<Float16>(toHalf(widen<E5M2>(b[k * 8 + i % 8])));
        terms.push_back({x.significand * y.significand, x.exponent + y.exponent,
                         x.place + y.place});
      }
      sum = cutToFloat(alignedSum(terms));
    }
    ASSERT_EQ(d[i], sum + c[i]);
  }
}

template <typename A, typename B, int Bits, int K>
static void expectExactIntegers() {
  Random random(11);
  A a[16 * K];
  B b[K * 8];
  int32_t c[128], d[128];
  // The sign of an element of Bits bits.
  constexpr int up = 8 - Bits;
  for (A &value : a)
    value = A(A(random.bits() << up) >> up);
  for (B &value : b)
    value = B(B(random.bits() << up) >> up);
  for (int i = 0; i < 128; ++i)
    c[i] = i % 3 == 0   ? INT32_MAX
           : i % 3 == 1 ? INT32_MIN
                        : int32_t(random.bits());
  for (bool saturating : {false, true}) {
    multiplyRows<Bits, K>(a, b, c, d, [&](auto sources, auto results) {
      multiplyIntegerFragments<A, B, Bits, K>(sources, results, saturating);
    });
    for (int i = 0; i < 128; ++i) {
      int64_t sum = c[i];
      for (int k = 0; k < K; ++k)
        sum += int64_t(a[i / 8 * K + k]) * b[k * 8 + i % 8];
      const int64_t clamped = std::clamp<int64_t>(sum, INT32_MIN, INT32_MAX);
      ASSERT_EQ(d[i], int32_t(saturating ? clamped : sum)) << "element " << i;
    }
  }
}

TEST(MatrixProduct, IntegersAreExact) {
  expectExactIntegers<int8_t, uint8_t, 8, 32>();
  expectExactIntegers<uint8_t, int8_t, 8, 16>();
  expectExactIntegers<int8_t, int8_t, 4, 64>();
  expectExactIntegers<uint8_t, uint8_t, 4, 32>();
}
