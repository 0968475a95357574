// An activation on the emulator is the double function of the same halves, to
// the rounding of its result; the host's formula of GPUs has its bits.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
#include "../KernelTest.h"
#include "lib/Kernels/GatedActivation/GatedActivationGenerator.h"
#include "runtime/host/Activation.h"

#include <gtest/gtest.h>

#include <cmath>
#include <limits>

using namespace qopt;
using namespace qopt::kernels;
using namespace qopt::kernels::gated_activation;
using namespace qopt::kernels::test;
using quant::ElementType;

static double apply(Function function, double x) {
  auto sigmoid = [](double x) { return 1 / (1 + std::exp(-x)); };
  switch (function) {
  case Function::Silu:
    return x * sigmoid(x);
  case Function::GeluErf:
    return x / 2 * (1 + std::erf(x / std::sqrt(2)));
  case Function::GeluTanh:
    return x / 2 *
           (1 + std::tanh(std::sqrt(2 / M_PI) * (x + 0.044715 * x * x * x)));
  case Function::GeluQuick:
    return x * sigmoid(1.702 * x);
  case Function::Relu:
    return std::max(x, 0.0);
  case Function::Tanh:
    return std::tanh(x);
  case Function::Sigmoid:
    break;
  }
  return sigmoid(x);
}

static std::vector<double> expectedOf(const Problem &problem,
                                      const std::vector<float> &gate,
                                      const std::vector<float> &up) {
  std::vector<double> expected;
  for (size_t i = 0; i < gate.size(); ++i)
    expected.push_back(apply(problem.function, gate[i]) *
                       (problem.form == Form::Alone ? 1.0 : double(up[i])));
  return expected;
}

/// The results by the host's formula of GPUs, rounded.
static std::vector<float> ofHost(const Problem &problem,
                                 const std::vector<float> &gate,
                                 const std::vector<float> &up) {
  auto kind = host::ActivationKind(problem.function);
  std::vector<float> y;
  for (size_t i = 0; i < gate.size(); ++i) {
    y.push_back(host::gpuActivation(kind, gate[i]));
    if (problem.form != Form::Alone)
      y.back() = y.back() * up[i];
  }
  return rounded(problem.activation, y);
}

static void runCase(Problem problem, int64_t rows,
                    const target::Target &target = target::sm90a()) {
  auto schedule = chooseSchedule(problem, target);
  ASSERT_TRUE(schedule.ok()) << schedule.status().message();
  auto kernel = compileClean(problem, chooseSchedule, buildKernel, target);
  ASSERT_TRUE(kernel.ok()) << kernel.status().message();
  SCOPED_TRACE(kernel->symbol);

  ElementType type = problem.activation;
  size_t columns = size_t(problem.columns), count = size_t(rows) * columns;
  std::vector<float> gate = rounded(type, normals(count, 1, 3)),
                     up = rounded(type, normals(count, 2));
  gate[0] = 30; // where e^−x is far from one
  gate[count - 1] = -30;
  std::vector<float> merged;
  for (size_t row = 0; row < size_t(rows); ++row) {
    merged.insert(merged.end(), gate.begin() + long(row * columns),
                  gate.begin() + long((row + 1) * columns));
    merged.insert(merged.end(), up.begin() + long(row * columns),
                  up.begin() + long((row + 1) * columns));
  }
  bool halves = problem.form == Form::Halves;
  std::vector<uint16_t> first = encode(type, halves ? merged : gate),
                        second = encode(type, up), y(count);
  std::vector<int8_t> codes(count);
  std::vector<float> scales(static_cast<size_t>(rows));
  Launch launch;
  launch.in(first);
  if (problem.form == Form::Two)
    launch.in(second);
  if (problem.result == Result::Int8)
    launch.out(codes).out(scales);
  else
    launch.out(y);
  launch.integer(int32_t(rows));
  Status ran = launch.run(*kernel, launchOf(problem, *schedule), rows);
  ASSERT_TRUE(ran.ok()) << ran.message();

  std::vector<float> result = decode(type, y);
  if (problem.result == Result::Activation)
    EXPECT_EQ(result, ofHost(problem, gate, up));
  std::vector<double> expected = expectedOf(problem, gate, up);
  for (size_t i = 0; i < count; ++i) {
    double error = 4e-6 * std::abs(expected[i]) + 4e-6;
    if (problem.result == Result::Activation) {
      ASSERT_NEAR(result[i], expected[i], 0.5 * ulp(type, expected[i]) + error)
          << gate[i];
      continue;
    }
    double largest = 0;
    for (size_t c = 0; c < columns; ++c)
      largest =
          std::max(largest, std::abs(expected[i / columns * columns + c]));
    float scale = scales[i / columns];
    ASSERT_NEAR(scale, largest / 127, 1e-5 * largest);
    ASSERT_NEAR(codes[i] * scale, expected[i], scale * 0.501 + error);
  }
}

using GatedActivation = test::KernelTest;

TEST_F(GatedActivation, GatesHalves) {
  runCase({.columns = 512}, 3);
  runCase({.columns = 1536, .activation = ElementType::BF16}, 2);
}

TEST_F(GatedActivation, HasEveryFunction) {
  for (Function function :
       {Function::Silu, Function::GeluErf, Function::GeluTanh,
        Function::GeluQuick, Function::Relu, Function::Tanh, Function::Sigmoid})
    runCase({.function = function, .form = Form::Alone, .columns = 1024}, 2);
}

TEST_F(GatedActivation, KeepsWhatIsNotANumber) {
  for (Function function :
       {Function::Silu, Function::GeluErf, Function::GeluTanh,
        Function::GeluQuick, Function::Relu, Function::Tanh,
        Function::Sigmoid}) {
    Problem problem{.function = function, .form = Form::Alone, .columns = 64};
    auto schedule = chooseSchedule(problem, target::sm90a());
    ASSERT_TRUE(schedule.ok()) << schedule.status().message();
    auto kernel =
        compileClean(problem, chooseSchedule, buildKernel, target::sm90a());
    ASSERT_TRUE(kernel.ok()) << kernel.status().message();
    SCOPED_TRACE(kernel->symbol);
    std::vector<float> x(128, 1.0f);
    x[3] = x[100] = std::numeric_limits<float>::quiet_NaN();
    std::vector<uint16_t> in = encode(problem.activation, x), y(x.size());
    Launch launch;
    launch.in(in).out(y).integer(2);
    Status ran = launch.run(*kernel, launchOf(problem, *schedule), 2);
    ASSERT_TRUE(ran.ok()) << ran.message();
    std::vector<float> result = decode(problem.activation, y);
    for (size_t i = 0; i < x.size(); ++i)
      ASSERT_EQ(std::isnan(result[i]), std::isnan(x[i])) << i;
  }
}

TEST_F(GatedActivation, TakesEveryWidth) {
  for (int64_t columns : {1, 2, 31, 33, 132, 258, 1025})
    runCase({.form = Form::Two, .columns = columns}, 2);
}

TEST_F(GatedActivation, QuantizesRows) {
  runCase({.columns = 2048, .result = Result::Int8}, 2);
  runCase({.function = Function::GeluTanh,
           .form = Form::Two,
           .columns = 14336,
           .activation = ElementType::BF16,
           .result = Result::Int8},
          1);
  // Beyond the row the sigmoid of nothing is 1/2.
  runCase({.function = Function::Sigmoid,
           .form = Form::Alone,
           .columns = 70,
           .result = Result::Int8},
          3);
}

TEST_F(GatedActivation, RunsOnSm80) {
  runCase({.columns = 256, .activation = ElementType::BF16}, 2, target::sm80());
}
