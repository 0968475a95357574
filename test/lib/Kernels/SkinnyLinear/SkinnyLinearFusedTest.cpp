// A linear that appends what it has computed, or applies a gate to it, leaves
// the same bits behind as a linear and the other kernel one after the other.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
#include "../CachePool.h"
#include "Append.h"
#include "lib/Kernels/GatedActivation/GatedActivationGenerator.h"
#include "lib/Kernels/SkinnyLinear/SkinnyLinearGenerator.h"

#include <gtest/gtest.h>

using namespace qopt;
using namespace qopt::kernels;
using namespace qopt::kernels::test;
using quant::ElementType;

static skinny_linear::Problem problemOf(const AppendOptions &options) {
  skinny_linear::Problem problem = linearOf(options);
  problem.tokens = skinny_linear::bucketOf(options.tokens);
  return problem;
}

static LinearKernel kernelOf(const skinny_linear::Problem &problem,
                             const skinny_linear::Schedule &schedule,
                             const target::Target &target) {
  skinny_linear::Plan plan = skinny_linear::planOf(problem, schedule);
  LinearKernel kernel;
  kernel.build = [problem, schedule, &target](mlir::gpu::GPUModuleOp module) {
    return skinny_linear::buildKernel(module, problem, schedule, target,
                                      nullptr);
  };
  kernel.shape.threads = schedule.threads();
  kernel.shape.blocksPerRow = schedule.grid;
  kernel.shape.sharedBytes = plan.sharedBytes;
  kernel.workspaceBytes = plan.workspaceBytes;
  kernel.counters = plan.counters;
  return kernel;
}

/// `blocks`: that share tiles by steps; 0: as chosen.
static void runTogether(const AppendOptions &options, Batch &batch,
                        uint64_t seed, int blocks, Results &results) {
  skinny_linear::Problem problem = problemOf(options);
  auto schedule = skinny_linear::chooseSchedule(problem, *options.target);
  ASSERT_TRUE(schedule.ok()) << schedule.status().message();
  if (blocks) {
    schedule->grid = blocks;
    schedule->wholeTiles = false;
    schedule->columnWarps = 2;
    schedule->unitsPerStage = {2};
  }
  launchLinear(
      problem, kernelOf(problem, *schedule, *options.target), *options.target,
      options.tokens, results.y,
      [&](Launch &launch) { addBatch(launch, options, batch, results); }, seed);
}

static void runCase(const AppendOptions &options, int blocks = 0,
                    uint64_t seed = 1) {
  SCOPED_TRACE(options.describe());
  Batch batch = batchOf(options);
  Results together = emptyResults(options, 0x1234);
  runTogether(options, batch, seed, blocks, together);
  Results alone = emptyResults(options, 0x1234);
  alone.y = together.y;
  appendAlone(options, batch, alone);
  EXPECT_TRUE(together.queries == alone.queries);
  EXPECT_TRUE(together.pages == alone.pages);
  EXPECT_EQ(strayWriteOf(options, batch, together), "");
}

using SkinnyLinearAppend = test::KernelTest;
using SkinnyLinearSteps = test::KernelTest;
using SkinnyLinearGate = test::KernelTest;

TEST_F(SkinnyLinearAppend, LeavesTheSameBitsInEveryFormat) {
  for (const char *key : {"f16", "bf16", "int8", "int4"})
    for (const char *value : {"f16", "int8", "fp8_e4m3"})
      runCase({.key = key, .value = value});
}

TEST_F(SkinnyLinearAppend, TakesHeadsThatShareStripsOrTiles) {
  for (int64_t size : {8, 40, 80, 128, 256})
    runCase({.heads = 2, .keyHeads = 1, .size = size, .key = "int8"});
  runCase({.heads = 3, .keyHeads = 3, .size = 8, .value = "int4"});
}

