// Canonical storage: sizes, nibbles, signs, and the way back to f32.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
#include "lib/Quant/Storage.h"
#include "lib/Quant/Element.h"
#include <gtest/gtest.h>
#include <vector>

using namespace qopt;
using namespace qopt::quant;

TEST(Storage, sizes) {
  Format int4 = *parseFormat("int4_asym_g32");
  EXPECT_EQ(bytesPerRow(int4, 5), 3);
  EXPECT_EQ(groupsPerRow(int4, 33), 2);
  EXPECT_EQ(codeBytes(int4, 3, 33), 3 * 17);
  EXPECT_EQ(scaleBytes(int4, 3, 33), 3 * 2 * 2);
  EXPECT_EQ(zeroBytes(int4, 3, 33), 3 * 2);
  Format tensor = *parseFormat("int8_tensor");
  EXPECT_EQ(scaleCount(tensor, 100, 64), 1);
  EXPECT_EQ(scaleBytes(tensor, 100, 64), 4);
  Format half = *parseFormat("f16");
  EXPECT_EQ(codeBytes(half, 3, 5), 30);
  EXPECT_EQ(scaleBytes(half, 3, 5), 0);
}

TEST(Storage, bitsPerWeight) {
  EXPECT_DOUBLE_EQ(storedBits(*parseFormat("int4_g32"), 64, 64), 4.5);
  EXPECT_DOUBLE_EQ(storedBits(*parseFormat("int4_asym_g32"), 64, 64), 4.75);
  EXPECT_DOUBLE_EQ(storedBits(*parseFormat("int8"), 64, 64), 8.5);
  EXPECT_DOUBLE_EQ(storedBits(*parseFormat("bf16"), 64, 64), 16);
  EXPECT_DOUBLE_EQ(payloadBits(*parseFormat("int4_asym_g32")), 4);
}

TEST(Storage, firstCodeInTheLowNibble) {
  const Element &int4 = elementOf(ElementType::Int4);
  std::vector<int16_t> codes = {1, -8, 7, -1, 2}, back(5);
  std::vector<uint8_t> bytes(3, 0xff);
  int4.pack(codes.data(), 5, bytes.data());
  EXPECT_EQ(bytes, (std::vector<uint8_t>{0x81, 0xf7, 0x02}));
  int4.unpackSigned(bytes.data(), 5, back.data());
  EXPECT_EQ(back, codes);
  int4.unpackUnsigned(bytes.data(), 5, back.data());
  EXPECT_EQ(back, (std::vector<int16_t>{1, 8, 7, 15, 2}));
}

TEST(Storage, bytesAreSignedOnlyWhenSymmetric) {
  const Element &int8 = elementOf(ElementType::Int8);
  std::vector<int16_t> codes = {-128, -1, 127}, back(3);
  std::vector<uint8_t> bytes(3);
  int8.pack(codes.data(), 3, bytes.data());
  int8.unpackSigned(bytes.data(), 3, back.data());
  EXPECT_EQ(back, codes);
  int8.unpackUnsigned(bytes.data(), 3, back.data());
  EXPECT_EQ(back, (std::vector<int16_t>{128, 255, 127}));
}

TEST(Storage, dequantizesEachGroupWithItsScaleAndZero) {
  Format format = *parseFormat("int8_asym_g8_sf32");
  std::vector<uint8_t> codes(2 * 10), zeros = {1, 2, 3, 4};
  for (size_t i = 0; i < codes.size(); ++i)
    codes[i] = uint8_t(i);
  std::vector<float> scales = {1, 2, 3, 4}, values(20);
  dequantizeRows(
      format,
      {codes.data(), reinterpret_cast<uint8_t *>(scales.data()), zeros.data()},
      2, 10, values.data());
  EXPECT_EQ(values[0], 1.0f * (0 - 1)); // row 0, group 0
  EXPECT_EQ(values[9], 2.0f * (9 - 2)); // row 0, group 1: two columns
  EXPECT_EQ(values[10], 3.0f * (10 - 3));
  EXPECT_EQ(values[19], 4.0f * (19 - 4));
}

TEST(Storage, fractionalZeros) {
  Format format = *parseFormat("int4_asym_g8_zf_sf32");
  std::vector<uint8_t> codes = {0x10, 0x32, 0x54, 0x76};
  float scale = 0.5f, zero = 1.25f;
  std::vector<float> values(8);
  dequantizeRows(format,
                 {codes.data(), reinterpret_cast<uint8_t *>(&scale),
                  reinterpret_cast<uint8_t *>(&zero)},
                 1, 8, values.data());
  EXPECT_EQ(values[0], -0.625f);
  EXPECT_EQ(values[7], 2.875f);
}

TEST(Storage, oneScaleForTheWholeMatrix) {
  Format format = *parseFormat("int8_tensor");
  std::vector<uint8_t> codes = {1, 2, 0xff, 4};
  float scale = 3;
  std::vector<float> values(4);
  dequantizeRows(format,
                 {codes.data(), reinterpret_cast<uint8_t *>(&scale), nullptr},
                 2, 2, values.data());
  EXPECT_EQ(values, (std::vector<float>{3, 6, -3, 12}));
}
