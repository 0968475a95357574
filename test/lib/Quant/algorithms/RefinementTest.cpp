// Refined scales are least squares, refined numbers cannot be improved one by
// one, and nothing gets worse.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
#include "lib/Quant/algorithms/Refinement.h"
#include "test/lib/Quant/algorithms/Reference.h"
#include <gtest/gtest.h>

using namespace qopt;
using namespace qopt::quant;
using reference::Matrix;

namespace {
/// A matrix rounded to nearest, with its moments.
struct Problem {
  int64_t rows, columns;
  std::vector<float> weights, input, output;
  QuantizedMatrix matrix;
  Metric both, inputs;

  Problem(const char *format, int64_t rows, int64_t columns)
      : rows(rows), columns(columns),
        weights(reference::randomWeights(rows * columns, 1)),
        input(reference::randomMoment(columns, 2 * columns, 2)),
        output(reference::randomMoment(rows, 2 * rows, 3)),
        matrix(roundToGrid(
            *coveringGrid(gridShape(*parseFormat(format), rows, columns),
                          view()),
            view())),
        both{input.data(), nullptr, output.data()},
        inputs{input.data(), nullptr, nullptr} {}

  MatrixView view() const { return {weights.data(), rows, columns}; }
  /// In f64, so that it can be differentiated.
  double error(const QuantizedMatrix &of, bool withOutput = true) const {
    std::vector<float> values = reference::valuesOf(of);
    Matrix difference(rows, columns);
    for (size_t i = 0; i < values.size(); ++i)
      difference.values[i] = double(values[i]) - weights[i];
    return reference::error(withOutput ? Matrix(rows, rows, output.data())
                                       : reference::identity(rows),
                            difference, Matrix(columns, columns, input.data()));
  }
};
} // namespace

TEST(Refinement, theScaleOfOneGroupIsLeastSquares) {
  Problem problem("int4_g64_sf32", 3, 64);
  QuantizedMatrix matrix = problem.matrix;
  refine(matrix, problem.view(), {}, {Refine::Scales}, 1);
  for (int64_t row = 0; row < 3; ++row) {
    double product = 0, square = 0;
    for (size_t i = size_t(row) * 64; i < size_t(row + 1) * 64; ++i) {
      product += double(matrix.numbers[i]) * problem.weights[i];
      square += double(matrix.numbers[i]) * matrix.numbers[i];
    }
    EXPECT_NEAR(matrix.grid.groups[size_t(row)].scale, product / square, 1e-6);
  }
}

TEST(Refinement, scalesAndZerosEndWhereTheErrorIsFlat) {
  Problem problem("int4_asym_g24_zf_sf32", 70, 90);
  for (int round = 0; round < 40; ++round)
    refine(problem.matrix, problem.view(), problem.both, {Refine::Scales}, 1);
  double error = problem.error(problem.matrix);
  for (size_t i = 0; i < problem.matrix.grid.groups.size(); i += 13) {
    GroupParameters &group = problem.matrix.grid.groups[i];
    for (float *parameter : {&group.scale, &group.zero}) {
      float before = *parameter;
      for (float factor : {0.98f, 1.02f}) {
        *parameter = before * factor;
        EXPECT_GT(problem.error(problem.matrix), error * (1 - 1e-5));
      }
      *parameter = before;
    }
  }
}

TEST(Refinement, nothingGetsWorse) {
  for (const char *format : {"int4_g32", "int4_asym_g32", "int4_asym_g32_zf",
                             "int8", "int4_asym", "fp8_e4m3", "int8_tensor"}) {
    Problem problem(format, 70, 100);
    double before = problem.error(problem.matrix);
    double first = before;
    for (int round = 0; round < 2; ++round) {
      refine(problem.matrix, problem.view(), problem.both, {Refine::Scales}, 1);
      double after = problem.error(problem.matrix);
      EXPECT_LE(after, before * (1 + 1e-5)) << format;
      before = after;
      refine(problem.matrix, problem.view(), problem.both, {Refine::Numbers},
             1);
      after = problem.error(problem.matrix);
      EXPECT_LE(after, before * (1 + 1e-5)) << format;
      before = after;
    }
    EXPECT_LT(before, 0.9 * first) << format;
  }
}

