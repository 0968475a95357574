// Integer instructions against the bit-by-bit loops by which the PTX ISA
// defines them, and against sums in wider types.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
#include "runtime/emulator/numerics/Integer.h"
#include "HostRounding.h"
#include <gtest/gtest.h>

using namespace qopt::emulator::numerics;

static bool bitOf(uint64_t value, unsigned at) { return value >> at & 1; }

template <typename Int> class Integer : public testing::Test {};
using Registers = testing::Types<uint32_t, int32_t, uint64_t, int64_t>;
TYPED_TEST_SUITE(Integer, Registers);

TYPED_TEST(Integer, Bfe) {
  using Unsigned = std::make_unsigned_t<TypeParam>;
  const unsigned top = widthOf<TypeParam> - 1;
  Random random(1);
  for (int i = 0; i < 30000; ++i) {
    const Unsigned a = Unsigned(random.bits());
    const uint32_t b = uint32_t(random.below(300)),
                   c = uint32_t(random.below(300));
    const unsigned start = b & 0xff, length = c & 0xff;
    const bool sign = std::is_signed_v<TypeParam> && length &&
                      bitOf(a, std::min(start + length - 1, top));
    Unsigned expected = 0;
    for (unsigned j = 0; j <= top; ++j) {
      const bool inside = j < length && start + j <= top;
      expected |= Unsigned(inside ? bitOf(a, start + j) : sign) << j;
    }
    ASSERT_EQ(Unsigned(extractField(TypeParam(a), b, c)), expected)
        << a << " " << start << " " << length;
  }
}

TYPED_TEST(Integer, Bfi) {
  using Unsigned = std::make_unsigned_t<TypeParam>;
  const unsigned top = widthOf<TypeParam> - 1;
  Random random(2);
  for (int i = 0; i < 30000; ++i) {
    const Unsigned a = Unsigned(random.bits()), b = Unsigned(random.bits());
    const uint32_t start = uint32_t(random.below(300)),
                   length = uint32_t(random.below(300));
    Unsigned expected = b;
    for (unsigned j = 0; j < (length & 0xff) && (start & 0xff) + j <= top;
         ++j) {
      const Unsigned bit = Unsigned(1) << ((start & 0xff) + j);
      expected = bitOf(a, j) ? expected | bit : expected & ~bit;
    }
    ASSERT_EQ(insertField(a, b, start, length), expected);
  }
}

TYPED_TEST(Integer, BfindAndBrev) {
  using Unsigned = std::make_unsigned_t<TypeParam>;
  const int top = widthOf<TypeParam> - 1;
  Random random(3);
  for (int i = 0; i < 10000; ++i) {
    const TypeParam a =
        TypeParam(TypeParam(random.bits()) >> random.below(widthOf<TypeParam>));
    const Unsigned seen = a < TypeParam(0) ? Unsigned(~a) : Unsigned(a);
    uint32_t expected = ~0u;
    for (int j = top; j >= 0 && expected == ~0u; --j)
      if (bitOf(seen, unsigned(j)))
        expected = uint32_t(j);
    ASSERT_EQ(findLeading(a, false), expected);
    ASSERT_EQ(findLeading(a, true),
              expected == ~0u ? ~0u : uint32_t(top) - expected);
    Unsigned reversed = 0;
    for (int j = 0; j <= top; ++j)
      reversed |= Unsigned(bitOf(Unsigned(a), unsigned(j))) << (top - j);
    ASSERT_EQ(reverseBits(Unsigned(a)), reversed);
  }
}

