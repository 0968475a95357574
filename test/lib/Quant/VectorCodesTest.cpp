// Codes of vectors with one scale, computed by hand: ties, restricted and full
// ranges, scales that f16 does not hold, vectors of zeros, and what is no
// number.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
#include "lib/Quant/VectorCodes.h"
#include "lib/Quant/Element.h"
#include "lib/Quant/FloatConversion.h"

#include <gtest/gtest.h>

#include <array>
#include <cmath>
#include <limits>
#include <vector>

namespace qopt::quant {

constexpr float infinity = std::numeric_limits<float>::infinity();

namespace {
struct Encoded {
  VectorScale scale;
  std::vector<int16_t> codes; ///< of integers
  std::vector<uint8_t> bytes;
};
} // namespace

static Encoded encode(const char *format, const std::vector<float> &values) {
  Format parsed = *parseFormat(format);
  const Element &element = elementOf(parsed.element);
  auto count = int64_t(values.size());
  Encoded result;
  result.bytes.resize((values.size() * element.bits + 7) / 8);
  result.scale =
      encodeVector(parsed, values.data(), count, result.bytes.data());
  result.codes.resize(values.size());
  if (element.isInteger())
    element.unpackSigned(result.bytes.data(), count, result.codes.data());
  return result;
}

using Codes = std::vector<int16_t>;

TEST(VectorCodes, tiesGoToEvenAndTheLeastCodeIsNotUsed) {
  Encoded x = encode("int8", {-127, 0.5f, 1.5f, -2.5f, 126.5f, 127});
  EXPECT_EQ(x.scale.scale, floatToHalf(1));
  EXPECT_EQ(x.codes, (Codes{-127, 0, 2, -2, 126, 127}));
  x = encode("int4", {-14, 1, 3, 5, 0, 14, -13, 7});
  EXPECT_EQ(x.scale.scale, floatToHalf(2));
  EXPECT_EQ(x.codes, (Codes{-7, 0, 2, 2, 0, 7, -6, 4}));
}

/// The scale of the codes is the rounded one: what it makes too large a code
/// is cut off.
TEST(VectorCodes, aScaleIsRoundedBeforeItIsUsed) {
  float largest = 7 * 1.0004f; // f16 has 1 and 1.00098
  EXPECT_EQ(encode("int4", {largest, 3.5f}).codes, (Codes{7, 4}));
  EXPECT_EQ(encode("int4", {largest, 3.5f}).scale.scale, floatToHalf(1));
  EXPECT_EQ(encode("int8", {9e6f, -1e6f}).scale.scale, floatToHalf(65504));
  EXPECT_EQ(encode("int8", {9e6f, -1e6f}).codes, (Codes{127, -15}));
}

TEST(VectorCodes, offsetsUseEveryCode) {
  Encoded x = encode("int2_asym_g32_zf", {10, 11, 12, 13, 11.5f, 12.5f});
  EXPECT_EQ(x.scale.scale, floatToHalf(1));
  EXPECT_EQ(x.scale.offset, floatToHalf(12));
  EXPECT_EQ(x.codes, (Codes{-2, -1, 0, 1, 0, 0}));
  x = encode("int3_asym_g32_zf", {-7, 0, 7, 1});
  EXPECT_EQ(x.scale.offset, floatToHalf(1));
  EXPECT_EQ(x.codes, (Codes{-4, 0, 3, 0}));
}

TEST(VectorCodes, fp8HasTheLargestCodeForTheLargestValue) {
  Encoded x = encode("fp8_e4m3", {-896, 448, 2, 0});
  EXPECT_EQ(x.scale.scale, floatToHalf(2));
  EXPECT_EQ(x.bytes, (std::vector<uint8_t>{0xfe, 0x76, 0x38, 0}));
}

TEST(VectorCodes, zerosHaveNoScale) {
  for (const char *format : {"int8", "int4", "fp8_e4m3", "int2_asym_g32_zf"}) {
    Encoded x = encode(format, {0, 0, 0, 0});
    EXPECT_EQ(x.scale.scale, 0) << format;
    EXPECT_EQ(x.scale.offset, 0) << format;
    EXPECT_EQ(x.codes, Codes(4, 0)) << format;
  }
}

TEST(VectorCodes, whatIsNoNumberIsZeroAndWhatIsInfiniteTheLargestCode) {
  Encoded x = encode("int4", {std::nanf(""), 7, -7, 1});
  EXPECT_EQ(x.codes, (Codes{0, 7, -7, 1}));
  EXPECT_EQ(encode("int4", {std::nanf(""), std::nanf("")}).scale.scale, 0);
  EXPECT_EQ(encode("int8", {infinity, -infinity}).codes, (Codes{127, -127}));
}

/// More than the encoder takes at once.
TEST(VectorCodes, longVectors) {
  std::vector<float> values;
  for (int i = 0; i < 200; ++i)
    values.push_back(float(i % 15 - 7));
  Encoded x = encode("int4", values);
  for (size_t i = 0; i < values.size(); ++i)
    EXPECT_EQ(x.codes[i], int16_t(values[i])) << i;
}

TEST(VectorCodes, bitsAreThoseOfTheTable) {
  for (ElementType type :
       {ElementType::F32, ElementType::F16, ElementType::BF16,
        ElementType::Int8, ElementType::Int4, ElementType::Fp8E4m3,
        ElementType::Int3, ElementType::Int2})
    EXPECT_EQ(unsigned(bitsOf(type)), elementOf(type).bits);
}

} // namespace qopt::quant
