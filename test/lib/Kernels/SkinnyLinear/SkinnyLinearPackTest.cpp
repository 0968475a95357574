// Packing a matrix and unpacking it gives the same bytes, for every format and
// at sizes around strips, units and groups; and each weight lies where the
// layout's drawing says.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
#include "lib/Kernels/SkinnyLinear/SkinnyLinearPack.h"
#include "lib/Kernels/SkinnyLinear/SkinnyLinearGroups.h"
#include "lib/Quant/BitFields.h"
#include "lib/Quant/Element.h"

#include <cstring>
#include <gtest/gtest.h>
#include <random>

using namespace qopt;
using namespace qopt::kernels::skinny_linear;

namespace {
struct Matrix {
  std::vector<uint8_t> codes, scales, zeros;
  Matrix(const Segment &segment, int64_t columns)
      : codes(quant::codeBytes(segment.weight, segment.rows, columns)),
        scales(quant::scaleBytes(segment.weight, segment.rows, columns)),
        zeros(quant::zeroBytes(segment.weight, segment.rows, columns)) {}
  bool operator==(const Matrix &) const = default;
};

quant::Format formatOf(const std::string &text);

/// One row of one group.
Status checkOf(const char *text, float scale, float zero) {
  Segment segment{1, formatOf(text)};
  Matrix matrix(segment, 32);
  quant::storeScale(segment.weight, scale, matrix.scales.data(), 0);
  quant::storeZeros(segment.weight, &zero, 32, matrix.zeros.data());
  return checkZeroProducts(
      segment, 32,
      {matrix.codes.data(), matrix.scales.data(), matrix.zeros.data()});
}

quant::Format formatOf(const std::string &text) {
  auto format = quant::parseFormat(text);
  EXPECT_TRUE(format.ok()) << text;
  return *format;
}

Matrix randomMatrix(const Segment &segment, int64_t columns) {
  Matrix matrix(segment, columns);
  std::mt19937 random(7);
  // Through the codes, so that padding of rows is zero as it has to be.
  int64_t rowBytes = quant::bytesPerRow(segment.weight, columns);
  for (uint8_t &byte : matrix.codes)
    byte = uint8_t(random());
  int64_t last = columns * quant::elementOf(segment.weight.element).bits % 8;
  for (int64_t row = 1; last && row <= segment.rows; ++row)
    matrix.codes[row * rowBytes - 1] &= uint8_t((1 << last) - 1);
  if (segment.weight.isFloat())
    return matrix;
  bool tensor = segment.weight.granularity == quant::Granularity::Tensor;
  for (int64_t row = 0; row < (tensor ? 1 : segment.rows); ++row) {
    std::vector<float> units(quant::unitsPerRow(segment.weight, columns),
                             0x1p-7f),
        scales(quant::groupsPerRow(segment.weight, columns)), zeros(scales);
    // Codes of two levels are numbers of six bits, some negative.
    for (float &scale : scales)
      scale = segment.weight.hasScaleFields()
                  ? 0x1p-7f * (float(random() % 32) -
                               16 * quant::hasSignedScales(segment.weight))
                  : float(random() % 999) * 0.01f;
    for (float &zero : zeros)
      zero = float(random() %
                   (1u << quant::elementOf(segment.weight.element).bits));
    quant::storeScales(
        segment.weight, units.data(), scales.data(), columns,
        matrix.scales.data() +
            row * quant::scaleBytesPerRow(segment.weight, columns));
    if (!segment.weight.isSymmetric())
      quant::storeZeros(
          segment.weight, zeros.data(), columns,
          matrix.zeros.data() +
              row * quant::zeroBytesPerRow(segment.weight, columns));
  }
  for (int i = 0; i < quant::elementOf(segment.weight.element).bookSize; ++i)
    matrix.zeros[i] = uint8_t(random());
  return matrix;
}
} // namespace

class PackFormats : public testing::TestWithParam<const char *> {};

// 1393 · (32 + 15) is a half, 1395 · 47 none.
TEST(Pack, refusesZeroPointsWhoseProductNoHalfHolds) {
  EXPECT_TRUE(checkOf("int4_asym_g32", 1393, 15).ok());
  Status status = checkOf("int4_asym_g32", 1395, 15);
  EXPECT_EQ(status.code(), StatusCode::Unsupported);
  EXPECT_NE(status.message().find("65504"), std::string::npos);
  EXPECT_TRUE(checkOf("int4_asym_g32_sf32", 1e6, 15).ok());
}

