// Shows that the second moment of the gradients that are drawn for results that
// are no logits is the curvature of their error beside their own mean square.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
#include "lib/Calibrate/SampledLabels.h"
#include <cmath>
#include <gtest/gtest.h>
#include <vector>

using namespace qopt::calibrate;

namespace {

constexpr int64_t rows = 6, columns = 5;

std::vector<float> drawn(uint64_t seed, unsigned threads) {
  std::vector<float> results;
  for (int64_t i = 0; i < rows * columns; ++i)
    results.push_back(float(i % 7) - 2);
  errorGradients(results.data(), rows, columns, {seed, 100}, threads);
  return results;
}

TEST(SampledLabelsTest, ErrorsOfAllElementsCountTheSame) {
  double squares = 0;
  for (int64_t i = 0; i < rows * columns; ++i)
    squares += std::pow(double(i % 7) - 2, 2);
  // ½ Δᵀ E[g gᵀ] Δ of a row is half of its mean square beside that of all.
  double expected = 1 / (squares / (rows * columns)) / columns;
  constexpr int draws = 4000;
  double sum = 0, mixed = 0;
  for (int seed = 0; seed < draws; ++seed) {
    std::vector<float> g = drawn(uint64_t(seed), 1);
    for (float value : g)
      EXPECT_NEAR(double(value) * value, expected, 1e-5 * expected);
    sum += g[3];
    mixed += double(g[3]) * g[4];
  }
  // Means and products of two elements vanish, to five deviations.
  double bound = 5 / std::sqrt(double(draws));
  EXPECT_LT(std::fabs(sum / draws), bound * std::sqrt(expected));
  EXPECT_LT(std::fabs(mixed / draws), bound * expected);
}

TEST(SampledLabelsTest, ThreadsDoNotMatter) {
  EXPECT_EQ(drawn(7, 1), drawn(7, 3));
  EXPECT_NE(drawn(7, 1), drawn(8, 1));
}

} // namespace
