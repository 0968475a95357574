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
  EXPECT_DOUBLE_EQ(storedBits(*parseFormat("int3_g128"), 64, 128), 3.125);
  EXPECT_DOUBLE_EQ(storedBits(*parseFormat("int2_asym_g64"), 64, 64), 2.375);
  // 6 bits a group, 16 for 256 columns, and 4 for a zero point.
  EXPECT_DOUBLE_EQ(storedBits(*parseFormat("int4_g32_s6"), 64, 512), 4.25);
  EXPECT_DOUBLE_EQ(storedBits(*parseFormat("int4_asym_g32_s6"), 64, 512),
                   4.375);
  EXPECT_DOUBLE_EQ(storedBits(*parseFormat("int2_g64_s8"), 64, 512), 2.1875);
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

TEST(Storage, int3HasEightCodesInThreeBytes) {
  const Element &int3 = elementOf(ElementType::Int3);
  // 24 bits, the last code first: 111 110 101 100 011 010 001 000
  std::vector<int16_t> codes = {0, 1, 2, 3, 4, 5, 6, 7, 5}, back(9);
  std::vector<uint8_t> bytes(4, 0xff);
  int3.pack(codes.data(), 9, bytes.data());
  EXPECT_EQ(bytes, (std::vector<uint8_t>{0x88, 0xc6, 0xfa, 0x05}));
  int3.unpackUnsigned(bytes.data(), 9, back.data());
  EXPECT_EQ(back, codes);
  int3.unpackSigned(bytes.data(), 9, back.data());
  EXPECT_EQ(back, (std::vector<int16_t>{0, 1, 2, 3, -4, -3, -2, -1, -3}));
}

TEST(Storage, int2HasFourCodesInAByte) {
  const Element &int2 = elementOf(ElementType::Int2);
  std::vector<int16_t> codes = {-2, 1, 0, -1, 1}, back(5);
  std::vector<uint8_t> bytes(2, 0xff);
  int2.pack(codes.data(), 5, bytes.data());
  EXPECT_EQ(bytes, (std::vector<uint8_t>{0xc6, 0x01}));
  int2.unpackSigned(bytes.data(), 5, back.data());
  EXPECT_EQ(back, codes);
  int2.unpackUnsigned(bytes.data(), 5, back.data());
  EXPECT_EQ(back, (std::vector<int16_t>{2, 1, 0, 3, 1}));
}