TYPED_TEST(Integer, ProductsAndSums) {
  using Unsigned = std::make_unsigned_t<TypeParam>;
  Random random(4);
  for (int i = 0; i < 30000; ++i) {
    const TypeParam a = TypeParam(random.bits() >> random.below(64));
    const TypeParam b = TypeParam(random.bits() >> random.below(64));
    const TypeParam c = TypeParam(random.bits());
    using Wide = std::conditional_t<std::is_signed_v<TypeParam>, __int128,
                                    unsigned __int128>;
    ASSERT_EQ(multiplyHigh(a, b),
              TypeParam(Wide(a) * Wide(b) >> widthOf<TypeParam>));
    const __int128 difference = __int128(a) - __int128(b);
    ASSERT_EQ(Unsigned(sumOfDifference(a, b, c)),
              Unsigned((difference < 0 ? -difference : difference) + c));
    const uint32_t amount = uint32_t(random.below(80));
    ASSERT_EQ(Unsigned(shiftLeft(a, amount)),
              amount < widthOf<TypeParam> ? Unsigned(Unsigned(a) << amount)
                                          : Unsigned(0));
    ASSERT_EQ(shiftRight(a, amount),
              TypeParam(__int128(a) >> std::min(amount, 100u)));
    if (b != 0 && (b != TypeParam(-1) || std::is_unsigned_v<TypeParam>)) {
      ASSERT_EQ(quotientOf(a, b), TypeParam(__int128(a) / __int128(b)));
      ASSERT_EQ(remainderOf(a, b), TypeParam(__int128(a) % __int128(b)));
    }
  }
  const TypeParam low = std::numeric_limits<TypeParam>::min();
  EXPECT_EQ(quotientOf(TypeParam(5), TypeParam(0)), TypeParam(~TypeParam(0)));
  EXPECT_EQ(remainderOf(TypeParam(5), TypeParam(0)), TypeParam(~TypeParam(0)));
  if (std::is_signed_v<TypeParam>) {
    EXPECT_EQ(quotientOf(low, TypeParam(-1)), low);
    EXPECT_EQ(remainderOf(low, TypeParam(-1)), TypeParam(0));
  }
}

TEST(Integer, CarryChains) {
  Random random(5);
  for (int i = 0; i < 30000; ++i) {
    const uint64_t a = random.bits() | (i % 3 ? 0 : 0xffffffff),
                   b = random.bits();
    bool carry = false;
    const uint32_t low = addWithCarry(uint32_t(a), uint32_t(b), carry);
    const uint32_t high =
        addWithCarry(uint32_t(a >> 32), uint32_t(b >> 32), carry);
    ASSERT_EQ(uint64_t(high) << 32 | low, a + b);
    ASSERT_EQ(carry, a + b < a);
    carry = true;
    const uint32_t lower = subtractWithCarry(uint32_t(a), uint32_t(b), carry);
    const uint32_t upper =
        subtractWithCarry(uint32_t(a >> 32), uint32_t(b >> 32), carry);
    ASSERT_EQ(uint64_t(upper) << 32 | lower, a - b);
    ASSERT_EQ(carry, a >= b);
  }
  bool flag = true;
  EXPECT_EQ(addWithCarry(~0u, ~0u, flag), ~0u);
  EXPECT_TRUE(flag);
  EXPECT_EQ(subtractWithCarry(0u, ~0u, flag), 1u);
  EXPECT_FALSE(flag);
  EXPECT_EQ(subtractWithCarry(0u, ~0u, flag), 0u);
  EXPECT_FALSE(flag);
}

TEST(Integer, Saturates) {
  EXPECT_EQ(addSaturating(INT32_MAX, 1), INT32_MAX);
  EXPECT_EQ(addSaturating(INT32_MIN, -1), INT32_MIN);
  EXPECT_EQ(subtractSaturating(INT32_MIN, 1), INT32_MIN);
  EXPECT_EQ(subtractSaturating(5, 7), -2);
}

TEST(Integer, Multiply24) {
  EXPECT_EQ(multiply24<uint32_t>(0xff000003u, 5u, false), 15u);
  EXPECT_EQ(multiply24<int32_t>(0x00ffffff, 3, false), -3);
  EXPECT_EQ(multiply24<uint32_t>(0x00ffffffu, 0x00ffffffu, true), 0xfffffe00u);
  EXPECT_EQ(multiply24<int32_t>(0x00800000, 0x00800000, true), 0x40000000);
}

TEST(Integer, FunnelShifts) {
  for (uint32_t amount = 0; amount < 70; ++amount) {
    const uint64_t both = 0x0123456789abcdefull;
    const uint32_t clamp = std::min(amount, 32u), wrap = amount & 31;
    EXPECT_EQ(funnelLeft(0x89abcdefu, 0x01234567u, amount, false),
              uint32_t(both << clamp >> 32));
    EXPECT_EQ(funnelLeft(0x89abcdefu, 0x01234567u, amount, true),
              uint32_t(both << wrap >> 32));
    EXPECT_EQ(funnelRight(0x89abcdefu, 0x01234567u, amount, false),
              uint32_t(both >> clamp));
    EXPECT_EQ(funnelRight(0x89abcdefu, 0x01234567u, amount, true),
              uint32_t(both >> wrap));
  }
}

