// A fitted code book has the numbers that the weights need, and less error than
// the usual one where weights are not normal.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
#include "lib/Quant/algorithms/CodeBook.h"
#include "lib/Quant/algorithms/GridSearch.h"
#include "test/lib/Quant/algorithms/Reference.h"
#include <gtest/gtest.h>

using namespace qopt;
using namespace qopt::quant;

static double errorOf(const GridShape &shape, const MatrixView &view,
                      const std::vector<float> &costs) {
  Grid grid =
      *searchGrid(shape, view, costs, RangeSteps::forLevels(shape.levels), 2);
  std::vector<float> values = reference::valuesOf(roundToGrid(grid, view));
  double error = 0;
  for (size_t i = 0; i < values.size(); ++i) {
    double difference = double(values[i]) - view.values[i];
    error += double(costs[i % costs.size()]) * difference * difference;
  }
  return error;
}

static GridShape fitted(const char *format, const MatrixView &view,
                        const std::vector<float> &costs, unsigned threads = 2) {
  return *fitCodeBook(gridShape(*parseFormat(format), view.rows, view.columns),
                      view, costs, threads);
}

/// Weights that are exactly eight numbers in groups of 32, one of them the
/// largest: nothing is lost.
TEST(CodeBook, findsTheNumbersThatThereAre) {
  const float numbers[] = {-127, -90, -30, -10, 3, 20, 50, 110};
  std::vector<float> weights, costs(64, 1.0f);
  for (int64_t i = 0; i < 64 * 64; ++i)
    weights.push_back(numbers[i % 32 < 8 ? i % 8 : i * 7 / 5 % 8] * 0.001f);
  MatrixView view{weights.data(), 64, 64};
  GridShape shape = fitted("lut3_g32", view, costs);
  for (size_t i = 0; i < 8; ++i)
    EXPECT_NEAR(shape.levels.numbers()[i], numbers[i], 1) << i;
  double usual = errorOf(gridShape(shape.format, 64, 64), view, costs);
  EXPECT_LT(errorOf(shape, view, costs), usual / 50);
}

TEST(CodeBook, followsTheCosts) {
  // Every other column has eight numbers, the others any, and cost nothing.
  const float numbers[] = {-127, -90, -30, -10, 3, 20, 50, 110};
  std::vector<float> weights, costs;
  for (int64_t j = 0; j < 64; ++j)
    costs.push_back(j % 2 ? 1.0f : 0.0f);
  for (int64_t i = 0; i < 64 * 64; ++i)
    weights.push_back(i % 2 ? numbers[i / 2 % 8] : float(i * 37 % 241 - 120));
  MatrixView view{weights.data(), 64, 64};
  GridShape all = fitted("lut3_g32", view, std::vector<float>(64, 1.0f));
  GridShape some = fitted("lut3_g32", view, costs);
  EXPECT_LT(errorOf(some, view, costs), 0.05 * errorOf(all, view, costs));
}

TEST(CodeBook, numbersAreIntegersThatRise) {
  std::vector<float> weights = reference::randomWeights(300 * 128, 4),
                     costs(128, 1.0f);
  for (float &weight : weights) // most of them nearly nothing
    weight = weight * weight * weight * weight * weight;
  MatrixView view{weights.data(), 300, 128};
  for (const char *format : {"lut4_g32", "lut4_g128", "lut4_g32_s6", "lut3"}) {
    GridShape shape = fitted(format, view, costs);
    const std::vector<float> &numbers = shape.levels.numbers();
    EXPECT_EQ(numbers.front(), -127);
    EXPECT_LE(numbers.back(), 126);
    for (size_t i = 0; i < numbers.size(); ++i) {
      EXPECT_EQ(numbers[i], std::floor(numbers[i]));
      if (i)
        EXPECT_LT(numbers[i - 1], numbers[i]);
    }
    GridShape usual = gridShape(shape.format, 300, 128);
    EXPECT_LT(errorOf(shape, view, costs), errorOf(usual, view, costs))
        << format;
    EXPECT_EQ(fitted(format, view, costs, 1).levels.numbers(), numbers);
  }
}

TEST(CodeBook, otherFormatsStayAsTheyAre) {
  std::vector<float> weights = reference::randomWeights(4 * 64, 5),
                     costs(64, 1.0f);
  GridShape shape = fitted("int4_g32", {weights.data(), 4, 64}, costs);
  EXPECT_TRUE(shape.levels.isInteger());
  // Nothing to fit to: the usual book.
  weights.assign(4 * 64, 0.0f);
  shape = fitted("lut4_g32", {weights.data(), 4, 64}, costs);
  EXPECT_EQ(shape.levels.numbers(),
            gridShape(shape.format, 4, 64).levels.numbers());
}