/// Moments of which f32 holds no more than the largest part: sums in it see
/// improvements that are none.
TEST(Refinement, whatSeemsBetterIsMeasured) {
  Problem problem("int4_asym_g24_zf_sf32", 40, 90);
  for (int64_t i = 0; i < 90 * 90; ++i)
    problem.input[size_t(i)] = 1e7f + (i % 91 == 0 ? 2.0f : 0.0f);
  auto error = [&] {
    std::vector<float> values(problem.weights.size());
    dequantize(problem.matrix, values.data());
    return weightError(problem.view(), values.data(), problem.inputs, 1);
  };
  double before = error();
  for (int round = 0; round < 20; ++round)
    for (Refine pass : {Refine::Scales, Refine::Numbers}) {
      refine(problem.matrix, problem.view(), problem.inputs, {pass}, 1);
      double after = error();
      EXPECT_LE(after, before) << round;
      before = after;
    }
}

TEST(Refinement, noNumberCanBeImprovedAlone) {
  Problem problem("int4_asym_g32", 20, 70);
  for (int round = 0; round < 60; ++round)
    refine(problem.matrix, problem.view(), problem.both, {Refine::Numbers}, 1);
  double error = problem.error(problem.matrix);
  for (size_t i = 0; i < problem.matrix.numbers.size(); i += 17) {
    float &number = problem.matrix.numbers[i], before = number;
    for (float step : {-1.0f, 1.0f}) {
      number = std::clamp(before + step, 0.0f, 15.0f);
      if (number == before)
        continue;
      EXPECT_GT(problem.error(problem.matrix), error * (1 - 1e-5));
    }
    number = before;
  }
}

TEST(Refinement, rowsAreApartWithoutAnOutputMoment) {
  Problem problem("int4_asym_g32", 70, 100);
  QuantizedMatrix apart = problem.matrix, together = problem.matrix;
  double before = problem.error(apart, false);
  refine(apart, problem.view(), problem.inputs, {Refine::Scales}, 2);
  refine(apart, problem.view(), problem.inputs, {Refine::Numbers}, 2);
  EXPECT_LT(problem.error(apart, false), 0.8 * before);
  std::vector<float> identity(70 * 70);
  for (size_t i = 0; i < 70; ++i)
    identity[i * 71] = 1;
  Metric metric{problem.input.data(), nullptr, identity.data()};
  refine(together, problem.view(), metric, {Refine::Scales}, 1);
  refine(together, problem.view(), metric, {Refine::Numbers}, 1);
  EXPECT_EQ(apart.numbers, together.numbers);
}

TEST(Refinement, parametersStayThoseThatCanBeStored) {
  Problem problem("int4_asym_g32_zf", 40, 64);
  refine(problem.matrix, problem.view(), problem.both, {Refine::Scales}, 1);
  const GridShape &shape = problem.matrix.grid.shape;
  for (const GroupParameters &group : problem.matrix.grid.groups) {
    EXPECT_EQ(group.scale, shape.storableScale(0, group.scale));
    EXPECT_EQ(group.zero, shape.storableZero(group.zero));
  }
}

TEST(Refinement, theSameForAnyNumberOfThreads) {
  auto numbers = [](unsigned threads) {
    Problem problem("int4_asym_g32", 150, 200);
    refine(problem.matrix, problem.view(), problem.both, {Refine::Scales},
           threads);
    refine(problem.matrix, problem.view(), problem.both, {Refine::Numbers},
           threads);
    return reference::valuesOf(problem.matrix);
  };
  auto one = numbers(1);
  EXPECT_EQ(numbers(2), one);
  EXPECT_EQ(numbers(7), one);
}
