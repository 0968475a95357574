// Every algorithm, in every format that it takes, on inputs of every kind; and
// the choice among their results.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
#include "lib/Quant/algorithms/MatrixAlgorithm.h"
#include "lib/Quant/Storage.h"
#include "test/lib/Quant/algorithms/Reference.h"
#include <gtest/gtest.h>
#include <limits>

using namespace qopt;
using namespace qopt::quant;

static const std::vector<std::string> algorithms = {"rtn", "clip", "hqq",
                                                    "gptq", "kronecker"};
static const std::vector<std::string> formats = {
    "int4_g32",    "int4_asym_g32",    "int4_asym_g32_zf", "int4",
    "int8",        "int8_asym",        "int8_tensor",      "fp8_e4m3",
    "int4_g32_s6", "int3_asym_g16_s6", "int2_asym_g64_s8", "lut4_g32",
    "lut3_g64_s6"};

namespace {
struct Problem {
  int64_t rows, columns;
  std::vector<float> weights, input, output;

  Problem(int64_t rows, int64_t columns)
      : rows(rows), columns(columns),
        weights(reference::randomWeights(rows * columns, 1)),
        input(reference::randomMoment(columns, 2 * columns, 2)),
        output(reference::randomMoment(rows, 2 * rows, 3)) {}
  MatrixView view() const { return {weights.data(), rows, columns}; }
  Metric metric() const { return {input.data(), nullptr, output.data()}; }
  GridShape shape(std::string_view format) const {
    return gridShape(*parseFormat(format), rows, columns);
  }
  StatusOr<QuantizedMatrix> quantize(std::string_view algorithm,
                                     std::string_view format,
                                     Effort effort = {1, 2}) const {
    return quantizeMatrix(*findMatrixAlgorithm(algorithm), shape(format),
                          view(), metric(), effort);
  }
  double error(const QuantizedMatrix &matrix) const {
    return weightError(view(), reference::valuesOf(matrix).data(), metric(), 1);
  }
};
} // namespace

/// hqq takes fractional zeros alone.
static bool takes(std::string_view algorithm, std::string_view format) {
  return algorithm != "hqq" || format.find("_zf") != std::string_view::npos;
}

/// Whether stored bytes read back as what the matrix stands for, all finite.
static void expectStorable(const QuantizedMatrix &matrix) {
  const GridShape &shape = matrix.grid.shape;
  const Format &format = shape.format;
  std::vector<uint8_t> codes(
      size_t(codeBytes(format, shape.rows, shape.columns))),
      scales(size_t(scaleBytes(format, shape.rows, shape.columns))),
      zeros(size_t(zeroBytes(format, shape.rows, shape.columns)));
  store(matrix, {codes.data(), scales.data(), zeros.data()});
  std::vector<float> read(matrix.numbers.size());
  dequantizeRows(format, {codes.data(), scales.data(), zeros.data()},
                 shape.rows, shape.columns, read.data());
  std::vector<float> values = reference::valuesOf(matrix);
  for (size_t i = 0; i < read.size(); ++i) {
    ASSERT_TRUE(std::isfinite(values[i]));
    ASSERT_EQ(read[i], values[i]);
  }
}

TEST(MatrixAlgorithm, namesAreFound) {
  std::string names;
  for (const std::string &name : algorithms) {
    ASSERT_TRUE(findMatrixAlgorithm(name));
    EXPECT_EQ(findMatrixAlgorithm(name)->name, name);
    names += (names.empty() ? "" : ", ") + name;
  }
  EXPECT_EQ(matrixAlgorithmNames(), names);
  EXPECT_FALSE(findMatrixAlgorithm("round"));
}

TEST(MatrixAlgorithm, everyFormat) {
  Problem problem(70, 100);
  for (const std::string &format : formats) {
    double nearest = problem.error(*problem.quantize("rtn", format));
    double last = nearest;
    for (const char *algorithm : {"gptq", "kronecker"}) {
      auto matrix = problem.quantize(algorithm, format);
      ASSERT_TRUE(matrix.ok()) << algorithm << format;
      expectStorable(*matrix);
      double error = problem.error(*matrix);
      EXPECT_LT(error, 0.97 * last) << algorithm << " " << format;
      last = error;
    }
  }
}

// Of the metric that they descend in, which is damped more than the rounding's.
TEST(MatrixAlgorithm, moreRefinementsLeaveLess) {
  Problem problem(70, 100);
  DampedMetric damped(problem.metric(), problem.view(), {0.05f, 0.3f});
  for (const char *format : {"int2_g32", "int4_asym_g32_zf", "lut3_g64_s6"}) {
    auto errorOf = [&](int refinements) {
      auto matrix = problem.quantize("kronecker", format, {1, refinements});
      return weightError(problem.view(), reference::valuesOf(*matrix).data(),
                         damped.metric(), 1);
    };
    double two = errorOf(2);
    EXPECT_LT(two, errorOf(0)) << format;
    EXPECT_LT(errorOf(6), two) << format;
  }
}