TEST_P(PackFormats, unpackIsTheInverse) {
  for (bool paired : {false, true})
    for (int64_t rows : {2, 16, 34, 46})
      for (int64_t columns : {1, 31, 64, 127, 128, 130, 257, 640}) {
        Segment segment{rows, formatOf(GetParam())};
        Matrix matrix = randomMatrix(segment, columns);
        std::vector<uint8_t> packed(packedBytes(segment, columns, paired));
        packSegment(
            segment, columns, paired,
            {matrix.codes.data(), matrix.scales.data(), matrix.zeros.data()},
            packed.data());
        Matrix back(segment, columns);
        unpackSegment(segment, columns, paired, packed.data(),
                      back.codes.data(), back.scales.data(), back.zeros.data());
        EXPECT_EQ(back, matrix)
            << rows << " x " << columns << " paired " << paired;
      }
}

INSTANTIATE_TEST_SUITE_P(
    Formats, PackFormats,
    testing::Values(
        "f16", "bf16", "int8", "int8_tensor", "int8_g32", "int8_g128", "int4",
        "int4_g32", "int4_g64", "int4_g128", "int4_g256", "int4_asym_g32",
        "int4_asym_g128", "int8_asym_g64", "int4_asym_g128_zf", "int8_asym",
        "int4_asym_zf", "int6_asym_tensor", "int3_asym_zf_sf16", "fp8_e4m3",
        "fp8_e4m3_tensor", "fp8_e4m3_g32", "fp8_e4m3_g128", "int6", "int6_g64",
        "int5_asym_g32", "int5_g128", "int3", "int3_asym_g32", "int3_g64",
        "int2_g32", "int2_asym_g128", "lut4", "lut4_g128", "lut3_g32",
        "int4_g32_s6", "int4_asym_g32_s6", "int3_asym_g64_s8", "int2_g128_s8",
        "int5_g32_s6", "lut4_g32_s6", "lut3_g64_s6", "int4_g32_sf32",
        "int8_asym_g64_sf32", "int4_asym_g128_zf_sf32", "fp8_e4m3_g256_sf32",
        "lut4_g64_sf32", "fp8_e5m2", "fp8_e5m2_g64_sf32", "fp8_e4m3_b128",
        "mxfp4", "fp4_e2m1_g64", "fp4_e2m1", "nf4_g64", "nf4", "nf4_g128_sbf16",
        "int4_restricted_g32_se8m0", "int4_asym_g32_zf_sbf16"));

// A scale of e4m3 and its row's f32 are packed as their product.
TEST(Pack, twoLevelsOfFloatsAreTheirProduct) {
  Segment segment{34, formatOf("nvfp4")},
      wide{34, formatOf("fp4_e2m1_g16_sf32")};
  for (bool paired : {false, true})
    for (int64_t columns : {1, 130, 257}) {
      Matrix matrix = randomMatrix(segment, columns), products(wide, columns);
      auto groups = size_t(quant::groupsPerRow(wide.weight, columns));
      std::vector<float> scales(groups);
      quant::StoredRows stored{matrix.codes.data(), matrix.scales.data()};
      for (int64_t row = 0; row < segment.rows; ++row) {
        quant::loadScales(segment.weight,
                          quant::rowsFrom(segment.weight, stored, columns, row),
                          columns, scales.data());
        std::memcpy(products.scales.data() + row * groups * 4, scales.data(),
                    groups * 4);
      }
      auto packOf = [&](const Segment &of, const uint8_t *scales) {
        std::vector<uint8_t> packed(packedBytes(of, columns, paired));
        packSegment(of, columns, paired, {matrix.codes.data(), scales},
                    packed.data());
        return packed;
      };
      EXPECT_EQ(packOf(segment, matrix.scales.data()),
                packOf(wide, products.scales.data()));
      EXPECT_GT(scales.front(), 0);
    }
}

