// Shows that a histogram of a tensor knows what a scale for all of its codes
// costs: the same as rounding every value does, to the width of its bins, and
// the least of all scales.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
#include "lib/Calibrate/ActivationHistogram.h"
#include "lib/Quant/FloatConversion.h"
#include <cmath>
#include <gtest/gtest.h>
#include <random>

using namespace qopt;
using namespace qopt::calibrate;

namespace {

constexpr int64_t channels = 130, rows = 400;

/// Normal values, of some channels larger, and few outliers.
std::vector<float> sampleValues() {
  std::mt19937 engine(3);
  std::normal_distribution<float> normal;
  std::vector<float> values(size_t(channels * rows));
  for (size_t i = 0; i < values.size(); ++i) {
    values[i] = normal(engine) * (i % channels < 3 ? 5.0f : 1.0f);
    if (i % 20011 == 0)
      values[i] *= 8;
  }
  return values;
}

struct Tensor {
  std::vector<float> x = sampleValues(), scales;
  std::vector<double> weights;

  Tensor() {
    for (int64_t k = 0; k < channels; ++k) {
      scales.push_back(k % 2 ? 1.0f : 1.5f);
      weights.push_back(0.5 + double(k % 7));
    }
  }
  ValueDistribution distribution(unsigned threads = 1) const {
    ActivationHistogram histogram(channels);
    histogram.add(x.data(), rows / 4, threads);
    histogram.add(x.data() + rows / 4 * channels, rows - rows / 4, threads);
    return histogram.scaled(scales, weights);
  }
  /// Of rounding every value.
  double error(TensorCodes codes, float scale) const {
    double sum = 0;
    for (size_t i = 0; i < x.size(); ++i) {
      size_t k = i % channels;
      float value = x[i] / scales[k], code = value / scale;
      auto most = float(largestCode(codes));
      code = std::min(std::max(code, -most), most);
      code = codes == TensorCodes::Int8
                 ? std::nearbyint(code)
                 : quant::e4m3ToFloat(quant::floatToE4m3(code));
      double difference = double(value) - double(code) * scale;
      sum += weights[k] * difference * difference;
    }
    return sum;
  }
};

class ActivationHistogramTest : public testing::TestWithParam<TensorCodes> {};

TEST_P(ActivationHistogramTest, KnowsWhatAScaleCosts) {
  Tensor tensor;
  ValueDistribution values = tensor.distribution();
  for (float scale : {0.005f, 0.02f, 0.1f, 0.5f}) {
    double expected = tensor.error(GetParam(), scale);
    EXPECT_NEAR(values.error(GetParam(), scale), expected, 0.12 * expected)
        << scale;
  }
}

TEST_P(ActivationHistogramTest, FindsTheScaleWithTheLeastError) {
  Tensor tensor;
  float found = tensor.distribution().bestScale(GetParam());
  double error = tensor.error(GetParam(), found), least = HUGE_VAL;
  for (float scale = 0.002f; scale < 2; scale *= 1.05f)
    least = std::min(least, tensor.error(GetParam(), scale));
  // Two scales that bins see alike.
  EXPECT_LT(error, 1.25 * least);
}

INSTANTIATE_TEST_SUITE_P(Codes, ActivationHistogramTest,
                         testing::Values(TensorCodes::Int8, TensorCodes::Fp8));

TEST(ActivationHistogramTest, ClippingPaysWhereOutliersAreFew) {
  Tensor tensor;
  ValueDistribution values = tensor.distribution();
  float whole = values.quantile(1) / 127;
  EXPECT_LT(values.bestScale(TensorCodes::Int8), 0.8f * whole);
  EXPECT_LT(
      tensor.error(TensorCodes::Int8, values.bestScale(TensorCodes::Int8)),
      0.9 * tensor.error(TensorCodes::Int8, whole));
}

TEST(ActivationHistogramTest, QuantilesAreThoseOfTheValues) {
  Tensor tensor;
  std::vector<float> sorted;
  for (size_t i = 0; i < tensor.x.size(); ++i)
    sorted.push_back(std::fabs(tensor.x[i]) / tensor.scales[i % channels]);
  std::sort(sorted.begin(), sorted.end());
  ValueDistribution values = tensor.distribution();
  for (double part : {0.5, 0.99, 0.9999}) {
    float expected = sorted[size_t(part * double(sorted.size() - 1))];
    EXPECT_NEAR(values.quantile(part), expected, 0.15 * expected) << part;
  }
}

TEST(ActivationHistogramTest, ThreadsDoNotMatter) {
  Tensor tensor;
  ValueDistribution one = tensor.distribution(1), four = tensor.distribution(4);
  for (float scale : {0.01f, 0.3f})
    EXPECT_EQ(one.error(TensorCodes::Int8, scale),
              four.error(TensorCodes::Int8, scale));
}

TEST(ActivationHistogramTest, ZerosHaveAScaleThatCostsNothing) {
  ActivationHistogram histogram(channels);
  std::vector<float> zeros(size_t(channels * rows));
  histogram.add(zeros.data(), rows, 2);
  ValueDistribution values = histogram.scaled(std::vector<float>(channels, 1),
                                              std::vector<double>(channels, 1));
  EXPECT_EQ(values.bestScale(TensorCodes::Int8), 0);
  EXPECT_EQ(values.error(TensorCodes::Int8, 1), 0);
}

} // namespace