TEST(Integer, Fns) {
  EXPECT_EQ(findNthSet(0xaaaaaaaau, 3, 1), 3u);
  EXPECT_EQ(findNthSet(0xaaaaaaaau, 3, 4), 9u);
  EXPECT_EQ(findNthSet(0xaaaaaaaau, 4, 2), 7u);
  EXPECT_EQ(findNthSet(0xaaaaaaaau, 4, -2), 1u);
  EXPECT_EQ(findNthSet(0xaaaaaaaau, 4, -3), ~0u);
  EXPECT_EQ(findNthSet(0xaaaaaaaau, 4, 0), ~0u);
  EXPECT_EQ(findNthSet(0xaaaaaaaau, 5, 0), 5u);
  EXPECT_EQ(findNthSet(0x80000000u, 0, 1), 31u);
}

TEST(Integer, Lop3) {
  Random random(6);
  for (unsigned table = 0; table < 256; ++table) {
    const uint32_t a = uint32_t(random.bits()), b = uint32_t(random.bits()),
                   c = uint32_t(random.bits());
    uint32_t expected = 0;
    for (unsigned i = 0; i < 32; ++i) {
      const unsigned index = bitOf(a, i) * 4u + bitOf(b, i) * 2u + bitOf(c, i);
      expected |= uint32_t(bitOf(table, index)) << i;
    }
    ASSERT_EQ(logic3(a, b, c, uint8_t(table)), expected) << table;
  }
}

TEST(Integer, Prmt) {
  const uint32_t a = 0x83828180u, b = 0x07060504u;
  EXPECT_EQ(permute(a, b, 0x7531u), 0x07058381u);
  EXPECT_EQ(permute(a, b, 0xc8b9u), 0x00ffffffu); // signs of 4, 0, 3, 1
  // Bytes of the modes, from the table of the PTX ISA, c = 1.
  EXPECT_EQ(permute(a, b, 1, PermuteMode::ForwardFour), 0x04838281u);
  EXPECT_EQ(permute(a, b, 1, PermuteMode::BackwardFour), 0x06078081u);
  EXPECT_EQ(permute(a, b, 1, PermuteMode::ReplicateByte), 0x81818181u);
  EXPECT_EQ(permute(a, b, 1, PermuteMode::EdgeClampLeft), 0x83828181u);
  EXPECT_EQ(permute(a, b, 1, PermuteMode::EdgeClampRight), 0x81818180u);
  EXPECT_EQ(permute(a, b, 1, PermuteMode::ReplicateHalf), 0x83828382u);
  EXPECT_EQ(permute(a, b, 6, PermuteMode::ForwardFour), 0x05048382u);
}

TEST(Integer, DotProducts) {
  const uint32_t a = 0x80ff7f01u, b = 0x02fe0380u;
  EXPECT_EQ((dotBytes<int8_t, int8_t>(a, b, 10)),
            uint32_t(10 - 128 + 381 + 2 - 256));
  EXPECT_EQ((dotBytes<uint8_t, uint8_t>(a, b, 10)),
            10u + 128 + 381 + 255 * 254 + 256);
  EXPECT_EQ((dotBytes<uint8_t, int8_t>(a, b, 10)),
            uint32_t(10 - 128 + 381 - 510 + 256));
  EXPECT_EQ((dotBytes<int8_t, int8_t>(0x80808080u, 0x80808080u, 0xffffffffu)),
            65535u);
  EXPECT_EQ((dotHalves<int16_t, int8_t>(0x8000ffffu, b, 1, false)),
            uint32_t(1 + 128 - 32768 * 3));
  EXPECT_EQ((dotHalves<int16_t, int8_t>(0x8000ffffu, b, 1, true)),
            uint32_t(1 + 2 - 32768 * 2));
  EXPECT_EQ((dotHalves<uint16_t, uint8_t>(0x8000ffffu, b, 1, true)),
            1u + 65535u * 254 + 32768u * 2);
}

TEST(Integer, ExtensionAndMasks) {
  EXPECT_EQ(extendFrom<int32_t>(0x1ff, 8, false), -1);
  EXPECT_EQ(extendFrom<uint32_t>(0x1ff, 8, false), 0xffu);
  EXPECT_EQ(extendFrom<int32_t>(0x123, 40, false), 0x123);
  EXPECT_EQ(extendFrom<int32_t>(0x123, 33, true), -1);
  EXPECT_EQ(bitMask(4, 8, false), 0xff0u);
  EXPECT_EQ(bitMask(28, 8, false), 0xf0000000u);
  EXPECT_EQ(bitMask(40, 8, false), 0u);
  EXPECT_EQ(bitMask(36, 8, true), 0xff0u);
}
