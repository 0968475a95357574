// HQQ's zeros are those of its published loop, written out here for one group.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
#include "lib/Quant/algorithms/HalfQuadratic.h"
#include "test/lib/Quant/algorithms/Reference.h"
#include <gtest/gtest.h>

using namespace qopt;
using namespace qopt::quant;

/// The loop with the inverse scale, in f64; ends where the mean error does not
/// fall.
static double zeroOf(const float *weights, int64_t count, double inverse,
                     double zero) {
  double beta = 10, least = 1e300, best = zero;
  for (int round = 0; round <= 20; ++round) {
    double sum = 0, mean = 0;
    for (int64_t i = 0; i < count; ++i) {
      double q =
          std::clamp(std::nearbyint(weights[i] * inverse + zero), 0.0, 15.0);
      double r = (q - zero) / inverse, x = weights[i] - r;
      sum += std::fabs(x);
      double e =
          std::max(0.0, std::fabs(x) - std::pow(std::fabs(x), -0.3) / beta);
      mean += q - (weights[i] - std::copysign(e, x)) * inverse;
    }
    if (sum >= least)
      break;
    least = sum;
    best = zero;
    zero = mean / double(count);
    beta *= 1.01;
  }
  return best;
}

TEST(HalfQuadratic, equalsThePublishedLoop) {
  constexpr int64_t rows = 6, columns = 100;
  std::vector<float> weights = reference::randomWeights(rows * columns, 1);
  for (float &weight : weights)
    weight *= 30; // large enough for the norm to forgive something
  MatrixView view{weights.data(), rows, columns};
  GridShape shape =
      gridShape(*parseFormat("int4_asym_g32_zf_sf32"), rows, columns);
  Grid covering = *coveringGrid(shape, view);
  Grid grid = *halfQuadraticGrid(shape, view, 1);
  int moved = 0, equal = 0;
  for (int64_t row = 0; row < rows; ++row)
    for (int64_t group = 0; group < 4; ++group) {
      size_t index = size_t(row * 4 + group);
      int64_t begin = group * 32, count = std::min<int64_t>(32, 100 - begin);
      double expected = zeroOf(view.row(row) + begin, count,
                               1.0 / covering.groups[index].scale,
                               covering.groups[index].zero);
      // Where the sums of two rounds are equal but for f32, either may end it.
      EXPECT_NEAR(grid.groups[index].zero, expected, 0.03);
      equal += std::fabs(grid.groups[index].zero - expected) < 1e-3;
      EXPECT_EQ(grid.groups[index].scale, covering.groups[index].scale);
      moved += grid.groups[index].zero != covering.groups[index].zero;
    }
  EXPECT_GT(moved, 12);
  EXPECT_GE(equal, 20);
}

TEST(HalfQuadratic, lowersTheMeanError) {
  std::vector<float> weights = reference::randomWeights(64 * 128, 2);
  MatrixView view{weights.data(), 64, 128};
  GridShape shape = gridShape(*parseFormat("int4_asym_g64_zf"), 64, 128);
  auto meanOf = [&](const Grid &grid) {
    std::vector<float> values = reference::valuesOf(roundToGrid(grid, view));
    double sum = 0;
    for (size_t i = 0; i < values.size(); ++i)
      sum += std::fabs(double(values[i]) - weights[i]);
    return sum;
  };
  Grid one = *halfQuadraticGrid(shape, view, 1);
  EXPECT_LT(meanOf(one), 0.99 * meanOf(*coveringGrid(shape, view)));
  Grid seven = *halfQuadraticGrid(shape, view, 7);
  EXPECT_EQ(roundToGrid(one, view).numbers, roundToGrid(seven, view).numbers);
}

TEST(HalfQuadratic, needsFractions) {
  std::vector<float> weights(64, 1.0f);
  EXPECT_EQ(
      halfQuadraticGrid(gridShape(*parseFormat("int4_asym_g64"), 1, 64),
                        {weights.data(), 1, 64}, 1)
          .status()
          .message(),
      "hqq moves the zero points of groups and channels by fractions, which "
      "\"int4_asym_g64\" does not have; use a format such as "
      "int4_asym_g64_zf");
}
