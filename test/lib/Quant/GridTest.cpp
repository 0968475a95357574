// A grid has the levels and parameters that its format can store, and the
// covering grid is round to nearest, byte for byte.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
#include "lib/Quant/Grid.h"
#include "lib/Quant/Storage.h"
#include <gtest/gtest.h>
#include <limits>

using namespace qopt;
using namespace qopt::quant;

namespace {
/// Canonical storage.
struct Stored {
  std::vector<uint8_t> codes, scales, zeros;

  Stored(const Format &format, int64_t rows, int64_t columns)
      : codes(size_t(codeBytes(format, rows, columns))),
        scales(size_t(scaleBytes(format, rows, columns))),
        zeros(size_t(zeroBytes(format, rows, columns))) {}
  QuantizedRows result() { return {codes.data(), scales.data(), zeros.data()}; }
  bool operator==(const Stored &) const = default;
};
} // namespace

static std::vector<float> weightsOf(int64_t count) {
  std::vector<float> weights;
  for (int64_t i = 0; i < count; ++i)
    weights.push_back(float((i * 37) % 101 - 45) / 70 * float(i % 13));
  return weights;
}

TEST(Grid, theCoveringGridIsRoundToNearest) {
  constexpr int64_t rows = 5, columns = 75; // the last group is short
  std::vector<float> weights = weightsOf(rows * columns);
  std::fill(weights.begin() + columns, weights.begin() + columns + 32, 0.0f);
  weights[2 * columns] = 1e-42f; // a denormal
  MatrixView view{weights.data(), rows, columns};
  ValueRange range;
  ASSERT_TRUE(observeRange({weights.data(), 0, rows, columns}, range).ok());
  for (const char *spelling :
       {"int4_g32", "int4_asym_g32", "int4_asym_g32_zf", "int4", "int4_asym",
        "int8", "int8_asym", "int8_tensor", "int8_asym_tensor", "fp8_e4m3",
        "fp8_e4m3_g16", "int4_asym_g24_zf_sf32", "int4_g16_s6",
        "int3_asym_g32_s6", "int2_asym_g8_s8", "int8_g32_s8", "lut4_g32",
        "lut3", "lut4_g32_s6"}) {
    Format format = *parseFormat(spelling);
    Stored expected(format, rows, columns), stored(format, rows, columns);
    ASSERT_TRUE(roundToNearest(format, {weights.data(), 0, rows, columns},
                               range, expected.result())
                    .ok());
    auto grid = coveringGrid(gridShape(format, rows, columns), view);
    ASSERT_TRUE(grid.ok());
    QuantizedMatrix matrix = roundToGrid(std::move(*grid), view);
    store(matrix, stored.result());
    EXPECT_TRUE(stored == expected) << spelling;
    std::vector<float> read(weights.size()), values(weights.size());
    dequantizeRows(
        format,
        {stored.codes.data(), stored.scales.data(), stored.zeros.data()}, rows,
        columns, read.data());
    dequantize(matrix, values.data());
    EXPECT_EQ(read, values) << spelling;
  }
}

TEST(Grid, oneWeightAndManyAreRoundedAlike) {
  std::vector<float> weights = weightsOf(100), numbers(100);
  for (const char *spelling : {"int4_g32", "int4_asym_g32", "int4_asym_g32_zf",
                               "fp8_e4m3", "int8_asym", "lut4_g64"}) {
    GridShape shape = gridShape(*parseFormat(spelling), 1, 100);
    GroupParameters group = coverRange(shape, 0, rangeOf(weights.data(), 100));
    roundGroup(shape, group, weights.data(), 100, numbers.data());
    for (size_t i = 0; i < 100; ++i)
      EXPECT_EQ(numbers[i], shape.nearest(group, weights[i])) << spelling;
  }
}

