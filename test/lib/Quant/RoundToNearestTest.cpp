// Golden vectors of round to nearest, worked out by hand from the formulas in
// lib/Quant/Algorithm.h.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
#include "lib/Quant/Algorithm.h"
#include "lib/Quant/Element.h"
#include "lib/Quant/Storage.h"
#include <gtest/gtest.h>
#include <limits>
#include <vector>

using namespace qopt;
using namespace qopt::quant;

namespace {
/// Canonical storage of a whole matrix, and what it reads back as.
struct Quantized {
  std::vector<uint8_t> codes, scales, zeros;
  std::vector<float> values;
  Status status;
};
} // namespace

static Quantized quantize(const char *spelling, std::vector<float> values,
                          int64_t columns, int64_t blockRows = 1) {
  Format format = *parseFormat(spelling);
  int64_t rows = int64_t(values.size()) / columns;
  Quantized result{
      std::vector<uint8_t>(size_t(codeBytes(format, rows, columns))),
      std::vector<uint8_t>(size_t(scaleBytes(format, rows, columns))),
      std::vector<uint8_t>(size_t(zeroBytes(format, rows, columns))),
      std::vector<float>(values.size()),
      {}};
  ValueRange range;
  bool perTensor = format.granularity == Granularity::Tensor;
  if (perTensor)
    result.status = observeRange({values.data(), 0, rows, columns}, range);
  int64_t own = perTensor ? 0 : 1;
  for (int64_t row = 0; row < rows && result.status.ok(); row += blockRows)
    result.status = roundToNearest(
        format,
        {values.data() + row * columns, row, std::min(blockRows, rows - row),
         columns},
        range,
        {result.codes.data() + row * bytesPerRow(format, columns),
         result.scales.data() + own * row * scaleBytesPerRow(format, columns),
         result.zeros.empty()
             ? nullptr
             : result.zeros.data() +
                   own * row * zeroBytesPerRow(format, columns)});
  if (result.status.ok())
    dequantizeRows(
        format,
        {result.codes.data(), result.scales.data(), result.zeros.data()}, rows,
        columns, result.values.data());
  return result;
}

static std::vector<int16_t> codesOf(const Quantized &quantized,
                                    ElementType type, int64_t count,
                                    bool isSigned) {
  std::vector<int16_t> codes(static_cast<size_t>(count));
  const Element &element = elementOf(type);
  if (isSigned)
    element.unpackSigned(quantized.codes.data(), count, codes.data());
  else
    element.unpackUnsigned(quantized.codes.data(), count, codes.data());
  return codes;
}

TEST(RoundToNearest, int4UsesMinusEightForTheLargestMagnitude) {
  // m = 4, scale = 4 / −8 = −0.5
  auto q = quantize("int4_g8", {4, -3.5, 0, 0.25, 0.75, -0.25, 1, -4}, 8);
  ASSERT_TRUE(q.status.ok());
  EXPECT_EQ(loadScale(*parseFormat("int4_g8"), q.scales.data(), 0), -0.5f);
  // 0.25 / −0.5 = −0.5 is a tie and goes to 0; 0.75 / −0.5 = −1.5 goes to −2;
  // −4 / −0.5 = 8 is clamped to 7.
  EXPECT_EQ(codesOf(q, ElementType::Int4, 8, true),
            (std::vector<int16_t>{-8, 7, 0, 0, -2, 0, -2, 7}));
  EXPECT_EQ(q.values[0], 4.0f);
}

TEST(RoundToNearest, theFirstOfEqualMagnitudesGivesTheSign) {
  auto q = quantize("int4_g8", {-4, 4, 0, 0, 0, 0, 0, 0}, 8);
  EXPECT_EQ(loadScale(*parseFormat("int4_g8"), q.scales.data(), 0), 0.5f);
  EXPECT_EQ(q.values[0], -4.0f);
  EXPECT_EQ(q.values[1], 3.5f);
}

TEST(RoundToNearest, shortCodesUseTheirFullRange) {
  // m = 4: int3 has the scale 4 / −4 = −1, int2 4 / −2 = −2.
  std::vector<float> values = {4, -3, 0.5, 1.5, 2.6f, -4, -1, 1};
  auto three = quantize("int3_g8", values, 8);
  EXPECT_EQ(loadScale(*parseFormat("int3_g8"), three.scales.data(), 0), -1.0f);
  EXPECT_EQ(codesOf(three, ElementType::Int3, 8, true),
            (std::vector<int16_t>{-4, 3, 0, -2, -3, 3, 1, -1}));
  auto two = quantize("int2_g8", values, 8);
  EXPECT_EQ(loadScale(*parseFormat("int2_g8"), two.scales.data(), 0), -2.0f);
  // −3 / −2 is clamped to 1; ties at ±0.5 go to 0.
  EXPECT_EQ(codesOf(two, ElementType::Int2, 8, true),
            (std::vector<int16_t>{-2, 1, 0, -1, -1, 1, 0, 0}));
  // lo = −2, hi = 5: scale 7 / 7 and zero 2.
  auto asymmetric =
      quantize("int3_asym_g8", {-2, 5, 0, 1, 2.5, 3.5, -0.4f, 4}, 8);
  EXPECT_EQ(asymmetric.zeros[0], 2);
  EXPECT_EQ(codesOf(asymmetric, ElementType::Int3, 8, false),
            (std::vector<int16_t>{0, 7, 2, 3, 4, 6, 2, 6}));
}

