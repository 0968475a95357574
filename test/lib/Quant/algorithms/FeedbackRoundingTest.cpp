// Rounding with feedback equals GPTQ and Kronecker rounding as their papers
// write them, in f64 and without tiles.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
#include "lib/Quant/algorithms/FeedbackRounding.h"
#include "lib/Quant/Storage.h"
#include "test/lib/Quant/algorithms/Reference.h"
#include <gtest/gtest.h>

using namespace qopt;
using namespace qopt::quant;
using reference::Matrix;

namespace {
/// A matrix with its moments, and a grid in some format.
struct Problem {
  int64_t rows, columns;
  std::vector<float> weights, input, output;
  GridShape shape;
  Grid grid;

  Problem(const char *format, int64_t rows, int64_t columns, unsigned seed = 1)
      : rows(rows), columns(columns),
        weights(reference::randomWeights(rows * columns, seed)),
        input(reference::randomMoment(columns, 2 * columns, seed + 1)),
        output(reference::randomMoment(rows, 2 * rows, seed + 2)),
        shape(gridShape(*parseFormat(format), rows, columns)),
        grid(*coveringGrid(shape, view())) {}

  MatrixView view() const { return {weights.data(), rows, columns}; }
  QuantizedMatrix round(const Metric &metric, unsigned threads = 1) const {
    return roundWithFeedback(
        grid, view(), *factorMetric(metric, view(), usualDamping, threads),
        threads);
  }
  /// ŵ of one weight that is rounded at another value.
  double nearest(int64_t i, int64_t j, double value) const {
    const GroupParameters &group =
        grid.groups[size_t(shape.indexOf(i, j / shape.groupColumns()))];
    return group.value(shape.nearest(group, float(value)));
  }
};
} // namespace

/// GPTQ: columns by descending diagonal, the rows of the upper Cholesky factor
/// of the inverse carry each error on to the columns that are left.
static Matrix gptq(const Problem &problem) {
  Matrix moment(problem.columns, problem.columns, problem.input.data());
  std::vector<int64_t> order = reference::ascending(moment);
  std::reverse(order.begin(), order.end());
  Matrix upper = reference::transpose(reference::cholesky(
      reference::inverse(reference::arranged(moment, order, usualDamping))));
  Matrix left(problem.rows, problem.columns, problem.weights.data());
  Matrix result(problem.rows, problem.columns);
  for (int64_t i = 0; i < problem.rows; ++i)
    for (int64_t p = 0; p < problem.columns; ++p) {
      int64_t j = order[size_t(p)];
      result(i, j) = problem.nearest(i, j, left(i, j));
      double error = (left(i, j) - result(i, j)) / upper(p, p);
      for (int64_t next = p; next < problem.columns; ++next)
        left(i, order[size_t(next)]) -= error * upper(p, next);
    }
  return result;
}

/// Kronecker rounding: every entry at what Lᵀ E L leaves of it.
static Matrix kronecker(const Problem &problem) {
  auto factor = [](const Matrix &moment, const std::vector<int64_t> &order) {
    Matrix c =
        reference::cholesky(reference::arranged(moment, order, usualDamping));
    for (int64_t j = 0; j < c.columns; ++j)
      for (int64_t i = c.rows - 1; i >= j; --i)
        c(i, j) /= c(j, j);
    return c;
  };
  Matrix in(problem.columns, problem.columns, problem.input.data());
  Matrix out(problem.rows, problem.rows, problem.output.data());
  auto columns = reference::ascending(in), rows = reference::ascending(out);
  Matrix lowerIn = factor(in, columns), lowerOut = factor(out, rows);
  Matrix error(problem.rows, problem.columns), result = error;
  for (int64_t j = problem.columns - 1; j >= 0; --j)
    for (int64_t i = problem.rows - 1; i >= 0; --i) {
      double feedback = 0;
      for (int64_t k = i; k < problem.rows; ++k)
        for (int64_t l = j; l < problem.columns; ++l)
          feedback += lowerOut(k, i) * error(k, l) * lowerIn(l, j);
      int64_t row = rows[size_t(i)], column = columns[size_t(j)];
      double weight = problem.weights[size_t(row * problem.columns + column)];
      result(row, column) = problem.nearest(row, column, weight - feedback);
      error(i, j) = result(row, column) - weight;
    }
  return result;
}

/// Entries that differ, in parts of all. A value beside a tie may fall to the
/// other side in f32, and what follows it in the row then differs, too.
static double differing(const std::vector<float> &values, const Matrix &other) {
  int64_t count = 0;
  for (size_t i = 0; i < values.size(); ++i)
    count += std::fabs(values[i] - other.values[i]) > 1e-5;
  return double(count) / double(values.size());
}

