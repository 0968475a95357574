// Codes and scales on the emulator are those of the formula in f32, to the bit.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
#include "lib/Kernels/Quantize/Quantize.h"
#include "../KernelTest.h"
#include "lib/Kernels/Quantize/QuantizeGenerator.h"
#include "runtime/host/QuantizedActivations.h"

#include <gtest/gtest.h>

#include <cmath>
#include <limits>

using namespace qopt;
using namespace qopt::kernels;
using namespace qopt::kernels::quantize;
using namespace qopt::kernels::test;
using quant::ElementType;

namespace {
struct Quantized {
  std::vector<int8_t> codes;
  std::vector<float> scales;
};
} // namespace

static Quantized expectedOf(const Problem &problem,
                            const std::vector<float> &x) {
  Quantized expected;
  auto columns = size_t(problem.columns);
  for (size_t row = 0; row < x.size() / columns; ++row) {
    float largest = 0;
    for (size_t i = 0; i < columns; ++i)
      largest = std::max(largest, std::fabs(x[row * columns + i]));
    float scale = largest / 127, inverse = scale > 0 ? 1 / scale : 0;
    expected.scales.push_back(scale);
    for (size_t i = 0; i < columns; ++i)
      expected.codes.push_back(
          int8_t(std::nearbyint(x[row * columns + i] * inverse)));
  }
  return expected;
}

static void run(const Problem &problem, const std::vector<float> &x,
                Quantized &result,
                const target::Target &target = target::sm90a()) {
  auto schedule = chooseSchedule(problem, target);
  ASSERT_TRUE(schedule.ok()) << schedule.status().message();
  auto kernel = compileClean(problem, chooseSchedule, buildKernel, target);
  ASSERT_TRUE(kernel.ok()) << kernel.status().message();
  size_t rows = x.size() / size_t(problem.columns);
  std::vector<uint16_t> input = encode(problem.activation, x);
  result.codes.resize(x.size());
  result.scales.resize(rows);
  Launch launch;
  launch.in(input).out(result.codes).out(result.scales).integer(int32_t(rows));
  Status ran = launch.run(*kernel, launchOf(problem, *schedule), int64_t(rows));
  ASSERT_TRUE(ran.ok()) << ran.message();
}

static void check(const Problem &problem, int64_t rows,
                  const target::Target &target = target::sm90a()) {
  std::vector<float> x = rounded(problem.activation,
                                 normals(size_t(rows * problem.columns), 5, 3));
  Quantized expected = expectedOf(problem, x), result;
  run(problem, x, result, target);
  EXPECT_EQ(result.scales, expected.scales);
  EXPECT_EQ(result.codes, expected.codes);
}

using Quantize = test::KernelTest;

TEST_F(Quantize, RowsHaveTheCodesOfTheFormula) {
  check({.columns = 4096}, 3);
  check({.columns = 14336}, 1);
  check({.columns = 512, .activation = ElementType::BF16}, 7);
}

TEST_F(Quantize, RowsWhereNothingDivides) {
  for (int64_t columns : {1, 2, 31, 63, 65, 127, 257, 1023, 2050})
    check({.columns = columns}, 5);
}

/// The host's rows with one scale.
TEST_F(Quantize, RowsHaveTheCodesOfTheHost) {
  constexpr int64_t rows = 50;
  Problem problem{.columns = 264};
  std::vector<float> x = rounded(problem.activation,
                                 normals(size_t(rows * problem.columns), 9, 3));
  Quantized result;
  run(problem, x, result);
  constexpr auto kind = host::ActivationCodes::Int8Rows;
  host::QuantizedLayout layout{problem.columns, kind};
  std::vector<uint8_t> records(size_t(rows * layout.rowBytes()));
  host::ThreadPool alone(1);
  host::quantizeActivations(x.data(), problem.columns, rows, problem.columns,
                            {kind}, records.data(), alone);
  for (int64_t row = 0; row < rows; ++row) {
    const uint8_t *record = records.data() + row * layout.rowBytes();
    EXPECT_EQ(std::memcmp(record, &result.codes[size_t(row * problem.columns)],
                          size_t(problem.columns)),
              0)
        << "row " << row;
    EXPECT_EQ(std::memcmp(record + layout.scaleOffset(),
                          &result.scales[size_t(row)], sizeof(float)),
              0)
        << "row " << row;
  }
}

TEST_F(Quantize, RunsOnSm80) { check({.columns = 264}, 3, target::sm80()); }

TEST_F(Quantize, TiesGoToEven) {
  // The largest is 127, so that values are codes.
  std::vector<float> x = {127, 0.5, 1.5, 2.5, -0.5, -1.5, -2.5, -127};
  Quantized result;
  run({.columns = 8}, x, result);
  EXPECT_EQ(result.scales, std::vector<float>{1});
  EXPECT_EQ(result.codes, (std::vector<int8_t>{127, 0, 2, 2, 0, -2, -2, -127}));
}

/// Without disturbing the rows beside them.
TEST_F(Quantize, ZerosAndWhatIsNoNumber) {
  constexpr float inf = std::numeric_limits<float>::infinity(),
                  nan = std::numeric_limits<float>::quiet_NaN();
  for (int64_t columns : {4, 1024}) {
    std::vector<float> x(size_t(4 * columns), 0);
    for (int64_t i = 0; i < columns; ++i)
      x[size_t(i)] = float(i % 2);
    x[size_t(2 * columns + 1)] = nan;
    x[size_t(2 * columns + 2)] = 1;
    x[size_t(3 * columns + 3)] = -inf;
    Quantized result;
    run({.columns = columns}, x, result);
    EXPECT_EQ(result.scales[0], 1.0f / 127);
    EXPECT_EQ(result.scales[1], 0);
    EXPECT_TRUE(std::isnan(result.scales[2]));
    EXPECT_EQ(result.scales[3], inf);
    for (int64_t i = 0; i < 4 * columns; ++i)
      ASSERT_EQ(result.codes[size_t(i)], i < columns && i % 2 ? 127 : 0);
  }
}

/// 1 / scale of what is left of the smallest halves is still finite.
TEST_F(Quantize, SmallestNumbers) {
  for (ElementType type : {ElementType::F16, ElementType::BF16}) {
    std::vector<float> x = rounded(type, {6e-8f, -3e-8f, 0, 1e-7f});
    Quantized expected = expectedOf({.columns = 4, .activation = type}, x),
              result;
    run({.columns = 4, .activation = type}, x, result);
    EXPECT_EQ(result.scales, expected.scales);
    EXPECT_EQ(result.codes, expected.codes);
  }
}

TEST_F(Quantize, SaysWhatItCannotDo) {
  auto message = [](const Problem &problem) {
    return chooseSchedule(problem, target::sm90a()).status().message();
  };
  EXPECT_EQ(message({.columns = 40000}),
            "rows of 40000 elements do not fit the registers of 1024 threads");
  EXPECT_EQ(message({.columns = 8, .activation = ElementType::F32}),
            "activations are f16 or bf16");
}
