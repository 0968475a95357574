// The divergence that gradients say of an error is half the mean square of its
// product with the gradient of the weight, whichever way the weight is used.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
#include "lib/Calibrate/ErrorProbe.h"
#include <gtest/gtest.h>

using namespace qopt::calibrate;

namespace {

/// Small whole numbers: sums of f32 are exact.
std::vector<float> numbers(int64_t count, int step) {
  std::vector<float> values;
  for (int64_t i = 0; i < count; ++i)
    values.push_back(float((i * step + i / 7) % 9 - 4));
  return values;
}

/// 70 × 130: neither is a multiple of a tile.
constexpr int64_t rows = 70, columns = 130, tokens = 5;

double product(const std::vector<float> &error, const std::vector<float> &x,
               const std::vector<float> &g) {
  double sum = 0;
  for (int64_t t = 0; t < tokens; ++t)
    for (int64_t i = 0; i < rows; ++i)
      for (int64_t j = 0; j < columns; ++j)
        sum += double(g[size_t(t * rows + i)]) *
               error[size_t(i * columns + j)] * x[size_t(t * columns + j)];
  return sum;
}

TEST(ErrorProbe, IsHalfTheMeanSquareOfSequences) {
  std::vector<float> errors[] = {numbers(rows * columns, 5),
                                 numbers(rows * columns, 11)};
  ErrorProbe probe;
  for (const auto &error : errors)
    probe.addError(error.data(), rows, columns);
  double squares[2] = {};
  for (int sequence : {3, 9}) {
    auto x = numbers(tokens * columns, 2 + sequence),
         g = numbers(tokens * rows, 4 + sequence);
    probe.addProduct(sequence, x.data(), g.data(), tokens, 2);
    for (int e = 0; e < 2; ++e) {
      double dot = product(errors[e], x, g);
      squares[e] += dot * dot;
    }
  }
  std::vector<double> found = probe.divergences(tokens);
  ASSERT_EQ(found.size(), 2u);
  for (int e = 0; e < 2; ++e) {
    EXPECT_GT(squares[e], 0);
    EXPECT_NEAR(found[size_t(e)], squares[e] / 2 / 2 / tokens,
                1e-9 * squares[e]);
  }
}

/// A table that a head reads, too: what both do to a sequence is one sum.
TEST(ErrorProbe, AddsTheUsesOfOneWeight) {
  auto error = numbers(rows * columns, 5);
  auto x = numbers(tokens * columns, 2), g = numbers(tokens * rows, 4),
       ofRows = numbers(tokens * columns, 3);
  const int32_t ids[tokens] = {0, 69, 64, 63, 69};
  ErrorProbe probe;
  probe.addError(error.data(), rows, columns);
  probe.addProduct(1, x.data(), g.data(), tokens, 1);
  probe.addLookup(1, ids, ofRows.data(), tokens);
  double sum = product(error, x, g);
  for (int64_t t = 0; t < tokens; ++t)
    for (int64_t j = 0; j < columns; ++j)
      sum += double(ofRows[size_t(t * columns + j)]) *
             error[size_t(ids[t] * columns + j)];
  EXPECT_NEAR(probe.divergences(tokens)[0], sum * sum / 2 / tokens,
              1e-9 * sum * sum);
}

TEST(ErrorProbe, OfNoSequenceIsZero) {
  auto error = numbers(rows * columns, 5);
  ErrorProbe probe;
  probe.addError(error.data(), rows, columns);
  EXPECT_EQ(probe.divergences(tokens), std::vector<double>{0});
}

} // namespace