TEST_F(SkinnyLinearAppend, TakesManyTokensAndSharedTiles) {
  runCase({.tokens = 5, .key = "int8", .value = "int4"});
  runCase({.size = 16, .columns = 384, .tokens = 2}, 9);
  for (uint64_t seed : {1, 2, 3})
    runCase({.columns = 1024, .key = "int8"}, 7, seed);
}

TEST_F(SkinnyLinearAppend, TakesCodesAndTokensBehindTheLastSequence) {
  runCase({.tokens = 1, .value = "int8", .codes = true, .sequences = 1});
  runCase({.tokens = 7, .value = "int4", .codes = true, .padding = 2});
}

TEST_F(SkinnyLinearAppend, RotatesPairsAndRunsOnSm80) {
  runCase({.value = "int8", .pairs = rotary_append::Pairs::Interleaved});
  runCase({.key = "int8",
           .activation = ElementType::BF16,
           .target = &target::sm80()});
}

TEST_F(SkinnyLinearAppend, NormalisesHeads) {
  runCase({.norm = true});
  runCase({.heads = 2, .keyHeads = 1, .size = 24, .tokens = 5, .norm = true});
  runCase({.heads = 3, .tokens = 5, .norm = true, .layer = true});
  runCase({.heads = 2,
           .keyHeads = 2,
           .size = 256,
           .key = "int8",
           .value = "int4",
           .activation = ElementType::BF16,
           .norm = true,
           .target = &target::sm80()});
}

/// y keeps its queries, which nothing else is made of.
/// At least a store of codes and scales, of keys and of values.
TEST_F(SkinnyLinearAppend, StoresBesideASlotAreSeen) {
  AppendOptions options{.heads = 2, .tokens = 3, .key = "int8"};
  options.value = "int4";
  skinny_linear::Problem problem = problemOf(options);
  auto schedule = skinny_linear::chooseSchedule(problem, *options.target);
  ASSERT_TRUE(schedule.ok()) << schedule.status().message();
  EXPECT_GE(movedStoresSeen(options, problem,
                            kernelOf(problem, *schedule, *options.target)),
            4u);
}

TEST_F(SkinnyLinearAppend, TakesKeysThatAreNotRotated) {
  runCase({.rotary = false});
  runCase({.heads = 3,
           .keyHeads = 3,
           .size = 40,
           .tokens = 5,
           .key = "int8",
           .rotary = false});
}

/// y as the steps make it of y without them, each rounded.
static std::vector<float> stepped(const skinny_linear::Problem &problem,
                                  std::vector<float> y,
                                  const std::vector<float> &added) {
  using skinny_linear::Step;
  for (const Step &step : problem.steps) {
    for (size_t i = 0; i < y.size(); ++i)
      y[i] = step.kind == Step::Kind::Add     ? y[i] + added[i]
             : step.kind == Step::Kind::Scale ? y[i] * step.factor
                                              : std::max(y[i], 0.0f);
    y = rounded(problem.output, y);
  }
  return y;
}

TEST_F(SkinnyLinearSteps, AreThoseOfLaunchesOfTheirOwn) {
  using skinny_linear::Step;
  const target::Target &target = target::sm90a();
  const Step scale{.kind = Step::Kind::Scale, .factor = 0.22f},
      relu{.kind = Step::Kind::Activate, .function = Function::Relu},
      add{.kind = Step::Kind::Add};
  for (ElementType type : {ElementType::F16, ElementType::BF16})
    for (const std::vector<Step> &steps :
         {std::vector{relu}, {scale, add}, {add, scale, relu}})
      for (int64_t tokens : {1, 5}) {
        SCOPED_TRACE(nameOf(steps) + " " + std::to_string(tokens));
        constexpr int64_t rows = 40;
        skinny_linear::Problem problem;
        problem.tokens = skinny_linear::bucketOf(tokens);
        problem.columns = 256;
        problem.segments = {{rows, quant::floatFormat(type)}};
        problem.activation = problem.output = type;
        auto schedule = skinny_linear::chooseSchedule(problem, target);
        ASSERT_TRUE(schedule.ok()) << schedule.status().message();
        std::vector<uint16_t> before(size_t(tokens * rows)), after = before;
        launchLinear(problem, kernelOf(problem, *schedule, target), target,
                     tokens, before, [](Launch &) {});
        problem.steps = steps;
        std::vector<float> added = rounded(type, normals(before.size(), 11));
        std::vector<uint16_t> operand = encode(type, added);
        if (steps.size() > 1)
          problem.operands = {{skinny_linear::OperandShape::Element, type}};
        launchLinear(problem, kernelOf(problem, *schedule, target), target,
                     tokens, after, [&](Launch &launch) {
                       if (!problem.operands.empty())
                         launch.in(operand);
                     });
        EXPECT_EQ(decode(type, after),
                  stepped(problem, decode(type, before), added));
      }
}

