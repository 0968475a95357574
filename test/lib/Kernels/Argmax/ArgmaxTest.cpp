// The argmax is the host's greedy token: the largest logit, the first of equal
// ones, none where nothing is finite.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
#include "../KernelTest.h"
#include "lib/Kernels/Argmax/ArgmaxGenerator.h"
#include "qopt/Sampling.h"

#include <gtest/gtest.h>

#include <cmath>

using namespace qopt;
using namespace qopt::kernels;
using namespace qopt::kernels::argmax;
using namespace qopt::kernels::test;

static void runCase(const std::vector<std::vector<float>> &rows,
                    const target::Target &target = target::sm90a()) {
  Problem problem{int64_t(rows[0].size())};
  auto schedule = chooseSchedule(problem, target);
  ASSERT_TRUE(schedule.ok()) << schedule.status().message();
  auto kernel = compileClean(problem, chooseSchedule, buildKernel, target);
  ASSERT_TRUE(kernel.ok()) << kernel.status().message();
  SCOPED_TRACE(kernel->symbol);
  std::vector<float> logits;
  for (const std::vector<float> &row : rows)
    logits.insert(logits.end(), row.begin(), row.end());
  int64_t count = int64_t(rows.size());
  std::vector<int32_t> tokens(rows.size()),
      counters(size_t(argmax::counters(*schedule, count)) + 1, 0);
  std::vector<uint8_t> workspace(size_t(workspaceBytes(*schedule, count)) + 8);
  for (uint64_t seed = 1; seed <= 3; ++seed) {
    Launch launch;
    launch.in(logits).out(tokens).out(workspace).inOut(counters);
    Status ran = launch.run(*kernel, launchOf(problem, *schedule), count, seed);
    ASSERT_TRUE(ran.ok()) << ran.message();
    for (size_t row = 0; row < rows.size(); ++row) {
      StatusOr<int32_t> expected = sampleToken(rows[row], {}, {}, 0);
      EXPECT_EQ(tokens[row], expected.ok() ? *expected : -1) << "row " << row;
    }
    for (int32_t counter : counters)
      EXPECT_EQ(counter, 0);
  }
}

using Argmax = test::KernelTest;

TEST_F(Argmax, FindsTheLargest) {
  runCase({normals(1000, 1), normals(1000, 2)});
}

TEST_F(Argmax, TakesEverySize) {
  for (size_t columns : {size_t(1), size_t(3), size_t(255), size_t(4097),
                         size_t(32003), size_t(131072)})
    runCase({normals(columns, unsigned(columns))});
}

TEST_F(Argmax, TakesTheFirstOfEquals) {
  std::vector<float> flat(20000, -2.5f), ties = normals(20000, 3);
  ties[19999] = ties[7001] = ties[7003] = 100;
  std::vector<float> zeros(20000, -0.0f);
  zeros[5] = 0.0f;
  runCase({flat, ties, zeros});
}

TEST_F(Argmax, PassesOverWhatIsNoNumber) {
  std::vector<float> some = normals(5000, 4);
  some[0] = some[4321] = NAN;
  std::vector<float> none(5000, NAN), low(5000, -INFINITY), high = some;
  high[77] = INFINITY;
  std::vector<float> last = low;
  last[4999] = -3;
  runCase({some, none, low, high, last}, target::sm80());
}
