// The table of angles is within 1e-6 of the double cosine and sine, at
// positions up to a million.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
#include "../KernelTest.h"
#include "lib/Kernels/RotaryTable/RotaryTableGenerator.h"
#include "runtime/host/Rotary.h"

#include <gtest/gtest.h>

#include <cmath>

using namespace qopt;
using namespace qopt::kernels;
using namespace qopt::kernels::rotary_table;
using namespace qopt::kernels::test;

static void runCase(const Problem &problem, const target::Target &target) {
  auto schedule = chooseSchedule(problem, target);
  ASSERT_TRUE(schedule.ok()) << schedule.status().message();
  auto kernel = compileClean(problem, chooseSchedule, buildKernel, target);
  ASSERT_TRUE(kernel.ok()) << kernel.status().message();
  std::vector<int32_t> positions = {0, 1, 77, 4095, 131071, 1000000};
  size_t count = size_t(problem.count);
  std::vector<float> frequencies(count), cos(count * positions.size()),
      sin(cos.size());
  for (size_t i = 0; i < count; ++i)
    frequencies[i] =
        float(std::pow(10000.0, -double(i) / double(problem.count)));
  Launch launch;
  launch.in(positions).in(frequencies).out(cos).out(sin);
  Status ran = launch.run(*kernel, launchOf(problem, *schedule),
                          int64_t(positions.size()));
  ASSERT_TRUE(ran.ok()) << ran.message();
  std::vector<float> hostCos(cos.size()), hostSin(cos.size());
  host::ThreadPool pool(1);
  host::rotaryTable({int64_t(positions.size()), problem.count, positions.data(),
                     frequencies.data(), problem.scale, hostCos.data(),
                     hostSin.data()},
                    pool);
  EXPECT_EQ(cos, hostCos);
  EXPECT_EQ(sin, hostSin);
  for (size_t i = 0; i < cos.size(); ++i) {
    double angle =
        double(positions[i / count]) * double(frequencies[i % count]);
    ASSERT_NEAR(cos[i], std::cos(angle) * problem.scale, 1e-6);
    ASSERT_NEAR(sin[i], std::sin(angle) * problem.scale, 1e-6);
  }
}

using RotaryTable = test::KernelTest;

TEST_F(RotaryTable, HasTheAnglesOfAllPositions) {
  for (int64_t count : {1, 16, 33, 64, 130})
    runCase({.count = count}, target::sm90a());
}

TEST_F(RotaryTable, Scales) {
  runCase({.count = 32, .scale = 1.2079441f}, target::sm80());
}