TEST(Pack, unitsAreAlignedRuns) {
  EXPECT_EQ(unitBytes(formatOf("int4_g128")), 1024 + 32);
  EXPECT_EQ(unitBytes(formatOf("int4_asym_g32")), 1024 + 4 * 64);
  EXPECT_EQ(unitBytes(formatOf("int8")), 2048);
  EXPECT_EQ(unitBytes(formatOf("f16")), 4096);
  EXPECT_EQ(unitBytes(formatOf("int3")), 768);
  EXPECT_EQ(unitBytes(formatOf("int5_g128")), 1280 + 32);
  EXPECT_EQ(unitBytes(formatOf("lut4_g32_s6")), 1024 + 4 * 16 + 32);
  EXPECT_EQ(unitBytes(formatOf("int4_asym_g64_s8")), 1024 + 4 * 16 + 32);
  EXPECT_EQ(unitBytes(formatOf("int4_g32_sf32")), 1024 + 4 * 64);
  EXPECT_EQ(unitBytes(formatOf("int4_asym_g32_sf32")), 1024 + 4 * (64 + 32));
  EXPECT_EQ(unitBytes(formatOf("int4_asym_g64_zf_sf32")), 1024 + 2 * 128);
  EXPECT_EQ(unitBytes(formatOf("nvfp4")), 1024 + 8 * 64);
  // The zero point of a row is in each unit, its scale behind them all.
  EXPECT_EQ(unitBytes(formatOf("int4_asym")), 1024 + 32);
  EXPECT_EQ(unitBytes(formatOf("int4_asym_zf_sf16")), 1024 + 32);
  EXPECT_EQ(unitBytes(formatOf("int4_asym_zf")), 1024 + 64);
  EXPECT_EQ(packedBytes({16, formatOf("int4_asym")}, 300, false),
            3 * (1024 + 32) + 16 * 4);
  for (const char *name : {"int4_g32", "int8_g64", "bf16"})
    EXPECT_EQ(unitBytes(formatOf(name)) % 16, 0);
}

// Row 11 = g + 8 with g = 3; column 45 = 32 + 8 · 1 + 5: chunk 1, t = 1, j = 1,
// h = 0, e = 1. So lane 13, the block's fourth word, and of rows g+8 at h = 0
// the odd column: nibble 5. The word is rotated by two bits: bits 22 to 25.
TEST(Pack, aCodeLiesWhereTheDrawingSays) {
  Segment segment{16, formatOf("int4_g128")};
  Matrix matrix(segment, 128);
  matrix.codes[11 * 64 + 45 / 2] = 0x50; // −3 would be 13; 5 is stored as 13
  std::vector<uint8_t> packed(packedBytes(segment, 128, false));
  packSegment(segment, 128, false,
              {matrix.codes.data(), matrix.scales.data(), nullptr},
              packed.data());
  for (int64_t word = 0; word < 256; ++word) {
    uint32_t bits;
    std::memcpy(&bits, packed.data() + word * 4, 4);
    EXPECT_EQ(bits, word == 13 * 4 + 3 ? 0x23622222u : 0x22222222u) << word;
  }
}

// The same place in words of fp8: the block of products 2 and 3, of product 3
// the word h = 0, and there byte 3, of row g+8 the odd column.
TEST(Pack, anFp8CodeLiesBesideItsPair) {
  Segment segment{16, formatOf("fp8_e4m3")};
  Matrix matrix(segment, 128);
  matrix.codes[11 * 128 + 45] = 0x7e;
  std::vector<uint8_t> packed(packedBytes(segment, 128, false));
  packSegment(segment, 128, false,
              {matrix.codes.data(), matrix.scales.data(), nullptr},
              packed.data());
  for (int64_t byte = 0; byte < 2048; ++byte)
    EXPECT_EQ(packed[byte], byte == 512 + 13 * 16 + 2 * 4 + 3 ? 0x7e : 0)
        << byte;
}

// The same place in planes of int5: product 3 of the lower four bits, whose
// words are rotated by one bit, and the highest bit in the lane's word of the
// second plane, rotated by five, at bit 3 of nibble 5.
TEST(Pack, aCodeOfFiveBitsLiesInTwoPlanes) {
  Segment segment{16, formatOf("int5_asym_g128")};
  Matrix matrix(segment, 128);
  quant::storeField(matrix.codes.data() + 11 * 80, 45, 5, 0x1b);
  std::vector<uint8_t> packed(packedBytes(segment, 128, false));
  packSegment(segment, 128, false,
              {matrix.codes.data(), matrix.scales.data(), matrix.zeros.data()},
              packed.data());
  for (int64_t word = 0; word < 320; ++word) {
    uint32_t bits;
    std::memcpy(&bits, packed.data() + word * 4, 4);
    uint32_t expected = word == 13 * 4 + 3 ? 0xbu << 21
                        : word == 256 + 13 ? 1u << 28
                                           : 0;
    EXPECT_EQ(bits, expected) << word;
  }
}

TEST(Pack, pairedStripsHoldGateAndUpRows) {
  EXPECT_EQ(rowOfStrip(32, true, 1, 3), 11);
  EXPECT_EQ(rowOfStrip(32, true, 1, 11), 27);
  EXPECT_EQ(rowOfStrip(20, true, 1, 3), -1);
  EXPECT_EQ(rowOfStrip(20, true, 1, 9), 19);
  EXPECT_EQ(rowOfStrip(20, false, 1, 3), 19);
}
