// Schedules fit the device and fill it, have no fewer than three stages, and
// are refused with a reason; predictions add up.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
#include "lib/Kernels/Gemm/Gemm.h"

#include <gtest/gtest.h>
#include <map>
#include <tuple>

using namespace qopt;
using namespace qopt::kernels::gemm;

namespace {
Problem problemOf(int64_t tokens, int64_t rows, int64_t columns,
                  const char *format = "int4_g128") {
  Problem problem;
  problem.tokens = tokens;
  problem.columns = columns;
  problem.segments = {{rows, *quant::parseFormat(format)}};
  return problem;
}

struct Shape {
  int64_t rows, columns;
};
// The linear layers of an 8B decoder.
const Shape shapes[] = {
    {6144, 4096}, {4096, 4096}, {28672, 4096}, {4096, 14336}};

std::string message(const Status &status) { return status.message(); }
} // namespace

TEST(GemmSchedule, everyBucketAndFormatFits) {
  for (const target::Target *target : target::allTargets())
    for (int64_t tokens : {32, 64, 128, 256, 512, 2048})
      for (const char *format : {"int4_g128", "int4_asym_g32", "int4_asym_zf",
                                 "int8", "f16", "fp8_e4m3"})
        for (Shape shape : shapes) {
          Problem problem =
              problemOf(tokens, shape.rows, shape.columns, format);
          auto schedule = chooseSchedule(problem, *target);
          ASSERT_TRUE(schedule.ok()) << schedule.status().message();
          EXPECT_TRUE(isValid(problem, *schedule, *target).ok());
          EXPECT_GE(schedule->stages, 3);
          Plan plan = planOf(problem, *schedule);
          // What the launch bounds leave a thread.
          int registers = std::min(255, target->limits.registersPerSm /
                                            schedule->threads() /
                                            schedule->blocksPerSm / 8 * 8);
          EXPECT_GE(registers, 160);
          EXPECT_GE(target->blocksPerMultiprocessor(
                        schedule->threads(), registers, int(plan.sharedBytes)),
                    schedule->blocksPerSm);
        }
}

TEST(GemmSchedule, fewTokensFillTheDeviceBySlices) {
  const target::Target &target = target::sm90a();
  for (const char *format : {"int4_g128", "f16"}) {
    Problem problem = problemOf(128, 4096, 4096, format);
    auto schedule = chooseSchedule(problem, target);
    ASSERT_TRUE(schedule.ok());
    EXPECT_GT(schedule->slices, 1);
    EXPECT_GE(launchOf(problem, *schedule, 128).grid,
              target.multiprocessors * 3 / 4);
  }
}

/// Stages of two panels were measured with codes, and where a tile has all
/// tokens.
TEST(GemmSchedule, fewTokensOfCodesHaveTwoPanels) {
  auto panelsOf = [](int64_t tokens, const char *format) {
    Problem problem = problemOf(tokens, 4096, 14336, format);
    auto schedule = chooseSchedule(problem, target::sm90a());
    return schedule.ok() ? schedule->panels : 0;
  };
  EXPECT_EQ(panelsOf(64, "int4_g128"), 2);
  EXPECT_EQ(panelsOf(32, "int8"), 2);
  EXPECT_EQ(panelsOf(64, "f16"), 1);
  EXPECT_EQ(panelsOf(128, "int4_g128"), 1);
}

/// One block of column warps an SM was measured with 64 tokens alone: with 32
/// it takes half as long again as predicted.
TEST(GemmSchedule, oneBlockOfColumnWarpsTakesManyTokens) {
  auto fillsAlone = [](int64_t tokens) {
    auto schedule =
        chooseSchedule(problemOf(tokens, 4096, 4096), target::sm90a());
    return schedule.ok() && schedule->columnWarps == 2 &&
           schedule->blocksPerSm == 1;
  };
  EXPECT_TRUE(fillsAlone(64));
  EXPECT_FALSE(fillsAlone(32));
}

TEST(GemmSchedule, manyTokensHaveNoPartialSums) {
  for (Shape shape : shapes) {
    Problem problem = problemOf(4096, shape.rows, shape.columns, "f16");
    auto schedule = chooseSchedule(problem, target::sm90a());
    ASSERT_TRUE(schedule.ok());
    EXPECT_EQ(schedule->slices, 1);
    EXPECT_EQ(launchOf(problem, *schedule, 4096).workspaceBytes, 0);
  }
}

