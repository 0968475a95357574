// A linear that appends what it has computed, or applies a gate to it, leaves
// the same bits behind as a linear and the other kernel one after the other.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
#include "../KernelTest.h"
#include "lib/Kernels/GatedActivation/GatedActivationGenerator.h"
#include "lib/Kernels/RotaryAppend/RotaryAppendGenerator.h"
#include "lib/Kernels/SkinnyLinear/SkinnyLinearGenerator.h"
#include "lib/Kernels/SkinnyLinear/SkinnyLinearPack.h"

#include <gtest/gtest.h>

using namespace qopt;
using namespace qopt::kernels;
using namespace qopt::kernels::test;
using quant::ElementType;

namespace {
struct Options {
  int64_t heads = 4, keyHeads = 2, size = 64, columns = 256, tokens = 1;
  std::string key = "f16", value = "f16";
  rotary_append::Pairs pairs = rotary_append::Pairs::Halves;
  ElementType activation = ElementType::F16;
  int blocks = 0; ///< that share tiles by steps; 0: as chosen
  const target::Target *target = &target::sm90a();
};

/// What a batch of two sequences, or of one with one token, brings along.
struct Batch {
  std::vector<int32_t> tokenStarts, contextStarts, pageTable;
  std::vector<float> cos, sin;
};

/// What the kernels leave behind.
struct Results {
  std::vector<uint16_t> y, queries;
  std::vector<uint8_t> pages;
};
} // namespace

static rotary_append::Problem appendOf(const Options &options) {
  rotary_append::Problem append;
  append.heads = options.heads;
  append.cache.keyHeads = options.keyHeads;
  append.cache.keySize = append.cache.valueSize = options.size;
  append.cache.page = 16;
  append.cache.key = *quant::parseFormat(options.key);
  append.cache.value = *quant::parseFormat(options.value);
  append.pageTableStride = 4;
  append.rotated = options.size / 4 * 4;
  append.pairs = options.pairs;
  append.queries = rotary_append::Queries::Elsewhere;
  append.activation = options.activation;
  int64_t keys = options.heads * options.size,
          values = keys + options.keyHeads * options.size,
          stride = values + options.keyHeads * options.size;
  append.query = {0, stride};
  append.key = {keys, stride};
  append.value = {values, stride};
  return append;
}

static skinny_linear::Problem problemOf(const Options &options) {
  skinny_linear::Problem problem;
  problem.tokens = skinny_linear::bucketOf(options.tokens);
  problem.columns = options.columns;
  problem.append = appendOf(options);
  problem.segments = {
      {problem.append->query.stride, quant::floatFormat(options.activation)}};
  problem.activation = problem.output = options.activation;
  return problem;
}

static Batch batchOf(const Options &options) {
  Batch batch;
  auto tokens = int32_t(options.tokens);
  batch.tokenStarts = {0, tokens / 2, tokens};
  batch.contextStarts = {7, 30};
  for (int32_t page = 8; page > 0;)
    batch.pageTable.push_back(--page);
  size_t angles = size_t(tokens * appendOf(options).rotated / 2);
  batch.cos = normals(angles, 2);
  batch.sin = normals(angles, 3);
  return batch;
}

static void addBatch(Launch &launch, Batch &batch, Results &results) {
  launch.inOut(results.queries).in(batch.cos).in(batch.sin);
  launch.in(batch.tokenStarts).in(batch.contextStarts).in(batch.pageTable);
  launch.inOut(results.pages).integer(2);
}

static Results emptyResults(const Options &options, uint16_t fill) {
  rotary_append::Problem append = appendOf(options);
  Results results;
  results.y.assign(size_t(options.tokens * append.query.stride), fill);
  results.queries.assign(size_t(options.tokens * append.heads * options.size),
                         fill);
  results.pages.assign(size_t(8 * append.cache.pageBytes()), 0xa5);
  return results;
}

/// Runs a linear of random numbers; `addRest` adds the arguments between
/// counters and tokens.
static void launchLinear(const skinny_linear::Problem &problem,
                         const skinny_linear::Schedule &schedule,
                         const target::Target &target, int64_t tokens,
                         std::vector<uint16_t> &y,
                         llvm::function_ref<void(Launch &)> addRest,
                         uint64_t seed = 1) {
  auto kernel = compile(
      [&](mlir::gpu::GPUModuleOp module) {
        return skinny_linear::buildKernel(module, problem, schedule, target,
                                          nullptr);
      },
      target);
  ASSERT_TRUE(kernel.ok()) << kernel.status().message();
  Status assembled = assemble(*kernel, target);
  ASSERT_TRUE(assembled.ok()) << assembled.message();
  ElementType type = problem.activation;
  std::vector<uint16_t> x =
      encode(type, normals(size_t(tokens * problem.columns), 4, 0.3f));
  std::vector<uint16_t> weights =
      encode(type, normals(size_t(problem.rows() * problem.columns), 5, 0.3f));
  std::vector<uint8_t> packed(size_t(skinny_linear::packedBytes(problem)));
  skinny_linear::packSegment(
      problem.segments[0], problem.columns, problem.paired,
      {reinterpret_cast<const uint8_t *>(weights.data()), nullptr, nullptr},
      packed.data());
  skinny_linear::Plan plan = skinny_linear::planOf(problem, schedule);
  std::vector<float> workspace(size_t(plan.workspaceBytes / 4 + 1));
  std::vector<uint32_t> counters(size_t(plan.counters + 1));
  Launch launch;
  launch.in(x).in(packed).inOut(y).out(workspace).inOut(counters);
  addRest(launch);
  launch.integer(int32_t(tokens));
  LaunchShape shape;
  shape.threads = schedule.threads();
  shape.blocksPerRow = schedule.grid;
  shape.sharedBytes = plan.sharedBytes;
  Status ran = launch.run(*kernel, shape, 1, seed);
  ASSERT_TRUE(ran.ok()) << ran.message();
  EXPECT_EQ(counters, std::vector<uint32_t>(counters.size()));
}