TEST(RoundToNearest, int8IsEqualOnBothSides) {
  auto q = quantize("int8", {-127, 127, 0.5, 1.5, -2.5, 126.75}, 3);
  ASSERT_TRUE(q.status.ok());
  EXPECT_EQ(q.codes[0], uint8_t(-127));
  EXPECT_EQ(q.codes[1], 127);
  EXPECT_EQ(q.codes[2], 0); // 0.5 is a tie, to even
  float scale = loadScale(*parseFormat("int8"), q.scales.data(), 1);
  EXPECT_EQ(scale, 126.75f / 127);
  EXPECT_EQ(q.codes[5], 127);
}

TEST(RoundToNearest, asymmetricRangesContainZero) {
  // lo = −1, hi = 6.5, scale = 7.5 / 15 = 0.5, zero = 2
  auto q = quantize("int4_asym_g8", {-1, 6.5, 0, 1, 0.25, 0.75, 3, -0.5}, 8);
  ASSERT_TRUE(q.status.ok());
  EXPECT_EQ(loadScale(*parseFormat("int4_asym_g8"), q.scales.data(), 0), 0.5f);
  EXPECT_EQ(q.zeros[0], 2);
  EXPECT_EQ(codesOf(q, ElementType::Int4, 8, false),
            (std::vector<int16_t>{0, 15, 2, 4, 2, 4, 8, 1}));
  // All positive: the range starts at zero all the same.
  auto positive = quantize("int4_asym_g8", {8, 15, 9, 10, 11, 12, 13, 14}, 8);
  EXPECT_EQ(positive.zeros[0], 0);
  EXPECT_EQ(positive.values[1], 15.0f);
}

TEST(RoundToNearest, scalesOfTwoLevels) {
  // The scales −0.5, 0.2 and 0.001: the unit is −0.5 / −32, the codes are −32,
  // 13 and, because it is not zero, 1.
  std::vector<float> values(24);
  values[0] = 4;
  values[8] = -1.6f;
  values[16] = -0.008f;
  auto q = quantize("int4_g8_s6", values, 24);
  ASSERT_TRUE(q.status.ok());
  std::vector<float> scales(3);
  Format format = *parseFormat("int4_g8_s6");
  loadScales(format, {nullptr, q.scales.data(), nullptr}, 24, scales.data());
  EXPECT_EQ(scales, (std::vector<float>{-0.5f, 13 / 64.0f, 1 / 64.0f}));
  EXPECT_EQ(q.values[0], 4.0f);
  EXPECT_EQ(q.values[8], -8 * 13 / 64.0f); // −1.6 / scale = −7.9
  EXPECT_EQ(q.values[16], -1 / 64.0f);     // −0.512 of a scale
  // hi − lo = 7.5 and 63 · 0.125: the unit is 0.525 / 63.
  values = {-1, 6.5, 0, 1, 0, 0, 3, 0, 7.875, 0, 0, 0, 0, 0, 0, 0};
  q = quantize("int4_asym_g8_s6", values, 16);
  loadScales(*parseFormat("int4_asym_g8_s6"),
             {nullptr, q.scales.data(), nullptr}, 16, scales.data());
  EXPECT_EQ(q.scales.size(), 4u);
  EXPECT_NEAR(scales[0], 0.5f, 0.005f);
  EXPECT_NEAR(scales[1], 0.525f, 0.0005f);
  EXPECT_EQ(q.zeros, (std::vector<uint8_t>{0x02}));
}

TEST(RoundToNearest, theUsualCodeBook) {
  // m = 2.54: the scale is −0.02, in units of which the weights are these.
  std::vector<float> values = {-127, -111, -112, 0, 5, 10.6f, 102, 127};
  for (float &value : values)
    value *= -0.02f;
  auto q = quantize("lut4_g8_sf32", values, 8);
  ASSERT_TRUE(q.status.ok());
  const float units[] = {-127, -96, -127, 0, 0, 11, 102, 102};
  for (size_t i = 0; i < 8; ++i)
    EXPECT_NEAR(q.values[i], -0.02f * units[i], 1e-6f) << i;
  EXPECT_EQ(q.zeros.size(), 16u);
  EXPECT_EQ(int8_t(q.zeros[0]), -127);
  EXPECT_EQ(codesOf(q, ElementType::Lut4, 8, false),
            (std::vector<int16_t>{0, 1, 0, 8, 8, 9, 15, 15}));
}

TEST(RoundToNearest, fractionalZeros) {
  auto q = quantize("int4_asym_g8_zf", {-1.2f, 6.3f, 0, 0, 0, 0, 0, 0}, 8);
  ASSERT_TRUE(q.status.ok());
  Format format = *parseFormat("int4_asym_g8_zf");
  EXPECT_EQ(loadScale(format, q.scales.data(), 0), 0.5f);
  EXPECT_NEAR(loadScale(format, q.zeros.data(), 0), 2.4f, 1e-3f);
  EXPECT_NEAR(q.values[0], -1.2f, 1e-3f);
}

