// Scales as parameters: what is multiplied is what is stored, and gradients are
// those of the values in each parameter.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
#include "lib/Quant/algorithms/ScaleTuning.h"
#include <cmath>
#include <cstring>
#include <gtest/gtest.h>

using namespace qopt;
using namespace qopt::quant;

namespace {

/// A matrix that was rounded to nearest.
struct Stored {
  Format format;
  int64_t rows, columns;
  std::vector<uint8_t> codes, scales, zeros;

  Stored(const char *name, int64_t rows, int64_t columns)
      : format(*parseFormat(name)), rows(rows), columns(columns),
        codes(size_t(codeBytes(format, rows, columns))),
        scales(size_t(scaleBytes(format, rows, columns))),
        zeros(size_t(zeroBytes(format, rows, columns))) {
    std::vector<float> values;
    for (int64_t i = 0; i < rows * columns; ++i)
      values.push_back(std::sin(float(i * i % 97)) * float(1 + i % 5));
    EXPECT_TRUE(roundToNearest(format, {values.data(), 0, rows, columns}, {},
                               {codes.data(), scales.data(), zeros.data()})
                    .ok());
  }
  StoredRows view() const {
    return {codes.data(), scales.data(), zeros.data()};
  }
  std::vector<float> values(const std::vector<uint8_t> &withScales) const {
    std::vector<float> result(size_t(rows * columns));
    dequantizeRows(format, {codes.data(), withScales.data(), zeros.data()},
                   rows, columns, result.data());
    return result;
  }
};

} // namespace

class ScaleTuning : public testing::TestWithParam<const char *> {};

INSTANTIATE_TEST_SUITE_P(Formats, ScaleTuning,
                         testing::Values("int4_asym_g32", "int3_g64", "int8",
                                         "int4_g32_s6", "lut4_g32_s6",
                                         "nf4_g64", "int4_asym_g32_zf"));

TEST_P(ScaleTuning, withoutFactorsAllIsAsItWas) {
  Stored matrix(GetParam(), 3, 512);
  TunableMatrix tunable(matrix.format, 3, 512, matrix.view());
  std::vector<float> parameters(size_t(tunable.parameterCount())),
      values(3 * 512);
  tunable.values(parameters.data(), nullptr, values.data(), 2);
  EXPECT_EQ(values, matrix.values(matrix.scales));
  std::vector<uint8_t> scales(matrix.scales.size());
  tunable.store(parameters.data(), scales.data());
  EXPECT_EQ(scales, matrix.scales);
}

TEST_P(ScaleTuning, valuesAreThoseOfTheStoredScales) {
  Stored matrix(GetParam(), 3, 512);
  TunableMatrix tunable(matrix.format, 3, 512, matrix.view());
  std::vector<float> parameters(size_t(tunable.parameterCount())),
      values(3 * 512);
  for (size_t i = 0; i < parameters.size(); ++i)
    parameters[i] = 0.1f * std::sin(float(i));
  tunable.values(parameters.data(), nullptr, values.data(), 1);
  std::vector<uint8_t> scales(matrix.scales.size());
  tunable.store(parameters.data(), scales.data());
  EXPECT_NE(scales, matrix.scales);
  std::vector<float> stored = matrix.values(scales);
  for (size_t i = 0; i < values.size(); ++i)
    EXPECT_NEAR(values[i], stored[i], 1e-5f * (1 + std::fabs(stored[i])));
}

TEST_P(ScaleTuning, gradientsAreSumsOverGroupsUnitsAndColumns) {
  Stored matrix(GetParam(), 3, 512);
  TunableMatrix tunable(matrix.format, 3, 512, matrix.view());
  auto count = size_t(tunable.parameterCount());
  std::vector<float> parameters(count), values(3 * 512), slopes(3 * 512);
  tunable.values(parameters.data(), nullptr, values.data(), 1);
  for (size_t i = 0; i < slopes.size(); ++i)
    slopes[i] = std::cos(float(3 * i));
  std::vector<float> gradients(count), ofColumns(512);
  tunable.addGradients(slopes.data(), values.data(), gradients.data(),
                       ofColumns.data(), 2);
  // L = Σ slope · Ŵ, which the logarithm of a factor changes by its part of L.
  int64_t groups = groupsPerRow(matrix.format, 512), width = 512 / groups;
  for (int64_t g = 0; g < 3 * groups; ++g) {
    double sum = 0;
    for (int64_t k = 0; k < width; ++k)
      sum += slopes[size_t(g * width + k)] * values[size_t(g * width + k)];
    EXPECT_NEAR(gradients[size_t(g)], sum, 1e-3);
  }
  for (size_t u = size_t(3 * groups); u < count; ++u) { // 256 columns each
    double sum = 0;
    size_t first = (u - size_t(3 * groups)) * 256;
    for (size_t k = 0; k < 256; ++k)
      sum += slopes[first + k] * values[first + k];
    EXPECT_NEAR(gradients[u], sum, 1e-3);
  }
  for (size_t j = 0; j < 512; ++j)
    EXPECT_NEAR(ofColumns[j],
                slopes[j] * values[j] + slopes[512 + j] * values[512 + j] +
                    slopes[1024 + j] * values[1024 + j],
                1e-4);
}

TEST(ScaleTuning, factorsOfColumnsMultiplyThem) {
  Stored matrix("int4_asym_g32", 2, 64);
  TunableMatrix tunable(matrix.format, 2, 64, matrix.view());
  std::vector<float> parameters(size_t(tunable.parameterCount())),
      factors(64, 1.0f), values(128), before = matrix.values(matrix.scales);
  factors[3] = 2;
  tunable.values(parameters.data(), factors.data(), values.data(), 1);
  for (size_t i = 0; i < 128; ++i)
    EXPECT_EQ(values[i], (i % 64 == 3 ? 2 : 1) * before[i]);
}

TEST(ScaleTuning, aScaleOfNothingAndOneBeyondItsTypeStay) {
  Stored matrix("int4_asym_g32", 1, 64);
  std::memset(matrix.scales.data(), 0, 2); // of the first group
  TunableMatrix tunable(matrix.format, 1, 64, matrix.view());
  std::vector<float> values(64);
  tunable.values(std::vector<float>{5, 80}.data(), nullptr, values.data(), 1);
  EXPECT_EQ(values, matrix.values(matrix.scales));
}

TEST(ScaleTuning, scalesThatManyRowsShareAreNotTuned) {
  EXPECT_TRUE(hasTunableScales(*parseFormat("int8")));
  EXPECT_TRUE(hasTunableScales(*parseFormat("lut3_g64_s6")));
  for (const char *name : {"fp8_e4m3_b128", "fp8_e4m3_tensor", "f16"})
    EXPECT_FALSE(hasTunableScales(*parseFormat(name))) << name;
}
