// The error of a matrix is the trace that it is defined by, whatever is known
// of inputs and outputs, and moments that are none are named.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
#include "lib/Quant/algorithms/Metric.h"
#include "test/lib/Quant/algorithms/Reference.h"
#include <gtest/gtest.h>
#include <limits>

using namespace qopt;
using namespace qopt::quant;
using reference::Matrix;

namespace {
/// 70 × 130: neither is a multiple of a tile, and rows cannot pass for columns.
class MetricTest : public testing::Test {
protected:
  static constexpr int64_t rows = 70, columns = 130;
  std::vector<float> weights = reference::randomWeights(rows * columns, 1),
                     values = reference::randomWeights(rows * columns, 2),
                     input = reference::randomMoment(columns, 200, 3),
                     output = reference::randomMoment(rows, 200, 4);
  MatrixView view{weights.data(), rows, columns};

  double naive(const Matrix &outputMoment, const Matrix &inputMoment) const {
    Matrix difference(rows, columns);
    for (size_t i = 0; i < weights.size(); ++i)
      difference.values[i] = double(weights[i]) - values[i];
    return reference::error(outputMoment, difference, inputMoment);
  }
  std::string messageOf(const Metric &metric) const {
    return checkMetric(metric, view).message();
  }
};
} // namespace

TEST_F(MetricTest, bothMoments) {
  Metric metric{input.data(), nullptr, output.data()};
  double error = weightError(view, values.data(), metric, 1);
  Matrix in(columns, columns, input.data()), out(rows, rows, output.data());
  EXPECT_NEAR(error, naive(out, in), 1e-4 * error);
  double magnitude =
      reference::error(out, Matrix(rows, columns, weights.data()), in);
  EXPECT_NEAR(relativeError(view, values.data(), metric, 1), error / magnitude,
              1e-4 * error / magnitude);
}

TEST_F(MetricTest, whatIsNotKnownIsTheIdentity) {
  Matrix in(columns, columns, input.data()), out(rows, rows, output.data());
  Matrix diagonal(columns, columns);
  std::vector<float> squares;
  for (int64_t j = 0; j < columns; ++j) {
    squares.push_back(input[size_t(j * columns + j)]);
    diagonal(j, j) = squares.back();
  }
  std::vector<float> shares;
  Matrix perRow(rows, rows);
  for (int64_t i = 0; i < rows; ++i)
    perRow(i, i) = shares.emplace_back(float(i % 7) / 8);
  struct Case {
    Metric metric;
    double expected;
  };
  Matrix ones = reference::identity(rows),
         others = reference::identity(columns);
  for (const Case &one :
       {Case{{}, naive(ones, others)},
        Case{{input.data(), nullptr, nullptr}, naive(ones, in)},
        Case{{nullptr, squares.data(), nullptr}, naive(ones, diagonal)},
        Case{{nullptr, nullptr, output.data()}, naive(out, others)},
        Case{{.inputMoment = input.data(), .outputDiagonal = shares.data()},
             naive(perRow, in)}})
    EXPECT_NEAR(weightError(view, values.data(), one.metric, 2), one.expected,
                1e-4 * one.expected);
}

TEST_F(MetricTest, nothingIsNoError) {
  EXPECT_EQ(weightError(view, weights.data(), {}, 1), 0);
  std::vector<float> zeros(weights.size());
  MatrixView none{zeros.data(), rows, columns};
  EXPECT_EQ(relativeError(none, zeros.data(), {}, 1), 0);
  EXPECT_EQ(relativeError(none, weights.data(), {}, 1),
            std::numeric_limits<double>::infinity());
}