TEST(MatrixAlgorithm, hostileInputs) {
  Problem problem(20, 75);
  for (int64_t j = 0; j < 75; ++j) { // a dead column, dead rows, tiny values
    problem.weights[size_t(75 + j)] = 0;
    problem.weights[size_t(150 + j)] = 1e-42f;
    problem.weights[size_t(225 + j)] *= 1e-6f;
    problem.input[size_t(30 * 75 + j)] = problem.input[size_t(j * 75 + 30)] = 0;
  }
  for (int64_t i = 0; i < 20; ++i)
    problem.output[size_t(7 * 20 + i)] = problem.output[size_t(i * 20 + 7)] = 0;
  auto all = [&](const char *what) {
    for (const std::string &algorithm : algorithms)
      for (const std::string &format : formats) {
        if (!takes(algorithm, format))
          continue;
        SCOPED_TRACE(algorithm + " " + format + " " + what);
        auto matrix = problem.quantize(algorithm, format);
        ASSERT_TRUE(matrix.ok()) << matrix.status().message();
        expectStorable(*matrix);
      }
  };
  all("dead rows and columns");
  problem.input = reference::randomMoment(75, 3, 5);
  problem.output = reference::randomMoment(20, 1, 6);
  all("singular moments");
  for (float &value : problem.input)
    value *= 1e-30f;
  for (float &value : problem.output)
    value *= 1e20f;
  all("moments of any size");
  std::fill(problem.input.begin(), problem.input.end(), 0.0f);
  all("no input");
  std::fill(problem.weights.begin(), problem.weights.end(), 0.0f);
  all("no weights");
}

TEST(MatrixAlgorithm, whatIsNotFiniteIsNamed) {
  Problem problem(8, 40);
  problem.weights[85] = std::numeric_limits<float>::quiet_NaN();
  for (const std::string &algorithm : algorithms)
    EXPECT_EQ(
        problem.quantize(algorithm, "int4_asym_g32_zf").status().message(),
        "NaN at row 2, column 5; expected finite values");
  problem.weights[85] = 1e7f;
  for (const std::string &algorithm : algorithms)
    EXPECT_EQ(problem.quantize(algorithm, "int4_asym_g32_zf").status().code(),
              StatusCode::Infeasible);
}

TEST(MatrixAlgorithm, theSameForAnyNumberOfThreads) {
  Problem problem(130, 150);
  for (const std::string &algorithm : algorithms) {
    auto one =
        reference::valuesOf(*problem.quantize(algorithm, "int4_asym_g32_zf"));
    for (unsigned threads : {2u, 7u})
      EXPECT_EQ(reference::valuesOf(*problem.quantize(
                    algorithm, "int4_asym_g32_zf", {threads})),
                one)
          << algorithm;
  }
}

TEST(MatrixAlgorithm, theBestOnHeldOutMoments) {
  Problem problem(70, 100), other = problem;
  other.input = reference::randomMoment(100, 150, 9);
  std::vector<Candidate> candidates;
  for (const char *name : {"clip", "kronecker", "gptq"})
    candidates.push_back({name, *problem.quantize(name, "int4_asym_g32")});
  auto choice = chooseCandidate(problem.shape("int4_asym_g32"), problem.view(),
                                candidates, other.metric(), 2);
  ASSERT_TRUE(choice.ok());
  ASSERT_EQ(choice->errors.size(), 4u);
  EXPECT_EQ(choice->errors[0].first, "rtn");
  for (const auto &[name, error] : choice->errors)
    EXPECT_LE(other.error(choice->best.matrix), error) << name;
  for (size_t i = 0; i < 3; ++i) {
    EXPECT_EQ(choice->errors[i + 1].first, candidates[i].name);
    EXPECT_DOUBLE_EQ(choice->errors[i + 1].second,
                     other.error(candidates[i].matrix));
  }
}

TEST(MatrixAlgorithm, neverWorseThanRoundToNearest) {
  Problem problem(20, 64);
  Candidate bad{"bad", *problem.quantize("rtn", "int4_asym_g32")};
  bad.matrix.numbers[0] = 15 - bad.matrix.numbers[0];
  auto choice = chooseCandidate(problem.shape("int4_asym_g32"), problem.view(),
                                {bad}, problem.metric(), 1);
  ASSERT_TRUE(choice.ok());
  EXPECT_EQ(choice->best.name, "rtn");
  EXPECT_EQ(choice->best.matrix.numbers,
            problem.quantize("rtn", "int4_asym_g32")->numbers);
}
