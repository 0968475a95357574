// Shows that a second moment is the sum of outer products, for every size of
// vector around the tiles, and the same bits for every number of threads.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
#include "lib/Calibrate/SecondMoment.h"
#include <cmath>
#include <gtest/gtest.h>
#include <random>

using namespace qopt;
using calibrate::SecondMoment;

namespace {

std::vector<float> randomValues(int64_t count, unsigned seed) {
  std::mt19937 engine(seed);
  std::normal_distribution<float> normal;
  std::vector<float> values(static_cast<size_t>(count));
  for (float &value : values)
    value = normal(engine);
  return values;
}

/// Σₜ wₜ x[t, i] x[t, j] in f64.
double naive(const std::vector<float> &x, const std::vector<float> &weights,
             int64_t size, int64_t i, int64_t j) {
  double sum = 0;
  for (size_t t = 0; t < weights.size(); ++t)
    sum += double(weights[t]) * double(x[t * size_t(size) + size_t(i)]) *
           double(x[t * size_t(size) + size_t(j)]);
  return sum;
}

void expectSums(int64_t size, int64_t tokens) {
  constexpr unsigned threads = 2;
  std::vector<float> x = randomValues(size * tokens, 1),
                     weights = randomValues(tokens, 2);
  SecondMoment moment(size);
  int64_t first = tokens / 3;
  moment.add(x.data(), first, weights.data(), threads);
  moment.add(x.data() + first * size, tokens - first, weights.data() + first,
             threads);
  EXPECT_EQ(moment.tokens(), tokens);
  std::vector<float> sums = moment.matrix();
  for (int64_t i = 0; i < size; ++i)
    for (int64_t j = 0; j < size; ++j)
      ASSERT_NEAR(sums[size_t(i * size + j)], naive(x, weights, size, i, j),
                  1e-5 * double(tokens) + 1e-5)
          << "size " << size << ", element " << i << ", " << j;
}

TEST(SecondMoment, IsTheSumOfOuterProducts) {
  for (int64_t size : {1, 7, 63, 64, 65, 130})
    expectSums(size, 150);
  expectSums(40, 1);
}

TEST(SecondMoment, IsTheSameForEveryNumberOfThreads) {
  constexpr int64_t size = 200, tokens = 300;
  std::vector<float> x = randomValues(size * tokens, 3);
  std::vector<float> first;
  for (unsigned threads : {1, 2, 7}) {
    SecondMoment moment(size);
    moment.add(x.data(), tokens, nullptr, threads);
    std::vector<float> values = moment.matrix();
    if (first.empty())
      first = values;
    EXPECT_EQ(values, first) << threads << " threads";
  }
}

TEST(SecondMoment, AddsAnother) {
  constexpr int64_t size = 24, tokens = 64;
  constexpr unsigned threads = 1;
  std::vector<float> x = randomValues(size * tokens, 4);
  SecondMoment both(size), a(size), b(size);
  both.add(x.data(), tokens, nullptr, threads);
  a.add(x.data(), 10, nullptr, threads);
  b.add(x.data() + 10 * size, tokens - 10, nullptr, threads);
  a.add(b);
  EXPECT_EQ(a.tokens(), tokens);
  std::vector<float> sum = a.matrix(), expected = both.matrix();
  for (size_t i = 0; i < sum.size(); ++i)
    EXPECT_NEAR(sum[i], expected[i], 1e-4);
}

} // namespace
