// Schedules fit the device, keep what the design asks for (bytes in flight, two
// kernels on an SM, evenly shared work), and are refused with a reason.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
#include "lib/Kernels/SkinnyLinear/SkinnyLinear.h"

#include <gtest/gtest.h>

#include <cmath>

using namespace qopt;
using namespace qopt::kernels;
using namespace qopt::kernels::skinny_linear;

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
} // namespace

TEST(Schedule, everyBucketAndFormatFits) {
  for (const target::Target *target : target::allTargets())
    for (int64_t tokens : {1, 8, 16, 32, 64})
      for (const char *format : {"int4_g128", "int4_asym_g32", "int4_asym_zf",
                                 "int8", "f16", "fp8_e4m3", "fp8_e4m3_g32"})
        for (Shape shape : shapes) {
          Problem problem =
              problemOf(tokens, shape.rows, shape.columns, format);
          auto schedule = chooseSchedule(problem, *target);
          ASSERT_TRUE(schedule.ok()) << schedule.status().message();
          EXPECT_TRUE(isValid(problem, *schedule, *target).ok());
        }
}

TEST(Schedule, oneTokenLeavesRoomForTheNextKernel) {
  const target::Target &target = target::sm90a();
  for (Shape shape : shapes) {
    Problem problem = problemOf(1, shape.rows, shape.columns);
    auto schedule = chooseSchedule(problem, target);
    ASSERT_TRUE(schedule.ok());
    Plan plan = planOf(problem, *schedule);
    EXPECT_GE(schedule->stages * plan.stageBytes, 48 << 10);
    // As many registers as the launch bounds leave to two blocks.
    EXPECT_EQ(target.blocksPerMultiprocessor(schedule->threads(), 56,
                                             int(plan.sharedBytes)),
              2);
    EXPECT_GE(schedule->grid, 0.96 * target.multiprocessors);
  }
}

TEST(Schedule, workIsSharedWithinAFewPercent) {
  const target::Target &target = target::sm90a();
  for (Shape shape : shapes) {
    Problem problem = problemOf(1, shape.rows, shape.columns);
    auto schedule = chooseSchedule(problem, target);
    SegmentPlan plan = segmentPlanOf(problem, *schedule, 0);
    double steps = double(plan.tiles * plan.steps) / plan.blocks;
    EXPECT_LE(std::ceil(steps) / steps, 1.05);
  }
}

TEST(Schedule, refusalsSayWhy) {
  const target::Target &target = target::sm90a();
  auto message = [](const Status &status) { return status.message(); };
  EXPECT_EQ(message(isValid(problemOf(5, 16, 128))),
            "5 tokens are no bucket; expected 1, 8, 16, 32 or 64");
  EXPECT_EQ(message(isValid(problemOf(1, 16, 128, "int4_g48"))),
            "weight format \"int4_g48\" has groups of 48; expected 16, 32, 64 "
            "or a multiple of 128");
  EXPECT_EQ(
      message(isValid(problemOf(1, 16, 128, "bf16"))),
      "weight format \"bf16\" needs activations of its own type; got f16");
  Problem problem = problemOf(1, 4096, 4096);
  Schedule schedule = *chooseSchedule(problem, target);
  schedule.unitsPerStage = {12};
  EXPECT_EQ(message(isValid(problem, schedule, target)),
            "a stage of 12 units is not shared evenly by 16 warps");
  schedule.unitsPerStage = {16};
  schedule.stages = 40;
  EXPECT_NE(message(isValid(problem, schedule, target)).find("bytes of shared"),
            std::string::npos);
}

TEST(Schedule, refusalsOfSumsSayWhy) {
  const target::Target &target = target::sm90a();
  auto message = [](const Status &status) { return status.message(); };
  Problem problem = problemOf(1, 4096, 4608, "int4_g128");
  problem.norm.push_back({});
  problem.sum = Norm();
  Schedule schedule = *chooseSchedule(problem, target);
  EXPECT_GT(heldChunks(problem, schedule), 0);
  schedule.columnWarps = 4;
  EXPECT_EQ(message(isValid(problem, schedule, target)),
            "a row of 4608 elements does not fit the registers of 128 threads");
  problem.sum->bias = true;
  EXPECT_EQ(message(isValid(problem)), "an rms_norm has no bias");
  problem.sum->bias = false;
  for (auto [tokens, columns] : {std::pair(8, 4608), {1, 4610}}) {
    problem.tokens = tokens;
    problem.columns = columns;
    EXPECT_EQ(message(isValid(problem)),
              "blocks add a norm to a residual for one token with a multiple "
              "of 8 columns");
  }
  problem = problemOf(1, 4096, 4096, "int8");
  problem.activation = quant::ElementType::Int8;
  problem.sum = Norm();
  EXPECT_EQ(message(isValid(problem)), "codes have no norm ahead of them");
}

