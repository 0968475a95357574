// A norm on the emulator is the double norm of the same halves, to the rounding
// of its result; the host's norm in the same order of sums has its bits.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
#include "runtime/host/Norm.h"
#include "../KernelTest.h"
#include "lib/Kernels/Norm/NormGenerator.h"
#include "lib/Kernels/Norm/NormOrder.h"

#include <gtest/gtest.h>

#include <cmath>

using namespace qopt;
using namespace qopt::kernels;
using namespace qopt::kernels::norm;
using namespace qopt::kernels::test;
using quant::ElementType;

namespace {
struct Arrays {
  std::vector<float> input, residual, scale, bias, added;
};

/// The row's results, and the sum where there is a residual.
struct Expected {
  std::vector<double> y;
  std::vector<float> sum;
};
} // namespace

static Expected expectedOf(const Problem &problem, const Arrays &a,
                           int64_t rows) {
  int64_t columns = problem.columns;
  Expected expected;
  expected.sum = a.input;
  if (problem.residual) {
    for (size_t i = 0; i < a.input.size(); ++i)
      expected.sum[i] += a.residual[i];
    expected.sum = rounded(problem.activation, expected.sum);
  }
  for (int64_t row = 0; row < rows; ++row) {
    const float *x = expected.sum.data() + row * columns;
    double mean = 0, square = 0;
    for (int64_t i = 0; problem.kind == Kind::Layer && i < columns; ++i)
      mean += double(x[i]) / double(columns);
    for (int64_t i = 0; i < columns; ++i)
      square += (x[i] - mean) * (x[i] - mean) / double(columns);
    int64_t own = row % problem.scales * columns;
    for (int64_t i = 0; i < columns; ++i)
      expected.y.push_back((x[i] - mean) /
                               std::sqrt(square + double(problem.epsilon)) *
                               a.scale[size_t(own + i)] +
                           (problem.bias ? a.bias[size_t(own + i)] : 0));
  }
  return expected;
}

static std::vector<uint8_t> bytesOf(ElementType type,
                                    const std::vector<float> &values) {
  std::vector<uint8_t> bytes(values.size() *
                             (type == ElementType::F32 ? 4 : 2));
  if (type == ElementType::F32)
    std::memcpy(bytes.data(), values.data(), bytes.size());
  else
    std::memcpy(bytes.data(), encode(type, values).data(), bytes.size());
  return bytes;
}

static void check(const Problem &problem, const std::vector<int8_t> &codes,
                  const std::vector<float> &scales, const Expected &expected) {
  for (size_t i = 0; i < codes.size(); ++i) {
    size_t row = i / size_t(problem.columns);
    double largest = 0;
    for (int64_t c = 0; c < problem.columns; ++c)
      largest = std::max(
          largest,
          std::abs(expected.y[row * size_t(problem.columns) + size_t(c)]));
    ASSERT_NEAR(scales[row], largest / 127, largest * 1e-7);
    ASSERT_NEAR(codes[i] * double(scales[row]), expected.y[i],
                scales[row] * 0.5001);
  }
}

/// Rows side by side by heads, and 7 between what belongs to two tokens.
static std::vector<uint16_t> spread(const Problem &problem,
                                    const std::vector<uint16_t> &rows) {
  if (!problem.stride)
    return rows;
  size_t together = size_t(problem.heads * problem.columns);
  std::vector<uint16_t> result(rows.size() / together * size_t(problem.stride),
                               0x4700);
  for (size_t i = 0; i < rows.size(); ++i)
    result[i / together * size_t(problem.stride) + i % together] = rows[i];
  return result;
}

/// The results of the host's norm of `x` in an order of sums, rounded.
static std::vector<float> ofHost(const Problem &problem, const Arrays &a,
                                 const std::vector<float> &x,
                                 host::NormSumOrder order) {
  std::vector<float> y(x.size());
  host::NormArguments norm;
  norm.columns = problem.columns;
  norm.rows = int64_t(x.size()) / norm.columns;
  norm.epsilon = problem.epsilon;
  norm.input = x.data();
  norm.heads = problem.scales;
  norm.scale = a.scale.data();
  norm.bias = problem.bias ? a.bias.data() : nullptr;
  norm.output = y.data();
  norm.order = &order;
  host::ThreadPool pool(1);
  (problem.kind == Kind::Layer ? host::layerNorm : host::rmsNorm)(norm, pool);
  y = rounded(problem.activation, y);
  for (size_t i = 0; problem.added && i < y.size(); ++i)
    y[i] = y[i] + a.added[i];
  return rounded(problem.activation, y);
}