TEST_F(MetricTest, dampingIsPartsOfTheMeanDiagonal) {
  DampedMetric damped({input.data(), nullptr, output.data()}, view,
                      {0.5f, 0.25f});
  Matrix in = reference::arranged({columns, columns, input.data()},
                                  reference::inOrder(columns), 0.5);
  Matrix out = reference::arranged({rows, rows, output.data()},
                                   reference::inOrder(rows), 0.25);
  for (size_t i = 0; i < in.values.size(); ++i)
    EXPECT_NEAR(damped.metric().inputMoment[i], in.values[i], 1e-3);
  for (size_t i = 0; i < out.values.size(); ++i)
    EXPECT_NEAR(damped.metric().outputMoment[i], out.values[i], 1e-3);
  std::vector<float> squares(columns, 2.0f);
  DampedMetric diagonal({nullptr, squares.data(), nullptr}, view, {0.5f, 0.5f});
  EXPECT_EQ(diagonal.metric().inputDiagonal[3], 3.0f);
  EXPECT_FALSE(diagonal.metric().inputMoment || diagonal.metric().outputMoment);
  std::vector<float> shares(rows, 4.0f);
  DampedMetric perRow({.outputDiagonal = shares.data()}, view, {0.5f, 0.5f});
  EXPECT_EQ(perRow.metric().outputDiagonal[3], 6.0f);
}

TEST_F(MetricTest, blendsHaveTheNormOfTheFirst) {
  std::vector<float> weighted = {3, 0, 0, 4}, plain = {60, 80, 0, 0};
  EXPECT_EQ(blendMoments(weighted.data(), plain.data(), 2, 1), weighted);
  EXPECT_EQ(blendMoments(weighted.data(), plain.data(), 2, 0),
            (std::vector<float>{3, 4, 0, 0}));
  EXPECT_EQ(blendMoments(weighted.data(), plain.data(), 2, 0.25f),
            (std::vector<float>{3, 3, 0, 1}));
  std::vector<float> nothing(4);
  EXPECT_EQ(blendMoments(weighted.data(), nothing.data(), 2, 0.5f),
            (std::vector<float>{1.5f, 0, 0, 2}));
}

TEST_F(MetricTest, theSameForAnyNumberOfThreads) {
  Metric metric{input.data(), nullptr, output.data()};
  double one = weightError(view, values.data(), metric, 1);
  for (unsigned threads : {2u, 7u})
    EXPECT_EQ(weightError(view, values.data(), metric, threads), one);
}

TEST_F(MetricTest, momentsThatAreNoneAreNamed) {
  EXPECT_EQ(messageOf({input.data(), nullptr, output.data()}), "");
  std::vector<float> damaged = input;
  damaged[3 * columns + 5] = std::numeric_limits<float>::quiet_NaN();
  EXPECT_EQ(messageOf({damaged.data(), nullptr, nullptr}),
            "second moment of the inputs: NaN at row 3, column 5; expected "
            "finite values");
  damaged[3 * columns + 5] = input[3 * columns + 5] + 1;
  EXPECT_NE(messageOf({damaged.data(), nullptr, nullptr})
                .find("second moment of the inputs: no symmetric matrix"),
            std::string::npos);
  damaged = output;
  damaged[2 * rows + 2] = -1;
  EXPECT_EQ(messageOf({nullptr, nullptr, damaged.data()}),
            "second moment of the outputs: -1.000000 at row 2, column 2; "
            "expected the mean of a square");
  std::vector<float> squares(columns, 1.0f);
  squares[7] = std::numeric_limits<float>::infinity();
  EXPECT_EQ(messageOf({nullptr, squares.data(), nullptr}),
            "mean square of the inputs: infinity at row 0, column 7; expected "
            "finite values");
  std::vector<float> shares(rows, 1.0f);
  shares[6] = -2;
  EXPECT_EQ(messageOf({.outputDiagonal = shares.data()}),
            "mean square of the outputs: -2.000000 at row 0, column 6; "
            "expected the mean of a square");
  weights[columns] = -std::numeric_limits<float>::infinity();
  EXPECT_EQ(messageOf({}),
            "infinity at row 1, column 0; expected finite values");
}