TEST(Schedule, refusalsOfCodesSayWhy) {
  const target::Target &target = target::sm90a();
  auto message = [](const Status &status) { return status.message(); };
  Problem problem = problemOf(1, 4096, 4096, "int8_g64");
  problem.activation = quant::ElementType::Int8;
  EXPECT_EQ(message(isValid(problem)),
            "int8 activations need weights in int8 "
            "with one scale a row; got \"int8_g64\"");
  problem.segments = problemOf(1, 4096, 4096, "int8").segments;
  problem.norm.push_back({});
  EXPECT_EQ(message(isValid(problem)), "codes have no norm ahead of them");
  problem.source = quant::ElementType::F16;
  EXPECT_TRUE(isValid(problem).ok());
  Schedule schedule = *chooseSchedule(problem, target);
  EXPECT_GT(heldChunks(problem, schedule), 0);
  schedule.columnWarps = 2;
  EXPECT_EQ(message(isValid(problem, schedule, target)),
            "a row of 4096 elements does not fit the registers of 64 threads");
  problem.columns = 4100;
  EXPECT_EQ(message(isValid(problem)),
            "blocks make codes of one token with a multiple of 8 columns");
  problem.columns = 4096;
  problem.tokens = 8;
  EXPECT_EQ(message(isValid(problem)),
            "blocks make codes of one token with a multiple of 8 columns");
  problem.activation = quant::ElementType::F16;
  EXPECT_EQ(message(isValid(problem)), "codes are made of x in f16 or bf16");
}

/// With codes all shapes of an 8B decoder fit, whoever makes them; reading
/// them costs no more than reading halves.
TEST(Schedule, codesFit) {
  for (const target::Target *target : target::allTargets())
    for (int64_t tokens : {1, 8, 16, 32, 64})
      for (Shape shape : shapes) {
        Problem halves = problemOf(tokens, shape.rows, shape.columns, "int8"),
                codes = halves;
        codes.activation = quant::ElementType::Int8;
        auto one = chooseSchedule(halves, *target),
             other = chooseSchedule(codes, *target);
        ASSERT_TRUE(one.ok() && other.ok()) << other.status().message();
        EXPECT_LE(costOf(codes, *other, *target).seconds,
                  1.01 * costOf(halves, *one, *target).seconds)
            << tokens << " " << shape.rows;
        codes.source = quant::ElementType::BF16;
        EXPECT_EQ(chooseSchedule(codes, *target).ok(), tokens == 1);
      }
}

TEST(Cost, termsAddUpAndNameTheirSource) {
  const target::Target &target = target::sm90a();
  Problem problem = problemOf(1, 4096, 4096);
  Cost cost = costOf(problem, *chooseSchedule(problem, target), target);
  double sum = 0;
  for (const CostTerm &term : cost.terms) {
    sum += term.seconds;
    EXPECT_GE(term.seconds, 0) << term.name;
    EXPECT_FALSE(term.why.empty());
  }
  EXPECT_DOUBLE_EQ(sum, cost.seconds);
  EXPECT_EQ(cost.weightBytes, 4096 / 16 * 32 * 1056);
  EXPECT_NE(cost.terms[0].why.find("measured"), std::string::npos);
}

TEST(Cost, moreBitsAndMoreTokensCostMore) {
  const target::Target &target = target::sm90a();
  auto seconds = [&](Problem problem) {
    return costOf(problem, *chooseSchedule(problem, target), target).seconds;
  };
  EXPECT_LT(seconds(problemOf(1, 28672, 4096)),
            seconds(problemOf(1, 28672, 4096, "int8")));
  EXPECT_LT(seconds(problemOf(1, 28672, 4096)),
            seconds(problemOf(64, 28672, 4096)));
}