static void runTogether(const Options &options, Batch &batch, uint64_t seed,
                        Results &results) {
  skinny_linear::Problem problem = problemOf(options);
  auto schedule = skinny_linear::chooseSchedule(problem, *options.target);
  ASSERT_TRUE(schedule.ok()) << schedule.status().message();
  if (options.blocks) {
    schedule->grid = options.blocks;
    schedule->wholeTiles = false;
    schedule->columnWarps = 2;
    schedule->unitsPerStage = {2};
  }
  launchLinear(
      problem, *schedule, *options.target, options.tokens, results.y,
      [&](Launch &launch) { addBatch(launch, batch, results); }, seed);
}

static void runAlone(const Options &options, Batch &batch, Results &results) {
  rotary_append::Problem append = appendOf(options);
  auto schedule = rotary_append::chooseSchedule(append, *options.target);
  ASSERT_TRUE(schedule.ok()) << schedule.status().message();
  auto kernel = compile(
      [&](mlir::gpu::GPUModuleOp module) {
        return rotary_append::buildKernel(module, append, *schedule,
                                          *options.target);
      },
      *options.target);
  ASSERT_TRUE(kernel.ok()) << kernel.status().message();
  Launch launch;
  launch.in(results.y).same(0).same(0);
  addBatch(launch, batch, results);
  Status ran = launch.run(*kernel, launchOf(append, *schedule), options.tokens);
  ASSERT_TRUE(ran.ok()) << ran.message();
}

static void runCase(const Options &options, uint64_t seed = 1) {
  SCOPED_TRACE(options.key + "," + options.value + " heads of " +
               std::to_string(options.size));
  Batch batch = batchOf(options);
  Results together = emptyResults(options, 0x1234);
  runTogether(options, batch, seed, together);
  Results alone = emptyResults(options, 0x4321);
  alone.y = together.y;
  runAlone(options, batch, alone);
  EXPECT_TRUE(together.queries == alone.queries);
  EXPECT_TRUE(together.pages == alone.pages);
}

TEST(SkinnyLinearAppend, LeavesTheSameBitsInEveryFormat) {
  for (const char *key : {"f16", "bf16", "int8", "int4"})
    for (const char *value : {"f16", "int8", "fp8_e4m3"})
      runCase({.key = key, .value = value});
}

TEST(SkinnyLinearAppend, TakesHeadsThatShareStripsOrTiles) {
  for (int64_t size : {8, 40, 80, 128, 256})
    runCase({.heads = 2, .keyHeads = 1, .size = size, .key = "int8"});
  runCase({.heads = 3, .keyHeads = 3, .size = 8, .value = "int4"});
}

TEST(SkinnyLinearAppend, TakesManyTokensAndSharedTiles) {
  runCase({.tokens = 5, .key = "int8", .value = "int4"});
  runCase({.size = 16, .columns = 384, .tokens = 2, .blocks = 9});
  for (uint64_t seed : {1, 2, 3})
    runCase({.columns = 1024, .key = "int8", .blocks = 7}, seed);
}

TEST(SkinnyLinearAppend, RotatesPairsAndRunsOnSm80) {
  runCase({.value = "int8", .pairs = rotary_append::Pairs::Interleaved});
  runCase({.key = "int8",
           .activation = ElementType::BF16,
           .target = &target::sm80()});
}

TEST(SkinnyLinearGate, EqualsALaunchOfItsOwn) {
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
      launchLinear(problem, *schedule, target, tokens, both, [](Launch &) {});
      problem.gate = function;
      launchLinear(problem, *schedule, target, tokens, together,
                   [](Launch &) {});
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

TEST(SkinnyLinearAppend, SaysWhatItCannotDo) {
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
  problem = problemOf({.size = 24});
  problem.segments = {{16, problem.segments[0].weight},
                      {problem.rows() - 16, problem.segments[0].weight}};
  EXPECT_EQ(message(problem), "a head in two segments");
}