static void runCase(Problem problem, int64_t rows,
                    const target::Target &target = target::sm90a()) {
  auto schedule = chooseSchedule(problem, target);
  ASSERT_TRUE(schedule.ok()) << schedule.status().message();
  auto kernel = compileClean(problem, chooseSchedule, buildKernel, target);
  ASSERT_TRUE(kernel.ok()) << kernel.status().message();

  size_t count = size_t(rows * problem.columns),
         vectors = size_t(problem.scales * problem.columns);
  ElementType type = problem.activation;
  Arrays a{rounded(type, normals(count, 1, 2)),
           rounded(type, normals(count, 2, 2)),
           rounded(problem.scale, normals(vectors, 3)),
           rounded(problem.scale, normals(vectors, 4)),
           rounded(type, normals(count, 5, 2))};
  Expected expected = expectedOf(problem, a, rows);
  std::vector<uint16_t> input = spread(problem, encode(type, a.input)),
                        residual = encode(type, a.residual), y(count);
  std::vector<int8_t> codes(count);
  std::vector<float> scales(static_cast<size_t>(rows));
  Launch launch;
  launch.in(input);
  if (problem.residual)
    launch.inOut(residual).same(1); // the sum takes the residual's place
  std::vector<uint8_t> scale = bytesOf(problem.scale, a.scale),
                       bias = bytesOf(problem.scale, a.bias);
  launch.in(scale);
  if (problem.bias)
    launch.in(bias);
  std::vector<uint16_t> added = encode(type, a.added);
  if (problem.added)
    launch.in(added);
  if (problem.result == Result::Int8)
    launch.out(codes).out(scales);
  else
    launch.out(y);
  launch.integer(int32_t(rows));
  Status ran = launch.run(*kernel, launchOf(problem, *schedule), rows);
  ASSERT_TRUE(ran.ok()) << ran.message();

  if (problem.residual)
    EXPECT_EQ(residual, encode(type, expected.sum));
  if (problem.result == Result::Int8)
    return check(problem, codes, scales, expected);
  std::vector<float> result = decode(type, y);
  EXPECT_EQ(result, ofHost(problem, a, expected.sum, sumOrderOf(*schedule)));
  // The norm's own rounding lies between.
  for (size_t i = 0; problem.added && i < count; ++i)
    ASSERT_NEAR(result[i], expected.y[i] + a.added[i],
                0.5 * ulp(type, expected.y[i] + a.added[i]) +
                    0.5 * ulp(type, expected.y[i]) +
                    3e-6 * (std::abs(expected.y[i]) + 1))
        << "element " << i;
  for (size_t i = 0; !problem.added && i < count; ++i)
    ASSERT_NEAR(result[i], expected.y[i],
                0.5 * ulp(type, expected.y[i]) +
                    3e-6 * (std::abs(expected.y[i]) + 1))
        << "element " << i;
}

using Norm = test::KernelTest;

TEST_F(Norm, NormalisesRowsOfOneBlock) { runCase({.columns = 1024}, 3); }

TEST_F(Norm, NormalisesShortRowsByWarps) {
  for (int64_t columns : {1, 2, 31, 63, 64, 66, 264, 512})
    runCase({.columns = columns}, 5);
}

TEST_F(Norm, NormalisesHeadsOfAMergedProjection) {
  runCase({.columns = 64, .heads = 3, .stride = 320}, 12);
  runCase({.columns = 1024, .heads = 2, .stride = 2056}, 4);
}

TEST_F(Norm, HeadsHaveScalesOfTheirOwn) {
  runCase({.kind = Kind::Layer,
           .columns = 64,
           .scale = ElementType::F32,
           .heads = 3,
           .stride = 320,
           .scales = 3},
          12);
  runCase({.kind = Kind::Layer, .columns = 17, .bias = true, .scales = 4}, 8);
  runCase({.columns = 1024, .result = Result::Int8, .scales = 2}, 4);
  // More than registers hold: read where they are needed.
  runCase({.columns = 14336, .scale = ElementType::F32, .scales = 2}, 4);
}

TEST_F(Norm, RefusesHeadsThatDoNotFitTheirRow) {
  EXPECT_FALSE(isValid(Problem{.columns = 64, .heads = 3, .stride = 128}).ok());
  Problem problem{.columns = 64, .heads = 1, .stride = 67};
  EXPECT_FALSE(chooseSchedule(problem, target::sm90a()).ok());
}

TEST_F(Norm, NormalisesWhereNothingDivides) {
  for (int64_t columns : {67, 257, 1023, 2050})
    runCase({.kind = Kind::Layer, .columns = columns, .bias = true}, 2);
}

TEST_F(Norm, HoldsTheLongestRows) {
  runCase({.columns = 14336}, 1);
  runCase({.columns = 32760, .result = Result::Int8}, 1);
}

TEST_F(Norm, AddsTheResidualFirst) {
  runCase({.columns = 320, .residual = true}, 5);
  runCase({.kind = Kind::Layer,
           .columns = 4096,
           .activation = ElementType::BF16,
           .scale = ElementType::F32,
           .residual = true},
          2);
}

TEST_F(Norm, AddsATensorBehind) {
  runCase({.columns = 2304, .scale = ElementType::F32, .added = true}, 3);
  runCase({.kind = Kind::Layer,
           .columns = 67,
           .activation = ElementType::BF16,
           .bias = true,
           .added = true},
          5, target::sm80());
}

TEST_F(Norm, QuantizesRows) {
  runCase({.columns = 4096, .result = Result::Int8}, 2);
  runCase({.columns = 65, .residual = true, .result = Result::Int8}, 2);
  runCase({.kind = Kind::Layer,
           .columns = 130,
           .activation = ElementType::BF16,
           .scale = ElementType::BF16,
           .bias = true,
           .result = Result::Int8},
          6);
}

TEST_F(Norm, RunsOnSm80) {
  runCase({.columns = 4096, .residual = true}, 1, target::sm80());
}

TEST_F(Norm, SaysWhatItCannotDo) {
  auto message = [](const Problem &problem) {
    return chooseSchedule(problem, target::sm90a()).status().message();
  };
  EXPECT_EQ(message({.columns = 40000}),
            "rows of 40000 elements do not fit the registers of 1024 threads");
  EXPECT_EQ(message({.columns = 8, .bias = true}), "an rms_norm has no bias");
  EXPECT_EQ(message({.columns = 8, .added = true, .result = Result::Int8}),
            "a sum behind a norm is not made codes");
  EXPECT_EQ(message({.columns = 8, .activation = ElementType::F32}),
            "activations are f16 or bf16");
}
