// Scales are the powers that their formula says, and a bias gains what the mean
// loses.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
#include "lib/Quant/algorithms/ChannelScales.h"
#include <cmath>
#include <gtest/gtest.h>

using namespace qopt;
using namespace qopt::quant;

TEST(ChannelScales, powersOfBothMagnitudes) {
  const std::vector<float> x = {16, 1, 4}, w = {1, 4, 1};
  // 16, 1, 4 by √(16 · 1), and √16 / √1, √1 / √4, √4 / √1 by √(4 · ½).
  EXPECT_EQ(channelScales(x, w, 1, 0), (std::vector<float>{4, 0.25f, 1}));
  std::vector<float> both = channelScales(x, w, 0.5, 0.5);
  const float middle = std::sqrt(2.0f);
  EXPECT_FLOAT_EQ(both[0], 4 / middle);
  EXPECT_FLOAT_EQ(both[1], 0.5f / middle);
  EXPECT_FLOAT_EQ(both[2], 2 / middle);
  EXPECT_EQ(channelScales(x, w, 0, 0), (std::vector<float>{1, 1, 1}));
}

TEST(ChannelScales, aChannelThatNeverFires) {
  std::vector<float> scales = channelScales({0, 1, 1}, {1, 1, 0}, 1, 1);
  for (float scale : scales)
    EXPECT_TRUE(std::isfinite(scale) && scale > 0);
  EXPECT_FLOAT_EQ(scales[0] / scales[1], 1e-4f);
  EXPECT_FLOAT_EQ(scales[2] / scales[1], 1e4f);
  EXPECT_EQ(channelScales({0, 0}, {0, 0}, 0.5, 0.5),
            (std::vector<float>{1, 1}));
}

TEST(ChannelScales, whatACorrectionCostsIsTheSumOverTokens) {
  const std::vector<float> weights = {1, 2, 3, 4}, values = {1.5f, 2, 2, 4.5f},
                           correction = {0.25f, -0.5f}, moment = {2, 1, 1, 3},
                           diagonal = {2, 3};
  const float tokens[3][2] = {{1, 2}, {-1, 4}, {3, 0}};
  const std::vector<float> mean = {1, 2};
  // eᵀ H e of e = Δ x + c and of Δ x, over the tokens.
  auto expected = [&](bool isFull) {
    double sum = 0;
    for (const auto &x : tokens)
      for (float share : {1.0f, 0.0f}) {
        double e[2];
        for (size_t i = 0; i < 2; ++i)
          e[i] = double(values[2 * i] - weights[2 * i]) * x[0] +
                 double(values[2 * i + 1] - weights[2 * i + 1]) * x[1] +
                 double(share) * correction[i];
        double form =
            2 * e[0] * e[0] + 3 * e[1] * e[1] + (isFull ? 2 * e[0] * e[1] : 0);
        sum += share > 0 ? form : -form;
      }
    return sum / 3;
  };
  MatrixView view{weights.data(), 2, 2};
  EXPECT_NEAR(correctionCost(view, values.data(), mean.data(), correction,
                             {.outputMoment = moment.data()}),
              expected(true), 1e-5);
  EXPECT_NEAR(correctionCost(view, values.data(), mean.data(), correction,
                             {.outputDiagonal = diagonal.data()}),
              expected(false), 1e-5);
  // The mean's own correction is the best one: with it nothing of it is left.
  std::vector<float> best = biasCorrection(view, values.data(), mean.data());
  EXPECT_LT(correctionCost(view, values.data(), mean.data(), best, {}),
            correctionCost(view, values.data(), mean.data(), correction, {}));
}

TEST(ChannelScales, biasesGainWhatTheMeanLoses) {
  std::vector<float> weights = {1, 2, 3, 4, 5, 6},
                     values = {1, 2.5f, 3, 3, 5, 6.25f}, mean = {10, 2, -4};
  EXPECT_EQ(biasCorrection({weights.data(), 2, 3}, values.data(), mean.data()),
            (std::vector<float>{-1, 11}));
}
