// What is too small for a format is found, and is an error where it matters
// beside the rest of the matrix.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
#include "lib/Quant/Algorithm.h"
#include "lib/Quant/Storage.h"
#include <gtest/gtest.h>
#include <vector>

using namespace qopt;
using namespace qopt::quant;

/// What quantizing a matrix as one block says of its small values.
static Status lossOf(const char *spelling, const std::vector<float> &values,
                     int64_t columns) {
  Format format = *parseFormat(spelling);
  int64_t rows = int64_t(values.size()) / columns;
  std::vector<uint8_t> codes(size_t(codeBytes(format, rows, columns))),
      scales(size_t(scaleBytes(format, rows, columns))),
      zeros(size_t(zeroBytes(format, rows, columns)));
  RowBlock block{values.data(), 10, rows, columns};
  QuantizedRows result{codes.data(), scales.data(), zeros.data()};
  ValueRange range;
  QOPT_RETURN_IF_ERROR(observeRange(block, range));
  QOPT_RETURN_IF_ERROR(roundToNearest(format, block, range, result));
  return checkLost(format, largestLost(format, block, result), range);
}

TEST(Limits, aMatrixOfSmallValuesIsLost) {
  std::vector<float> values(16, 1e-8f);
  values[13] = -2e-8f;
  EXPECT_EQ(lossOf("int4_g8", values, 8).code(), StatusCode::Infeasible);
  EXPECT_EQ(
      lossOf("int4_g8", values, 8).message(),
      "the value -2e-08 at row 11, column 5 would become zero: the f16 scales "
      "of \"int4_g8\" end at 6e-08; use a format with f32 scales "
      "(int4_g8_sf32)");
  EXPECT_EQ(lossOf("f16", values, 8).message(),
            "the value -2e-08 at row 11, column 5 would become zero: f16 ends "
            "at 6e-08; use bf16 or f32");
  for (const char *format :
       {"int4_g8_sf32", "int4_asym_g8_sf32", "int8", "int8_tensor", "bf16"})
    EXPECT_TRUE(lossOf(format, values, 8).ok()) << format;
}

TEST(Limits, whatRoundsToZeroWithinItsGroupIsNotLost) {
  EXPECT_TRUE(
      lossOf("int4_g8", {8, 1e-8f, 0, -0.0f, 0.1f, 1e-30f, 0, 0}, 8).ok());
}

TEST(Limits, rowsThatAreNoiseBesideTheOthersAreNotLost) {
  std::vector<float> values(16, 1e-8f);
  values[0] = 1e-4f; // 10000 times as large
  EXPECT_TRUE(lossOf("int4_g8", values, 8).ok());
  EXPECT_TRUE(lossOf("f16", values, 8).ok());
  values[0] = 1e-6f; // 100 times
  EXPECT_EQ(lossOf("int4_g8", values, 8).code(), StatusCode::Infeasible);
}

TEST(Limits, zerosAreNotLost) {
  for (const char *format : {"f16", "int4_g8", "int8_tensor"})
    EXPECT_TRUE(lossOf(format, std::vector<float>(16, 0.0f), 8).ok());
}