TEST(FeedbackRounding, equalsGptq) {
  for (const char *format :
       {"int4_asym_g32", "int4_g24", "int8", "int4_asym_zf", "fp8_e4m3",
        "int8_tensor", "int4_asym_g16_zf_sf32"}) {
    Problem problem(format, 30, 150);
    auto rounded = problem.round({problem.input.data(), nullptr, nullptr});
    EXPECT_LE(differing(reference::valuesOf(rounded), gptq(problem)), 0.005)
        << format;
  }
}

TEST(FeedbackRounding, equalsKroneckerRounding) {
  for (auto [rows, columns] : {std::pair{20, 30}, {80, 70}, {66, 130}}) {
    Problem problem("int4_asym_g32", rows, columns);
    auto rounded =
        problem.round({problem.input.data(), nullptr, problem.output.data()});
    EXPECT_LE(differing(reference::valuesOf(rounded), kronecker(problem)),
              0.005);
  }
}

TEST(FeedbackRounding, theIdentityIsNoOutputMoment) {
  Problem problem("int4_g32", 100, 90);
  std::vector<float> identity(100 * 100);
  for (size_t i = 0; i < 100; ++i)
    identity[i * 101] = 1;
  EXPECT_EQ(
      problem.round({problem.input.data(), nullptr, identity.data()}).numbers,
      problem.round({problem.input.data(), nullptr, nullptr}).numbers);
}

TEST(FeedbackRounding, withoutMomentsItIsToNearest) {
  Problem problem("int4_asym_g32", 10, 100);
  std::vector<float> squares(100, 2.0f);
  auto expected = roundToGrid(problem.grid, problem.view()).numbers;
  EXPECT_EQ(problem.round({}).numbers, expected);
  EXPECT_EQ(problem.round({nullptr, squares.data(), nullptr}).numbers,
            expected);
}

TEST(FeedbackRounding, lowersTheErrorThatItIsFor) {
  for (const char *format : {"int4_asym_g32", "int4", "int8_tensor"}) {
    Problem problem(format, 100, 140);
    Metric inputs{problem.input.data(), nullptr, nullptr};
    Metric both{problem.input.data(), nullptr, problem.output.data()};
    auto errorOf = [&](const QuantizedMatrix &matrix, const Metric &metric) {
      return weightError(problem.view(), reference::valuesOf(matrix).data(),
                         metric, 1);
    };
    auto nearest = roundToGrid(problem.grid, problem.view());
    EXPECT_LT(errorOf(problem.round(inputs), inputs),
              0.8 * errorOf(nearest, inputs))
        << format;
    EXPECT_LT(errorOf(problem.round(both), both),
              0.9 * errorOf(problem.round(inputs), both))
        << format;
  }
}

TEST(FeedbackRounding, columnsThatNeverFireAreRoundedToNearest) {
  Problem problem("int4_asym_g32", 20, 96);
  for (int64_t dead : {0, 40, 95})
    for (int64_t j = 0; j < 96; ++j)
      problem.input[size_t(dead * 96 + j)] =
          problem.input[size_t(j * 96 + dead)] = 0;
  auto rounded = problem.round({problem.input.data(), nullptr, nullptr});
  auto nearest = roundToGrid(problem.grid, problem.view());
  for (int64_t i = 0; i < 20; ++i)
    for (int64_t dead : {0, 40, 95})
      EXPECT_EQ(rounded.numbers[size_t(i * 96 + dead)],
                nearest.numbers[size_t(i * 96 + dead)]);
}

TEST(FeedbackRounding, roundsToCodeBooks) {
  Problem problem("int4", 20, 80);
  problem.grid.shape.levels = Levels::codeBook({-7, -3, -1, 0, 1, 2.5, 7});
  problem.shape = problem.grid.shape;
  auto rounded = problem.round({problem.input.data(), nullptr, nullptr});
  for (float number : rounded.numbers)
    EXPECT_EQ(problem.shape.levels.nearest(number), number);
  EXPECT_LE(differing(reference::valuesOf(rounded), gptq(problem)), 0.005);
}

TEST(FeedbackRounding, theSameForAnyNumberOfThreads) {
  Problem problem("int4_asym_g32", 200, 300);
  Metric metric{problem.input.data(), nullptr, problem.output.data()};
  auto one = problem.round(metric, 1);
  for (unsigned threads : {2u, 7u})
    EXPECT_EQ(problem.round(metric, threads).numbers, one.numbers);
}
