// Schedules, launches and predictions of attention_prefill; its numbers are
// tested with attention_decode's.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
#include "lib/Kernels/AttentionPrefill/AttentionPrefill.h"

#include <gtest/gtest.h>

using namespace qopt;
using namespace qopt::kernels;
using attention_prefill::Problem;
using attention_prefill::Schedule;

static Problem problemOf(std::string_view format = "f16") {
  Problem problem;
  problem.heads = 32;
  quant::Format stored = *quant::parseFormat(format);
  problem.cache = {8, 128, 128, 64, stored, stored};
  problem.queryStride = 6144;
  problem.context = 8192;
  return problem;
}

TEST(AttentionPrefill, blocksHoldAllRows) {
  Problem problem = problemOf();
  Schedule schedule =
      *attention_prefill::chooseSchedule(problem, target::sm90a());
  for (int64_t tokens : {1, 15, 16, 17, 4096}) {
    auto launch = attention_prefill::launchOf(problem, schedule,
                                              target::sm90a(), 3, tokens, 4096);
    EXPECT_EQ(launch.x, 1);
    EXPECT_EQ(launch.z, 3);
    EXPECT_EQ(launch.workspaceBytes, 0);
    int64_t rows = launch.y / 8 * schedule.blockRows();
    EXPECT_GE(rows, 4 * tokens);
    EXPECT_LT(rows - schedule.blockRows(), 4 * tokens);
  }
}

TEST(AttentionPrefill, everyFormatAndHeadSizeHasASchedule) {
  for (const target::Target *target : target::allTargets())
    for (std::string_view format :
         {"f16", "int8", "int4", "fp8_e4m3", "int4_asym_g64_zf"})
      for (int64_t size = 1; size <= 1024; ++size) {
        Problem problem = problemOf("int8");
        problem.cache.key = *quant::parseFormat(format);
        if (!problem.cache.keyGroup())
          problem.cache.value = problem.cache.key;
        problem.cache.keySize = problem.cache.valueSize = size;
        problem.queryStride = 48 * size;
        auto schedule = attention_prefill::chooseSchedule(problem, *target);
        EXPECT_TRUE(schedule.ok()) << size << " " << format;
      }
}

TEST(AttentionPrefill, schedulesOfDecodeAreRefused) {
  Problem problem = problemOf();
  Schedule schedule =
      *attention_decode::chooseSchedule(problem, 1, target::sm90a());
  EXPECT_FALSE(
      attention_prefill::isValid(problem, schedule, target::sm90a()).ok());
}

TEST(AttentionPrefill, timeGrowsWithTheSquareOfThePrompt) {
  Problem problem = problemOf();
  Schedule schedule =
      *attention_prefill::chooseSchedule(problem, target::sm90a());
  auto seconds = [&](int64_t tokens) {
    return attention_prefill::costOf(problem, schedule, target::sm90a(), 1,
                                     tokens, tokens)
        .seconds;
  };
  EXPECT_GT(seconds(8192), 3.5 * seconds(4096));
  EXPECT_LT(seconds(8192), 4.1 * seconds(4096));
}

/// Heads whose products are loops, beside an H200 (bench/RESULTS.md, "Heads of
/// any even size").
TEST(AttentionPrefill, largeHeadsTakeWhatWasMeasured) {
  for (auto [size, measured] : {std::pair{320, 19.7e-6}, {512, 30.7e-6}}) {
    Problem problem = problemOf();
    problem.heads = 8;
    problem.cache.keyHeads = 2;
    problem.cache.keySize = problem.cache.valueSize = size;
    problem.queryStride = 12 * size;
    problem.context = 200;
    Schedule schedule =
        *attention_prefill::chooseSchedule(problem, target::sm90a());
    double seconds = attention_prefill::costOf(problem, schedule,
                                               target::sm90a(), 1, 70, 200)
                         .seconds;
    EXPECT_NEAR(seconds / measured, 1, 0.25) << size;
  }
}

TEST(AttentionPrefill, namesSayWhatTheKernelIs) {
  Problem problem = problemOf("int8");
  problem.softcap = 50;
  Schedule schedule =
      *attention_prefill::chooseSchedule(problem, target::sm90a());
  EXPECT_EQ(attention_prefill::symbolOf(problem, schedule, target::sm90a()),
            "attention_prefill_sm_90a_f16_int8_int8_f16_d128_r64_softcap");
}
