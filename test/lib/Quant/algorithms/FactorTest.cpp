// L D Lᵀ is the damped moment in its order, for moments of every kind.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
#include "lib/Quant/algorithms/Factor.h"
#include "test/lib/Quant/algorithms/Reference.h"
#include <gtest/gtest.h>

using namespace qopt;
using namespace qopt::quant;
using reference::Matrix;

/// The largest difference between L D Lᵀ and what was factored, by the mean of
/// the diagonal.
static double distance(const Factor &factor, const std::vector<float> &moment,
                       int64_t size) {
  Matrix wanted = reference::arranged({size, size, moment.data()}, factor.order,
                                      factor.damping);
  Matrix lower = reference::identity(size), scaled(size, size);
  for (int64_t i = 0; i < size; ++i)
    for (int64_t j = 0; j < i; ++j)
      lower(i, j) = factor.lower.strip(j / tileSize, i)[j % tileSize];
  for (int64_t i = 0; i < size; ++i)
    for (int64_t j = 0; j < size; ++j)
      scaled(i, j) = lower(i, j) * factor.pivots[size_t(j)];
  Matrix product = scaled * reference::transpose(lower);
  double largest = 0;
  for (size_t i = 0; i < product.values.size(); ++i)
    largest =
        std::max(largest, std::fabs(product.values[i] - wanted.values[i]));
  return largest / (reference::trace(wanted) / double(size));
}

TEST(Factor, reconstructsTheMoment) {
  for (int64_t size : {1, 5, 64, 65, 150}) {
    std::vector<float> moment = reference::randomMoment(size, 2 * size, 1);
    auto factor = factorMoment(moment.data(), size, 0.01f, 2);
    ASSERT_TRUE(factor.ok()) << factor.status().message();
    EXPECT_EQ(factor->damping, 0.01f);
    EXPECT_LT(distance(*factor, moment, size), 1e-5) << size;
    for (int64_t i = 0; i + 1 < size; ++i)
      EXPECT_LE(moment[size_t(factor->order[size_t(i)] * (size + 1))],
                moment[size_t(factor->order[size_t(i + 1)] * (size + 1))]);
  }
}

TEST(Factor, singularMomentsAreDamped) {
  std::vector<float> moment = reference::randomMoment(100, 10, 2);
  auto factor = factorMoment(moment.data(), 100, 0.01f, 1);
  ASSERT_TRUE(factor.ok());
  EXPECT_LT(distance(*factor, moment, 100), 1e-5);
  // A column that never fires has no part in any other's feedback.
  for (int64_t j = 0; j < 100; ++j)
    moment[size_t(17 * 100 + j)] = moment[size_t(j * 100 + 17)] = 0;
  factor = factorMoment(moment.data(), 100, 0.01f, 1);
  ASSERT_TRUE(factor.ok());
  EXPECT_EQ(factor->order[0], 17);
  for (int64_t row = 1; row < 100; ++row)
    EXPECT_EQ(factor->lower.strip(0, row)[0], 0.0f);
}

TEST(Factor, dampingGrowsUntilItIsEnough) {
  // Two columns with a correlation that rounding has made larger than one.
  std::vector<float> moment = {1, 1.05f, 1.05f, 1};
  auto factor = factorMoment(moment.data(), 2, 0.01f, 1);
  ASSERT_TRUE(factor.ok());
  EXPECT_FLOAT_EQ(factor->damping, 0.1f);
  EXPECT_LT(distance(*factor, moment, 2), 1e-5);
  auto undamped = factorMoment(moment.data(), 2, 0, 1);
  ASSERT_TRUE(undamped.ok());
  EXPECT_LT(distance(*undamped, moment, 2), 1e-5);
}

TEST(Factor, noInputIsTheIdentity) {
  std::vector<float> zeros(9);
  auto factor = factorMoment(zeros.data(), 3, 0.01f, 1);
  ASSERT_TRUE(factor.ok());
  EXPECT_EQ(factor->pivots, std::vector<float>(3, 1.0f));
  EXPECT_EQ(factor->lower.count, 0);
}

TEST(Factor, whatIsNoMomentIsRefused) {
  std::vector<float> moment = {1, 500, 500, 1};
  EXPECT_EQ(factorMoment(moment.data(), 2, 0.01f, 1).status().message(),
            "the second moment is not positive definite, even with 100 times "
            "its mean diagonal added; expected a mean of products x · xᵀ");
}

TEST(Factor, theSameForAnyNumberOfThreads) {
  std::vector<float> moment = reference::randomMoment(200, 300, 3);
  auto one = factorMoment(moment.data(), 200, 0.01f, 1);
  for (unsigned threads : {2u, 7u}) {
    auto other = factorMoment(moment.data(), 200, 0.01f, threads);
    EXPECT_EQ(one->pivots, other->pivots);
    EXPECT_EQ(one->lower.values, other->lower.values);
  }
}

TEST(Factor, diagonals) {
  std::vector<float> squares = {3, 1, 2};
  Factor factor = diagonalFactor(squares.data(), 3);
  EXPECT_EQ(factor.order, (std::vector<int64_t>{1, 2, 0}));
  EXPECT_EQ(factor.pivots, (std::vector<float>{1, 2, 3}));
}
