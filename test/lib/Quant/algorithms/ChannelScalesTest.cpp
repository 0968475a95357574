// AWQ's search takes the exponent that an exhaustive comparison takes, and a
// bias gains what the mean loses.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
#include "lib/Quant/algorithms/ChannelScales.h"
#include "test/lib/Quant/algorithms/Reference.h"
#include <gtest/gtest.h>
#include <limits>

using namespace qopt;
using namespace qopt::quant;
using reference::Matrix;

/// tr(Δ H Δᵀ) of one weight with scales, in f64.
static double errorWith(const std::vector<float> &weights, int64_t rows,
                        const std::vector<float> &scales,
                        const std::vector<float> &moment) {
  auto columns = int64_t(scales.size());
  std::vector<float> scaled = weights;
  for (size_t i = 0; i < scaled.size(); ++i)
    scaled[i] *= scales[i % scales.size()];
  MatrixView view{scaled.data(), rows, columns};
  GridShape shape = gridShape(*parseFormat("int4_asym_g32"), rows, columns);
  std::vector<float> values =
      reference::valuesOf(roundToGrid(*coveringGrid(shape, view), view));
  Matrix difference(rows, columns);
  for (size_t i = 0; i < values.size(); ++i)
    difference.values[i] =
        double(values[i]) / scales[i % scales.size()] - weights[i];
  return reference::error(reference::identity(rows), difference,
                          {columns, columns, moment.data()});
}

TEST(ChannelScales, theLeastErrorOfAllWeightsThatReadOneInput) {
  constexpr int64_t columns = 96;
  std::vector<float> first = reference::randomWeights(40 * columns, 1),
                     second = reference::randomWeights(20 * columns, 2),
                     moment = reference::randomMoment(columns, 200, 3),
                     magnitudes;
  for (int64_t j = 0; j < columns; ++j)
    magnitudes.push_back(std::sqrt(moment[size_t(j * (columns + 1))]));
  magnitudes[9] = 0;
  auto found = searchChannelScales(
      *parseFormat("int4_asym_g32"),
      {{first.data(), 40, columns}, {second.data(), 20, columns}},
      magnitudes.data(), {moment.data(), nullptr, nullptr}, 2);
  ASSERT_TRUE(found.ok());
  double least = 1e300, exponent = 0;
  for (int step = 0; step < 20; ++step) {
    std::vector<float> scales;
    for (float magnitude : magnitudes)
      scales.push_back(std::pow(std::max(magnitude, 1e-4f), float(step) / 20));
    auto [low, high] = std::minmax_element(scales.begin(), scales.end());
    float middle = std::sqrt(*low * *high);
    for (float &scale : scales)
      scale /= middle;
    double error = errorWith(first, 40, scales, moment) +
                   errorWith(second, 20, scales, moment);
    if (step == 0)
      EXPECT_NEAR(found->errorWithout, error, 1e-4 * error);
    if (error < least) {
      least = error;
      exponent = float(step) / 20;
    }
  }
  EXPECT_GT(exponent, 0);
  EXPECT_FLOAT_EQ(found->exponent, float(exponent));
  EXPECT_NEAR(found->error, least, 1e-3 * least);
  EXPECT_LT(found->error, found->errorWithout);
}

TEST(ChannelScales, magnitudesThatAreNone) {
  std::vector<float> weights(64, 1.0f), magnitudes(64, 1.0f);
  magnitudes[3] = std::numeric_limits<float>::quiet_NaN();
  EXPECT_EQ(searchChannelScales(*parseFormat("int4_asym_g32"),
                                {{weights.data(), 1, 64}}, magnitudes.data(),
                                {}, 1)
                .status()
                .message(),
            "mean magnitude nan of input column 3; expected a finite number "
            "that is not negative");
}

TEST(ChannelScales, biasesGainWhatTheMeanLoses) {
  std::vector<float> weights = {1, 2, 3, 4, 5, 6},
                     values = {1, 2.5f, 3, 3, 5, 6.25f}, mean = {10, 2, -4};
  EXPECT_EQ(biasCorrection({weights.data(), 2, 3}, values.data(), mean.data()),
            (std::vector<float>{-1, 11}));
}