/// Whatever the codes and the length, they come back, in no more bytes than
/// bytesPerRow says and with zeros behind the last.
TEST(Storage, codesOfEveryIntegerComeBack) {
  uint32_t random = 1;
  for (const char *name : {"int8", "int6", "int5", "int4", "int3", "int2",
                           "lut4", "lut3", "fp4_e2m1", "nf4"}) {
    Format format = *parseFormat(name);
    const Element &element = elementOf(format.element);
    for (int64_t count = 1; count <= 70; ++count) {
      std::vector<int16_t> codes(static_cast<size_t>(count)), back(codes);
      for (int16_t &code : codes)
        code = int16_t((random = random * 1664525 + 1013904223) >>
                       (32 - element.bits));
      auto size = static_cast<size_t>(bytesPerRow(format, count));
      std::vector<uint8_t> bytes(size + 1, 0xa5);
      element.pack(codes.data(), count, bytes.data());
      EXPECT_EQ(bytes.back(), 0xa5) << name << count;
      if (unsigned used = count * element.bits % 8)
        EXPECT_EQ(bytes[size - 1] >> used, 0) << name << count;
      element.unpackUnsigned(bytes.data(), count, back.data());
      EXPECT_EQ(back, codes) << name << count;
      element.unpackSigned(bytes.data(), count, back.data());
      for (size_t i = 0; i < codes.size(); ++i) {
        int half = 1 << (element.bits - 1);
        EXPECT_EQ(back[i], codes[i] >= half ? codes[i] - 2 * half : codes[i]);
      }
    }
  }
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

/// 320 columns: ten groups, of which the last two have a unit of their own.
TEST(Storage, twoLevelsOfScales) {
  Format format = *parseFormat("int2_asym_g32_s6");
  ASSERT_EQ(scaleBytesPerRow(format, 320), 2 * 2 + 8);
  ASSERT_EQ(zeroBytesPerRow(format, 320), 3);
  EXPECT_EQ(scaleBytes(format, 3, 320), 36);
  EXPECT_EQ(zeroBytes(format, 3, 320), 9);
  const float units[] = {0.5f, -0.25f};
  const float scales[] = {0.5f, 31.5f, 0, 1, 1.5f, 2, 2.5f, 3, -0.25f, -15};
  const float zeros[] = {3, 0, 1, 2, 0, 0, 0, 0, 1, 3};
  std::vector<uint8_t> stored(12, 0xff), points(3, 0xff);
  storeScales(format, units, scales, 320, stored.data());
  storeZeros(format, zeros, 320, points.data());
  // f16 of 0.5 and −0.25; codes 1 63 0 2 | 3 4 5 6 | 1 60
  EXPECT_EQ(stored, (std::vector<uint8_t>{0x00, 0x38, 0x00, 0xb4, //
                                          0xc1, 0x0f, 0x08,       //
                                          0x03, 0x51, 0x18,       //
                                          0x01, 0x0f}));
  EXPECT_EQ(points, (std::vector<uint8_t>{0x93, 0x00, 0x0d}));
  std::vector<float> back(10);
  loadScales(format, {nullptr, stored.data(), nullptr}, 320, back.data());
  EXPECT_EQ(back, std::vector<float>(scales, scales + 10));
  loadZeros(format, {nullptr, nullptr, points.data()}, 320, back.data());
  EXPECT_EQ(back, std::vector<float>(zeros, zeros + 10));
}

TEST(Storage, scalesOfAFullRangeHaveSigns) {
  EXPECT_TRUE(hasSignedScales(*parseFormat("int4_g32_s6")));
  EXPECT_FALSE(hasSignedScales(*parseFormat("int4_asym_g32_s6")));
  EXPECT_FALSE(hasSignedScales(*parseFormat("int8_g32_s6")));
  Format format = *parseFormat("int3_g64_s8");
  const float unit = 2, scales[] = {-256, 254, -2};
  std::vector<uint8_t> stored(5, 0xff);
  storeScales(format, &unit, scales, 192, stored.data());
  EXPECT_EQ(stored, (std::vector<uint8_t>{0x00, 0x40, 0x80, 0x7f, 0xff}));
  std::vector<float> back(3);
  loadScales(format, {nullptr, stored.data(), nullptr}, 192, back.data());
  EXPECT_EQ(back, std::vector<float>(scales, scales + 3));
}

TEST(Storage, rowsOfTwoLevels) {
  Format format = *parseFormat("int4_asym_g32_s6");
  const float unit = 0.5f;
  std::vector<uint8_t> codes(2 * 32, 0x53), scales(2 * 4), zeros(2);
  for (size_t row = 0; row < 2; ++row) {
    const float rowScales[] = {float(row + 1), 3}, rowZeros[] = {5, 1};
    storeScales(format, &unit, rowScales, 64, scales.data() + 4 * row);
    storeZeros(format, rowZeros, 64, zeros.data() + row);
  }
  std::vector<float> values(2 * 64);
  dequantizeRows(format, {codes.data(), scales.data(), zeros.data()}, 2, 64,
                 values.data());
  EXPECT_EQ(values[0], -2.0f);  // 1 · (3 − 5)
  EXPECT_EQ(values[33], 12.0f); // 3 · (5 − 1)
  EXPECT_EQ(values[64], -4.0f);
}

TEST(Storage, codeBooks) {
  Format format = *parseFormat("lut4_g8_sf32");
  EXPECT_EQ(zeroBytes(format, 100, 64), 16); // one for the matrix
  EXPECT_EQ(zeroBytesPerRow(format, 64), 0);
  EXPECT_TRUE(hasZeroArray(format));
  EXPECT_FALSE(isByRow(format));
  EXPECT_TRUE(hasSignedScales(*parseFormat("lut3_g32_s6")));
  EXPECT_DOUBLE_EQ(storedBits(*parseFormat("lut3_g64_s6"), 64, 512),
                   3 + 6.0 / 64 + 1 / 16.0 + 64.0 / (64 * 512));
  std::vector<uint8_t> codes = {0x10, 0x32, 0x54, 0xfe, 0, 0, 0, 0xf0},
                       book(16);
  std::vector<float> numbers, scales = {0.5f, -2}, values(16);
  for (int i = 0; i < 16; ++i)
    numbers.push_back(float(i * i - 127));
  storeBook(format, numbers.data(), book.data());
  EXPECT_EQ(book[0], uint8_t(-127));
  EXPECT_EQ(book[15], 98);
  StoredRows stored = {codes.data(), reinterpret_cast<uint8_t *>(scales.data()),
                       book.data()};
  dequantizeRows(format, stored, 2, 8, values.data());
  EXPECT_EQ(values[0], -63.5f);
  EXPECT_EQ(values[3], -59.0f); // 0.5 · (9 − 127)
  EXPECT_EQ(values[6], 0.5f * (14 * 14 - 127));
  EXPECT_EQ(values[15], -196.0f);
  EXPECT_EQ(rowsFrom(format, stored, 8, 1).zeros, book.data());
}

TEST(Storage, codesOfCodeBooksHaveNoSign) {
  std::vector<int16_t> codes = {0, 1, 2, 3, 4, 5, 6, 7, 5}, back(9);
  std::vector<uint8_t> bytes(4, 0xff);
  lut3Element.pack(codes.data(), 9, bytes.data());
  EXPECT_EQ(bytes, (std::vector<uint8_t>{0x88, 0xc6, 0xfa, 0x05}));
  unpackCodes(*parseFormat("lut3"), bytes.data(), 9, back.data());
  EXPECT_EQ(back, codes);
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