TEST(Grid, levels) {
  Levels integers = Levels::integers(-8, 7);
  EXPECT_TRUE(integers.isInteger() && integers.isFullRange());
  EXPECT_FALSE(Levels::integers(-7, 7).isFullRange());
  EXPECT_EQ(integers.nearest(2.5f), 2.0f); // a tie, to even
  EXPECT_EQ(integers.nearest(1e9f), 7.0f);
  EXPECT_EQ(integers.nearest(-1e9f), -8.0f);

  Levels book = Levels::codeBook({-1, -0.5f, 0, 0.25f, 1});
  EXPECT_FALSE(book.isInteger());
  EXPECT_EQ(book.low(), -1.0f);
  EXPECT_EQ(book.high(), 1.0f);
  EXPECT_EQ(book.nearest(0.13f), 0.25f);
  EXPECT_EQ(book.nearest(0.125f), 0.0f); // a tie, down
  EXPECT_EQ(book.nearest(-5.0f), -1.0f);
  EXPECT_EQ(book.nearest(5.0f), 1.0f);
  EXPECT_EQ(book.nearest(0.25f), 0.25f);
  EXPECT_EQ(book.indexOf(0.25f), 3);
  EXPECT_EQ(book.count(), 5);
  EXPECT_EQ(integers.count(), 16);
  EXPECT_TRUE(Levels::codeBook({-127, 0, 126}).isFullRange());

  Levels fp8 = Levels::ofElement(fp8E4m3Element);
  EXPECT_EQ(fp8.high(), 448.0f);
  EXPECT_EQ(fp8.nearest(17.0f), 16.0f); // a tie, to the even code
  EXPECT_EQ(fp8.nearest(1000.0f), 448.0f);
  EXPECT_EQ(fp8.nearest(0x1p-9f), 0x1p-9f);
}

TEST(Grid, parametersAreThoseThatCanBeStored) {
  GridShape half = gridShape(*parseFormat("int4_asym_g32"), 1, 32);
  EXPECT_EQ(half.storableScale(0, 0.1f), 0.0999755859375f);
  EXPECT_EQ(half.storableScale(0, 1e6f),
            std::numeric_limits<float>::infinity());
  EXPECT_EQ(half.storableZero(7.5f), 8.0f);
  EXPECT_EQ(half.storableZero(-3.0f), 0.0f);
  EXPECT_EQ(half.storableZero(99.0f), 15.0f);
  GridShape fraction = gridShape(*parseFormat("int4_asym_g32_zf"), 1, 32);
  EXPECT_EQ(fraction.storableZero(7.3f), 7.30078125f);
  GridShape single = gridShape(*parseFormat("int8"), 1, 32);
  EXPECT_EQ(single.storableScale(0, 0.1f), 0.1f);
  EXPECT_EQ(single.storableZero(3.0f), 0.0f);
}

TEST(Grid, scalesAreMultiplesOfAUnit) {
  GridShape shape = gridShape(*parseFormat("int4_g32_s6"), 2, 320);
  ASSERT_EQ(shape.units.size(), 4u);
  EXPECT_EQ(shape.storableScale(9, 0.1f), 0.1f) << "no unit is chosen";
  shape.units = {1, 0.5f, -0.25f, 0};
  EXPECT_EQ(shape.storableScale(0, 2.4f), 2.0f);
  EXPECT_EQ(shape.storableScale(0, 100.0f), 31.0f);
  EXPECT_EQ(shape.storableScale(0, -100.0f), -32.0f);
  EXPECT_EQ(shape.storableScale(7, 0.2f), 1.0f) << "only zero is zero";
  EXPECT_EQ(shape.storableScale(7, -0.2f), -1.0f);
  EXPECT_EQ(shape.storableScale(7, 0.0f), 0.0f);
  EXPECT_EQ(shape.storableScale(8, 2.4f), 2.5f) << "of columns 256 on";
  EXPECT_EQ(shape.storableScale(10, 8.0f), 8.0f) << "−32 times −0.25";
  EXPECT_EQ(shape.storableScale(10, -8.0f), -7.75f);
  EXPECT_EQ(shape.storableScale(10, 0.1f), 0.25f);
  EXPECT_EQ(shape.storableScale(19, 3.0f), 0.0f) << "a unit of zero";
  GridShape unsignedScales = gridShape(*parseFormat("int4_asym_g64_s8"), 1, 64);
  unsignedScales.units = {0.5f};
  EXPECT_EQ(unsignedScales.storableScale(0, 1000.0f), 127.5f);
  EXPECT_EQ(unsignedScales.storableScale(0, 0.1f), 0.5f);
}

TEST(Grid, valuesThatCannotBeAreNamed) {
  std::vector<float> weights = weightsOf(64);
  weights[40] = std::numeric_limits<float>::quiet_NaN();
  GridShape shape = gridShape(*parseFormat("int4_g16"), 2, 32);
  EXPECT_EQ(coveringGrid(shape, {weights.data(), 2, 32}).status().message(),
            "NaN at row 1, column 8; expected finite values");
  weights[40] = 1e7f;
  EXPECT_EQ(coveringGrid(shape, {weights.data(), 2, 32}).status().code(),
            StatusCode::Infeasible);
}