TEST(GemmSchedule, refusalsSayWhy) {
  const target::Target &target = target::sm90a();
  EXPECT_EQ(
      message(isValid(problemOf(128, 16, 128, "bf16"))),
      "weight format \"bf16\" needs activations of its own type; got f16");
  Problem problem = problemOf(128, 4096, 4096);
  problem.activation = quant::ElementType::Int8;
  EXPECT_EQ(message(isValid(problem)),
            "int8 activations need weights in int8 with one scale a row; got "
            "\"int4_g128\"");
  problem = problemOf(128, 4096, 4096);
  problem.norm.push_back({});
  EXPECT_EQ(message(isValid(problem)),
            "gemm has no norm ahead of its products");
  problem.norm.clear();
  problem.source = quant::ElementType::F16;
  EXPECT_EQ(message(isValid(problem)), "gemm reads codes and makes none");
  problem.source.reset();
  Schedule schedule = *chooseSchedule(problem, target);
  Schedule changed = schedule;
  changed.stripsPerWarp = 8;
  changed.tilesPerWarp = 8;
  EXPECT_EQ(message(isValid(problem, changed, target)),
            "256 sums a thread; expected at most 128");
  Problem fractions = problem;
  fractions.segments[0].weight = *quant::parseFormat("int4_asym_g64_zf_sf32");
  changed.stripsPerWarp = 4;
  EXPECT_EQ(message(isValid(fractions, changed, target)),
            "128 sums a thread; expected at most 64");
  changed = schedule;
  changed.slices = 65;
  EXPECT_EQ(message(isValid(problem, changed, target)),
            "the last of 65 slices has no columns");
  changed = schedule;
  changed.stages = 40;
  EXPECT_NE(message(isValid(problem, changed, target)).find("bytes of shared"),
            std::string::npos);
  changed = schedule;
  changed.panels = 4;
  EXPECT_EQ(message(isValid(problem, changed, target)),
            "a stage of 256 columns; expected at most 128");
  changed.panels = 1;
  changed.columnWarps = 2;
  EXPECT_EQ(message(isValid(problem, changed, target)),
            "2 column warps for 1 panels and 8 tiles; expected 1 or 2 that "
            "divide both");
}

TEST(GemmCost, termsAddUpAndNameTheirSource) {
  const target::Target &target = target::sm90a();
  for (int64_t tokens : {128, 512, 4096}) {
    Problem problem = problemOf(tokens, 4096, 4096);
    Cost cost = costOf(problem, *chooseSchedule(problem, target), target);
    double sum = 0;
    for (const CostTerm &term : cost.terms) {
      sum += term.seconds;
      EXPECT_GE(term.seconds, 0) << term.name;
      EXPECT_FALSE(term.why.empty());
    }
    EXPECT_DOUBLE_EQ(sum, cost.seconds);
    EXPECT_DOUBLE_EQ(cost.flops(), 2.0 * double(tokens) * 4096 * 4096);
    EXPECT_NE(cost.terms[0].why.find("measured"), std::string::npos);
  }
}

TEST(GemmCost, moreTokensCostMoreAndLessAToken) {
  const target::Target &target = target::sm90a();
  auto seconds = [&](int64_t tokens) {
    Problem problem = problemOf(tokens, 28672, 4096);
    return costOf(problem, *chooseSchedule(problem, target), target).seconds;
  };
  EXPECT_LT(seconds(128), seconds(512));
  EXPECT_LT(seconds(512), 4 * seconds(128));
  EXPECT_LT(seconds(512), seconds(4096));
}

TEST(GemmSymbol, namesTheTile) {
  Problem problem = problemOf(512, 64, 128);
  problem.segments.push_back({16, *quant::parseFormat("int8")});
  Schedule schedule = *chooseSchedule(problem, target::sm90a());
  schedule.slices = 2;
  EXPECT_EQ(symbolOf(problem, schedule, target::sm90a()),
            "gemm_sm_90a_f16_int4_g128_x_int8_f16_" +
                std::to_string(16 * schedule.blockStrips()) + "x" +
                std::to_string(schedule.blockTokens()) + "_s2");
}

/// An artifact has one kernel for a symbol, whatever the tokens of its steps.
TEST(GemmSymbol, oneScheduleForASymbol) {
  for (const target::Target *target : target::allTargets())
    for (const char *format : {"int4_g128", "lut4_g128", "lut3_g128", "f16"})
      for (int64_t rows : {4096, 6144, 14336, 28672}) {
        std::map<std::string, Schedule> known;
        for (int64_t tokens : {32, 64, 128, 256, 512, 2048}) {
          Problem problem = problemOf(tokens, rows, 4096, format);
          auto schedule = chooseSchedule(problem, *target);
          ASSERT_TRUE(schedule.ok()) << schedule.status().message();
          std::string symbol = symbolOf(problem, *schedule, *target);
          Schedule &first = known.try_emplace(symbol, *schedule).first->second;
          EXPECT_EQ(std::tuple(first.panels, first.columnWarps, first.rowWarps,
                               first.stages, first.spread),
                    std::tuple(schedule->panels, schedule->columnWarps,
                               schedule->rowWarps, schedule->stages,
                               schedule->spread))
              << symbol;
        }
      }
}

// Formats meet where projections of one input are merged: a table of codes
// takes shared memory that units of f16 need, too.
TEST(GemmSchedule, everyPairOfFormatsFits) {
  for (const target::Target *target : target::allTargets())
    for (const char *first : {"f16", "int8", "int4_asym_g32", "fp8_e4m3"})
      for (const char *second : {"lut4", "nf4_g64", "nvfp4", "mxfp4"})
        for (int64_t columns : {64, 192, 4096}) {
          Problem problem = problemOf(2048, 64, columns, first);
          problem.segments.push_back({32, *quant::parseFormat(second)});
          auto schedule = chooseSchedule(problem, *target);
          ASSERT_TRUE(schedule.ok()) << schedule.status().message() << ", "
                                     << first << " and " << second;
          EXPECT_GE(schedule->stages, 3);
        }
}

// Codes of three bits are too few for the threads that copy f16 of as many
// strips.
TEST(GemmSchedule, threeFormatsFit) {
  for (const target::Target *target : target::allTargets()) {
    Problem problem = problemOf(2048, 64, 192, "int3");
    for (const char *format : {"f16", "nf4"})
      problem.segments.push_back({32, *quant::parseFormat(format)});
    auto schedule = chooseSchedule(problem, *target);
    ASSERT_TRUE(schedule.ok()) << schedule.status().message();
  }
}