TEST_F(SkinnyLinearGate, EqualsALaunchOfItsOwn) {
  constexpr int64_t tokens = 5, gates = 48;
  const target::Target &target = target::sm90a();
  for (ElementType type : {ElementType::F16, ElementType::BF16})
    for (Function function : {Function::Silu, Function::GeluErf,
                              Function::GeluTanh, Function::Relu}) {
      SCOPED_TRACE(nameOf(function));
      skinny_linear::Problem problem;
      problem.tokens = 8;
      problem.columns = 256;
      problem.segments = {{2 * gates, quant::floatFormat(type)}};
      problem.activation = problem.output = type;
      problem.paired = true;
      auto schedule = skinny_linear::chooseSchedule(problem, target);
      ASSERT_TRUE(schedule.ok()) << schedule.status().message();
      std::vector<uint16_t> both(tokens * 2 * gates), together(tokens * gates),
          alone(tokens * gates);
      launchLinear(problem, kernelOf(problem, *schedule, target), target,
                   tokens, both, [](Launch &) {});
      problem.gate = function;
      launchLinear(problem, kernelOf(problem, *schedule, target), target,
                   tokens, together, [](Launch &) {});
      gated_activation::Problem activation;
      activation.function = function;
      activation.columns = gates;
      activation.activation = type;
      auto kernel = compileClean(activation, gated_activation::chooseSchedule,
                                 gated_activation::buildKernel, target);
      ASSERT_TRUE(kernel.ok()) << kernel.status().message();
      Launch launch;
      launch.in(both).out(alone).integer(tokens);
      Status ran = launch.run(
          *kernel,
          launchOf(activation,
                   *gated_activation::chooseSchedule(activation, target)),
          tokens);
      ASSERT_TRUE(ran.ok()) << ran.message();
      EXPECT_EQ(together, alone);
    }
}

TEST_F(SkinnyLinearAppend, SaysWhatItCannotDo) {
  auto message = [](const skinny_linear::Problem &problem) {
    return isValid(problem).message();
  };
  skinny_linear::Problem problem = problemOf({});
  problem.segments[0].rows += 64;
  EXPECT_EQ(message(problem), "an append of other rows than queries, keys and "
                              "values of one size");
  problem = problemOf({});
  problem.append->queries = rotary_append::Queries::InPlace;
  EXPECT_EQ(message(problem),
            "an append of paired rows, of another type or over y");
  problem = problemOf({});
  problem.steps = {{}};
  EXPECT_EQ(message(problem),
            "steps of an epilogue behind a gate or an append");
  problem.append.reset();
  problem.steps = {{.kind = skinny_linear::Step::Kind::Add}};
  EXPECT_EQ(message(problem), "1 sums of an epilogue with 0 operands");
  problem = problemOf({});
  problem.norm = {{.bias = true}};
  EXPECT_EQ(message(problem), "an rms_norm has no bias");
  problem = problemOf({.size = 24});
  problem.segments = {{16, problem.segments[0].weight},
                      {problem.rows() - 16, problem.segments[0].weight}};
  EXPECT_EQ(message(problem), "a head in two segments");
}
