// Shows that statistics of keys and values are those of each head's channels,
// in either order of heads and tokens, and survive being stored.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
#include "lib/Calibrate/VectorStatistics.h"
#include <cmath>
#include <gtest/gtest.h>

using namespace qopt::calibrate;

namespace {

constexpr int64_t heads = 2, tokens = 9, channels = 8;

/// Channel 5 of head 1 is ten times as large as the others.
float valueAt(int64_t head, int64_t token, int64_t channel) {
  float value = std::sin(float(token * 13 + channel * 7 + head)) > 0 ? 1 : -1;
  return head == 1 && channel == 5 ? 10 * value : value;
}

std::vector<float> values(HeadOrder order) {
  std::vector<float> x(size_t(heads * tokens * channels));
  for (int64_t h = 0; h < heads; ++h)
    for (int64_t t = 0; t < tokens; ++t)
      for (int64_t c = 0; c < channels; ++c) {
        int64_t row =
            order == HeadOrder::HeadsFirst ? h * tokens + t : t * heads + h;
        x[size_t(row * channels + c)] = valueAt(h, t, c);
      }
  return x;
}

void expectOutlier(const VectorStatistics &statistics) {
  EXPECT_EQ(statistics.largest(), 10);
  EXPECT_NEAR(statistics.effective(), std::sqrt((15.0 + 100.0) / 16), 1e-5);
  std::vector<OutlierChannel> found = statistics.outliers(6);
  ASSERT_EQ(found.size(), 1u);
  EXPECT_EQ(found[0].head, 1);
  EXPECT_EQ(found[0].channel, 5);
  EXPECT_EQ(found[0].times, 10);
  EXPECT_TRUE(statistics.outliers(11).empty());
}

TEST(VectorStatisticsTest, FindChannelsThatAreLarge) {
  for (HeadOrder order : {HeadOrder::HeadsFirst, HeadOrder::TokensFirst}) {
    VectorStatistics statistics(heads, channels);
    std::vector<float> x = values(order);
    statistics.add(x.data(), tokens, order);
    statistics.add(x.data(), tokens, order);
    expectOutlier(statistics);
  }
}

TEST(VectorStatisticsTest, AreTheSameFromAStore) {
  VectorStatistics statistics(heads, channels);
  std::vector<float> x = values(HeadOrder::HeadsFirst);
  statistics.add(x.data(), tokens, HeadOrder::HeadsFirst);
  expectOutlier(VectorStatistics::fromValues(statistics.toValues()));
  EXPECT_TRUE(VectorStatistics::fromValues({1, 2}).isEmpty());
  EXPECT_TRUE(VectorStatistics::fromValues({2, 8, 9, 1}).isEmpty());
}

TEST(VectorStatisticsTest, ZerosHaveNoOutliers) {
  VectorStatistics statistics(1, channels);
  std::vector<float> x(size_t(tokens * channels));
  x[3] = 1;
  statistics.add(x.data(), tokens, HeadOrder::HeadsFirst);
  EXPECT_TRUE(statistics.outliers(6).empty());
}

} // namespace