TEST(RoundToNearest, codesUseTheStoredScale) {
  // 0.3 / −8 is no half; the code is of w over the half that is stored.
  auto q = quantize("int4_g8", {0.3f, 0.1f, 0, 0, 0, 0, 0, 0}, 8);
  float scale = loadScale(*parseFormat("int4_g8"), q.scales.data(), 0);
  EXPECT_NE(scale, 0.3f / -8);
  EXPECT_EQ(q.values[0], scale * -8);
}

TEST(RoundToNearest, zerosAndTinyGroups) {
  for (float value : {0.0f, -0.0f, 1e-30f, -1e-8f}) {
    for (const char *format : {"int4_g8", "int4_asym_g8"}) {
      auto q = quantize(format, std::vector<float>(8, value), 8);
      ASSERT_TRUE(q.status.ok());
      EXPECT_EQ(q.values, std::vector<float>(8, 0.0f)) << format << value;
      EXPECT_EQ(codesOf(q, ElementType::Int4, 8, false),
                std::vector<int16_t>(8, 0));
    }
  }
}

TEST(RoundToNearest, theLastGroupMayBeShort) {
  std::vector<float> values = {1, 1, 1, 1, 1, 1, 1, 1, 5, -3};
  auto q = quantize("int8_g8_sf32", values, 10);
  ASSERT_TRUE(q.status.ok());
  EXPECT_EQ(loadScale(*parseFormat("int8_g8_sf32"), q.scales.data(), 1),
            5.0f / 127);
  EXPECT_EQ(q.values[0], 1.0f);
}

TEST(RoundToNearest, blocksOfRowsDoNotMatter) {
  std::vector<float> values;
  for (int i = 0; i < 7 * 24; ++i)
    values.push_back(float((i * 37) % 101 - 50) / 7);
  for (const char *format : {"int4_asym_g8", "int8_tensor", "int8_asym"}) {
    auto one = quantize(format, values, 24, 1);
    auto all = quantize(format, values, 24, 7);
    auto some = quantize(format, values, 24, 3);
    EXPECT_EQ(one.codes, all.codes) << format;
    EXPECT_EQ(one.scales, all.scales) << format;
    EXPECT_EQ(some.zeros, all.zeros) << format;
    EXPECT_EQ(some.codes, all.codes) << format;
  }
}

TEST(RoundToNearest, floatsAreConverted) {
  auto q = quantize("bf16", {1.0f, 1.00390625f}, 2);
  EXPECT_EQ(q.values, (std::vector<float>{1, 1}));
}

TEST(RoundToNearest, valuesThatAreNotFiniteAreNamed) {
  std::vector<float> values(3 * 8, 1.0f);
  values[2 * 8 + 5] = std::numeric_limits<float>::quiet_NaN();
  EXPECT_EQ(quantize("int4_g8", values, 8).status.message(),
            "NaN at row 2, column 5; expected finite values");
  values[8] = -std::numeric_limits<float>::infinity();
  EXPECT_EQ(quantize("int8", values, 8, 3).status.message(),
            "infinity at row 1, column 0; expected finite values");
}

TEST(RoundToNearest, scalesBeyondTheirType) {
  auto q = quantize("int4_g8", std::vector<float>(8, 1e6f), 8);
  EXPECT_EQ(q.status.code(), StatusCode::Infeasible);
  EXPECT_EQ(q.status.message(),
            "the values from row 0, column 0 on, up to 1e+06, need a scale in "
            "\"int4_g8\" beyond f16, whose largest is 65504; use a format with "
            "f32 scales (int4_g8_sf32)");
  EXPECT_TRUE(
      quantize("int4_g8_sf32", std::vector<float>(8, 1e6f), 8).status.ok());
}

TEST(RoundToNearest, valuesBeyondTheirType) {
  std::vector<float> values = {1, 65504, 65519, -65520};
  auto half = quantize("f16", values, 2);
  EXPECT_EQ(half.status.code(), StatusCode::Infeasible);
  EXPECT_EQ(half.status.message(),
            "the value -65520 at row 1, column 1 is beyond f16, whose "
            "largest is 65504; use bf16 or f32");
  values.back() = -65519;
  EXPECT_EQ(quantize("f16", values, 2).values,
            (std::vector<float>{1, 65504, 65504, -65504}));
  values[0] = 3.4e38f;
  EXPECT_EQ(
      quantize("bf16", values, 2).status.message(),
      "the value 3.4e+38 at row 0, column 0 is beyond bf16, whose largest "
      "is 3.39e+38; use f32");
  EXPECT_TRUE(quantize("f32", values, 2).status.ok());
  values[1] = std::numeric_limits<float>::infinity();
  EXPECT_EQ(quantize("f16", values, 2, 2).status.message(),
            "infinity at row 0, column 1; expected finite values");
}
