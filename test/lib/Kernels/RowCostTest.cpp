// The bytes that each row family is charged for are those that its kernel must
// move, counted by hand, and every term of a cost names its source.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
#include "lib/Kernels/Argmax/Argmax.h"
#include "lib/Kernels/GatedActivation/GatedActivation.h"
#include "lib/Kernels/GatherRows/GatherRows.h"
#include "lib/Kernels/Norm/Norm.h"
#include "lib/Kernels/RotaryAppend/RotaryAppend.h"
#include "lib/Kernels/RotaryTable/RotaryTable.h"
#include "lib/Kernels/Sampling/Sampling.h"

#include <gtest/gtest.h>

using namespace qopt;
using namespace qopt::kernels;
using quant::ElementType;

template <typename Problem, typename Schedule>
static StreamTraffic
trafficOf(const Problem &problem,
          StatusOr<Schedule> (*choose)(const Problem &, const target::Target &),
          StreamCost (*cost)(const Problem &, const Schedule &, int64_t,
                             const target::Target &),
          int64_t rows) {
  const target::Target &target = target::sm90a();
  auto schedule = choose(problem, target);
  EXPECT_TRUE(schedule.ok()) << schedule.status().message();
  StreamCost result = cost(problem, *schedule, rows, target);
  double sum = 0;
  for (const CostTerm &term : result.terms) {
    sum += term.seconds;
    EXPECT_FALSE(term.why.empty());
  }
  EXPECT_EQ(result.seconds, sum);
  return result.traffic;
}

TEST(RowCost, CountsNorms) {
  norm::Problem problem{.columns = 4096, .residual = true};
  StreamTraffic traffic =
      trafficOf(problem, norm::chooseSchedule, norm::costOf, 3);
  EXPECT_EQ(traffic.read, 3 * 2 * 8192 + 8192);
  EXPECT_EQ(traffic.written, 3 * 2 * 8192);
  EXPECT_EQ(traffic.blocks, 3);
  problem = {.columns = 4096, .added = true};
  traffic = trafficOf(problem, norm::chooseSchedule, norm::costOf, 3);
  EXPECT_EQ(traffic.read, 3 * 2 * 8192 + 8192);
  EXPECT_EQ(traffic.written, 3 * 8192);
  problem = {.columns = 64, .result = norm::Result::Int8};
  traffic = trafficOf(problem, norm::chooseSchedule, norm::costOf, 5);
  EXPECT_EQ(traffic.written, 5 * (64 + 4));
  EXPECT_EQ(traffic.blocks, 2); // four rows a block
}

TEST(RowCost, CountsActivations) {
  namespace family = gated_activation;
  StreamTraffic traffic = trafficOf(family::Problem{.columns = 1024},
                                    family::chooseSchedule, family::costOf, 2);
  EXPECT_EQ(traffic.read, 2 * 4096);
  EXPECT_EQ(traffic.written, 2 * 2048);
}

TEST(RowCost, CountsGatheredRows) {
  namespace family = gather_rows;
  family::Problem problem{family::Table::Weight,
                          *quant::parseFormat("int4_asym_g32"), 32000, 128,
                          ElementType::F16};
  StreamTraffic traffic =
      trafficOf(problem, family::chooseSchedule, family::costOf, 10);
  EXPECT_EQ(traffic.read, 10 * (4 + 64 + 4 * 2 + 4));
  EXPECT_EQ(traffic.written, 10 * 256);
}

TEST(RowCost, CountsAppends) {
  namespace family = rotary_append;
  family::Problem problem;
  problem.heads = 4;
  problem.cache.keyHeads = 2;
  problem.cache.keySize = problem.cache.valueSize = problem.rotated = 64;
  problem.cache.page = 16;
  problem.cache.key = *quant::parseFormat("int8");
  problem.cache.value = *quant::parseFormat("f16");
  problem.pageTableStride = 8;
  problem.query = {0, 512};
  problem.key = {256, 512};
  problem.value = {384, 512};
  StreamTraffic traffic =
      trafficOf(problem, family::chooseSchedule, family::costOf, 7);
  EXPECT_EQ(traffic.read, 7 * (512 * 2 + 64 * 4));
  EXPECT_EQ(traffic.written, 7 * (256 * 2 + 2 * (64 + 2 + 128)));
}

TEST(RowCost, CountsTablesAndLogits) {
  StreamTraffic table =
      trafficOf(rotary_table::Problem{.count = 64},
                rotary_table::chooseSchedule, rotary_table::costOf, 4);
  EXPECT_EQ(table.read, 4 * 4 + 64 * 4);
  EXPECT_EQ(table.written, 4 * 64 * 8);
  StreamTraffic logits = trafficOf(argmax::Problem{1000},
                                   argmax::chooseSchedule, argmax::costOf, 2);
  EXPECT_EQ(logits.read, 2 * 4000);
  EXPECT_EQ(logits.written, 2 * 4);
  StreamTraffic sampled = trafficOf(
      sampling::Problem{1000}, sampling::chooseSchedule, sampling::costOf, 2);
  EXPECT_EQ(sampled.read, 2 * (4000 + 128)); // and bits of seen tokens
  EXPECT_EQ(sampled.written, 2 * (8000 + 8 + 256 * 16));
  EXPECT_EQ(sampled.blocks, 2);
}

TEST(RowCost, SamplingIsASmallPartOfAStep) {
  const target::Target &target = target::sm90a();
  sampling::Problem problem{128256};
  auto schedule = sampling::chooseSchedule(problem, target);
  ASSERT_TRUE(schedule.ok()) << schedule.status().message();
  for (int64_t rows : {1, 8})
    EXPECT_LT(sampling::costOf(problem, *schedule, rows, target).seconds,
              100e-6);
  // A row on one SM reads and writes all of it alone.
  auto alone = chooseUncounted(problem, target);
  ASSERT_TRUE(alone.ok()) << alone.status().message();
  EXPECT_GT(sampling::costOf(problem, *alone, 1, target).seconds, 60e-6);
}
