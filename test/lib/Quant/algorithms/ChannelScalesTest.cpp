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

TEST(ChannelScales, biasesGainWhatTheMeanLoses) {
  std::vector<float> weights = {1, 2, 3, 4, 5, 6},
                     values = {1, 2.5f, 3, 3, 5, 6.25f}, mean = {10, 2, -4};
  EXPECT_EQ(biasCorrection({weights.data(), 2, 3}, values.data(), mean.data()),
            (std::vector<float>{-1, 11}));
}
