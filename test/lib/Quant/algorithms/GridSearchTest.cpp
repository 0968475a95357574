// The search finds the ranges that it should, and is never worse than the
// covering grid.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
#include "lib/Quant/algorithms/GridSearch.h"
#include "test/lib/Quant/algorithms/Reference.h"
#include <gtest/gtest.h>

using namespace qopt;
using namespace qopt::quant;

/// Σ cost · (ŵ − w)² of every row and group, by GridShape::indexOf.
static std::vector<double> errorsOf(const Grid &grid, const MatrixView &weights,
                                    const std::vector<float> &costs) {
  std::vector<float> values = reference::valuesOf(roundToGrid(grid, weights));
  std::vector<double> errors(grid.groups.size());
  for (int64_t row = 0; row < weights.rows; ++row)
    for (int64_t j = 0; j < weights.columns; ++j) {
      double error = double(values[size_t(row * weights.columns + j)]) -
                     weights.row(row)[j];
      errors[size_t(grid.shape.indexOf(row, j / grid.shape.groupColumns()))] +=
          costs[size_t(j)] * error * error;
    }
  return errors;
}

static Grid search(const char *format, const MatrixView &weights,
                   const std::vector<float> &costs, unsigned threads = 1) {
  GridShape shape =
      gridShape(*parseFormat(format), weights.rows, weights.columns);
  return *searchGrid(shape, weights, costs, RangeSteps::forLevels(shape.levels),
                     threads);
}

TEST(GridSearch, noGroupIsWorseThanCovered) {
  constexpr int64_t rows = 40, columns = 150;
  std::vector<float> weights = reference::randomWeights(rows * columns, 1),
                     costs;
  for (int64_t j = 0; j < columns; ++j)
    costs.push_back(float(j % 7) + 0.1f);
  MatrixView view{weights.data(), rows, columns};
  for (const char *format :
       {"int4_g32", "int4_asym_g32", "int4_asym_g64_zf", "int4", "int8",
        "int8_asym", "fp8_e4m3", "int4_tensor", "int4_asym_tensor"}) {
    Grid grid = search(format, view, costs);
    auto before = errorsOf(*coveringGrid(grid.shape, view), view, costs);
    auto after = errorsOf(grid, view, costs);
    for (size_t i = 0; i < before.size(); ++i)
      EXPECT_LE(after[i], before[i] * (1 + 1e-5)) << format;
    double sumBefore = std::accumulate(before.begin(), before.end(), 0.0);
    double sumAfter = std::accumulate(after.begin(), after.end(), 0.0);
    if (std::string(format).starts_with("int4"))
      EXPECT_LT(sumAfter, 0.95 * sumBefore) << format;
  }
}

/// Units are chosen for scales that were searched without: little is lost to
/// scales of f16, and much is won over units that cover.
TEST(GridSearch, unitsThatStoreTheScales) {
  constexpr int64_t rows = 60, columns = 320;
  std::vector<float> weights = reference::randomWeights(rows * columns, 5),
                     costs(columns, 1.0f);
  for (int64_t i = 0; i < rows * columns; ++i) // groups of many sizes
    weights[size_t(i)] *= 1 + float(i / 32 * 7 % 11) / 3;
  MatrixView view{weights.data(), rows, columns};
  auto sumOf = [&](const Grid &grid) {
    auto errors = errorsOf(grid, view, costs);
    return std::accumulate(errors.begin(), errors.end(), 0.0);
  };
  for (std::string format : {"int4_g32", "int4_asym_g32", "int3_g32",
                             "int3_asym_g32", "int2_asym_g32"}) {
    double halves = sumOf(search(format.c_str(), view, costs));
    Grid six = search((format + "_s6").c_str(), view, costs);
    Grid eight = search((format + "_s8").c_str(), view, costs);
    double covering = sumOf(*coveringGrid(six.shape, view));
    EXPECT_LT(sumOf(six), 1.08 * halves) << format;
    EXPECT_LT(sumOf(eight), 1.01 * halves) << format;
    EXPECT_LT(sumOf(six), 0.97 * covering) << format;
    for (size_t i = 0; i < six.groups.size(); ++i)
      EXPECT_EQ(six.shape.storableScale(int64_t(i), six.groups[i].scale),
                six.groups[i].scale);
  }
}

TEST(GridSearch, oneEndMayShrinkAlone) {
  // −3 is alone below; 0 … 1.5 are many, with a step of 0.1.
  std::vector<float> weights(64, 0.0f), costs(64, 1.0f);
  for (size_t i = 0; i < 64; ++i)
    weights[i] = float(i % 16) / 10;
  weights[5] = -3;
  costs[5] = 0.01f;
  Grid grid = search("int4_asym_g64", {weights.data(), 1, 64}, costs);
  const GroupParameters &group = grid.groups[0];
  EXPECT_GE(group.value(15), 1.4f) << "the upper end is needed";
  EXPECT_GE(group.value(0), -1.7f) << "the lower end is not";
}

TEST(GridSearch, costsAreThoseOfTheColumns) {
  // In each group one weight is an outlier that costs nothing.
  std::vector<float> weights, costs;
  for (int64_t j = 0; j < 64; ++j) {
    bool outlier = j == 3 || j == 40;
    weights.push_back(outlier ? 1.9f : float(j % 15 - 7) / 7);
    costs.push_back(outlier ? 0 : 1);
  }
  Grid grid = search("int4_g32", {weights.data(), 1, 64}, costs);
  for (const GroupParameters &group : grid.groups)
    EXPECT_NEAR(std::fabs(group.scale), 1.0f / 7, 0.01f);
  std::rotate(costs.begin(), costs.begin() + 1, costs.end());
  grid = search("int4_g32", {weights.data(), 1, 64}, costs);
  for (const GroupParameters &group : grid.groups)
    EXPECT_GT(std::fabs(group.scale), 0.2f);
}

TEST(GridSearch, aFullRangeMayTurnItsSign) {
  // The largest magnitude is a half above 7 steps, all others are on the grid
  // of the other sign, down to −8.
  std::vector<float> weights = {8.4f};
  for (int i = 0; i < 31; ++i)
    weights.push_back(float(i % 16 - 8));
  std::vector<float> costs(32, 1.0f);
  costs[0] = 0;
  Grid grid = search("int4_g32", {weights.data(), 1, 32}, costs);
  EXPECT_NEAR(grid.groups[0].scale, 1.0f, 0.03f);
}

TEST(GridSearch, theSameForAnyNumberOfThreads) {
  std::vector<float> weights = reference::randomWeights(50 * 64, 2),
                     costs(64, 1.0f);
  MatrixView view{weights.data(), 50, 64};
  auto numbers = [&](unsigned threads) {
    return roundToGrid(search("int4_asym_g32", view, costs, threads), view)
        .numbers;
  };
  EXPECT_EQ(numbers(1), numbers(2));
  EXPECT_EQ(numbers(1), numbers(7));
}