/// A layer_norm, and norms of the heads that are appended, by terms of theirs.
TEST(Cost, countsNorms) {
  const target::Target &target = target::sm90a();
  auto termOf = [&](const Problem &problem, std::string_view name) {
    auto schedule = chooseSchedule(problem, target);
    EXPECT_TRUE(schedule.ok()) << schedule.status().message();
    Cost cost = costOf(problem, *schedule, target);
    for (const CostTerm &term : cost.terms)
      if (term.name == name)
        return term.seconds;
    return 0.0;
  };
  Problem problem = problemOf(1, 6144, 4096);
  EXPECT_EQ(termOf(problem, "norm"), 0);
  problem.norm = {{}};
  EXPECT_NEAR(termOf(problem, "norm"), 0.35e-6, 1e-12);
  problem.norm = {{.kind = norm::Kind::Layer}};
  EXPECT_NEAR(termOf(problem, "norm"), 0.5e-6, 1e-12);
  // A row for each warp, again where there are more.
  problem.tokens = 8;
  EXPECT_NEAR(termOf(problem, "norm"), 4096 * 1.65 * 1.25e-9, 1e-12);
  problem.norm = {{}};
  EXPECT_NEAR(termOf(problem, "norm"), 4096 * 1.25e-9, 1e-12);
  problem.tokens = 64;
  EXPECT_GE(termOf(problem, "norm"), 7 * 4096 * 1.25e-9);
  problem.tokens = 1;
  rotary_append::Problem append;
  append.heads = 32;
  append.cache.keyHeads = 8;
  append.cache.keySize = append.cache.valueSize = append.rotated = 128;
  append.cache.page = 64;
  append.cache.key = append.cache.value =
      quant::floatFormat(quant::ElementType::F16);
  append.pageTableStride = 1;
  append.queries = rotary_append::Queries::Elsewhere;
  append.query = {0, 6144};
  append.key = {4096, 6144};
  append.value = {5120, 6144};
  problem.append = append;
  EXPECT_EQ(termOf(problem, "norm of heads"), 0);
  problem.append->norm = rotary_append::HeadNorm();
  EXPECT_GT(termOf(problem, "norm of heads"), 0);
}

// Where there is no conversion, unpacking takes more instructions.
TEST(Cost, fp8IsConvertedWherePossible) {
  auto instructions = [](const target::Target &target, const char *format) {
    Problem problem = problemOf(1, 4096, 4096, format);
    return costOf(problem, *chooseSchedule(problem, target), target)
        .instructionsPerWeight;
  };
  EXPECT_LT(instructions(target::sm90a(), "fp8_e4m3"),
            0.8 * instructions(target::sm80(), "fp8_e4m3"));
  EXPECT_LT(instructions(target::sm90a(), "fp8_e4m3"),
            instructions(target::sm90a(), "fp8_e4m3_g32"));
}

TEST(Symbol, namesWhatIsComputed) {
  Problem problem = problemOf(8, 16, 128);
  problem.segments.push_back({16, *quant::parseFormat("int8")});
  problem.norm.push_back({});
  EXPECT_EQ(symbolOf(problem, target::sm90a()),
            "skinny_linear_sm_90a_f16_int4_g128_x_int8_f16_m8_norm");
  problem.norm = {{.kind = norm::Kind::Layer, .bias = true}};
  problem.steps = {{.kind = Step::Kind::Scale, .factor = 0.5f},
                   {.kind = Step::Kind::Add},
                   {.function = Function::GeluTanh}};
  EXPECT_EQ(symbolOf(problem, target::sm90a()),
            "skinny_linear_sm_90a_f16_int4_g128_x_int8_f16_m8_layer_norm_"
            "scale3F000000_add_gelu_tanh");
  problem = problemOf(1, 16, 128, "int8");
  problem.activation = quant::ElementType::Int8;
  problem.source = quant::ElementType::BF16;
  EXPECT_EQ(symbolOf(problem, target::sm90a()),
            "skinny_linear_sm_90a_int8_int8_f16_m1_from_bf16");
}

// Formats meet where projections of one input are merged: a table of codes
// takes shared memory that units of f16 need, too, and one unit of columns
// cannot be sliced.
TEST(Schedule, everyPairOfFormatsFits) {
  for (const target::Target *target : target::allTargets())
    for (int64_t tokens : {1, 8, 16, 32, 64})
      for (const char *first : {"f16", "int8", "int4_asym_g32", "fp8_e4m3"})
        for (const char *second : {"lut4", "nf4_g64", "nvfp4", "mxfp4"})
          for (int64_t columns : {64, 96, 192, 4096}) {
            Problem problem = problemOf(tokens, 192, columns, first);
            problem.segments.push_back({64, *quant::parseFormat(second)});
            auto schedule = chooseSchedule(problem, *target);
            ASSERT_TRUE(schedule.ok()) << schedule.status().message() << ", "
                                       << first << " and " << second;
            EXPECT_TRUE(isValid(problem, *schedule, *target).ok());
          }
}
