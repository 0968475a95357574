// A gemm that appends what it has computed leaves the same bits behind as a
// gemm and rotary_append one after the other, and writes no y.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
#include "../SkinnyLinear/Append.h"
#include "lib/Kernels/Gemm/GemmGenerator.h"

#include "mlir/Dialect/Arith/IR/Arith.h"

#include <gtest/gtest.h>

using namespace qopt;
using namespace qopt::kernels;
using namespace qopt::kernels::test;
using quant::ElementType;

namespace {
using Change = llvm::function_ref<void(gemm::Schedule &)>;
constexpr uint16_t untouched = 0x1234;
} // namespace

static gemm::Problem problemOf(const AppendOptions &options) {
  gemm::Problem problem{linearOf(options)};
  problem.tokens = gemm::bucketOf(options.tokens);
  return problem;
}

/// The product and its bias.
static void fillSum(mlir::Block &block, mlir::OpBuilder builder) {
  mlir::Location loc = builder.getUnknownLoc();
  for (int i = 0; i < 2; ++i)
    block.addArgument(builder.getF32Type(), loc);
  builder.setInsertionPointToStart(&block);
  mlir::Value sum = mlir::arith::AddFOp::create(
      builder, loc, block.getArgument(0), block.getArgument(1));
  mlir::gpu::ReturnOp::create(builder, loc, sum);
}

static LinearKernel kernelOf(const gemm::Problem &problem,
                             const gemm::Schedule &schedule,
                             const target::Target &target, int64_t tokens) {
  LinearKernel kernel;
  kernel.build = [problem, schedule, &target](mlir::gpu::GPUModuleOp module) {
    mlir::Block block;
    if (problem.regionOperands())
      fillSum(block, mlir::OpBuilder(module.getContext()));
    return gemm::buildKernel(module, problem, schedule, target,
                             problem.regionOperands() ? &block : nullptr);
  };
  gemm::Launch launch = gemm::launchOf(problem, schedule, tokens);
  kernel.shape.threads = schedule.threads();
  kernel.shape.blocksPerRow = launch.grid;
  kernel.shape.sharedBytes = gemm::planOf(problem, schedule).sharedBytes;
  kernel.workspaceBytes = launch.workspaceBytes;
  kernel.counters = launch.counters;
  return kernel;
}

/// `change` is made to the schedule that was chosen.
static void runCase(
    const AppendOptions &options, Change change = [](gemm::Schedule &) {},
    uint64_t seed = 1) {
  SCOPED_TRACE(options.describe());
  const target::Target &target = *options.target;
  gemm::Problem problem = problemOf(options);
  auto schedule = gemm::chooseSchedule(problem, target);
  ASSERT_TRUE(schedule.ok()) << schedule.status().message();
  change(*schedule);
  Status valid = isValid(problem, *schedule, target);
  ASSERT_TRUE(valid.ok()) << valid.message();
  Batch batch = batchOf(options);
  Results together = emptyResults(options, untouched);
  launchLinear(
      problem, kernelOf(problem, *schedule, target, options.tokens), target,
      options.tokens, together.y,
      [&](Launch &launch) { addBatch(launch, options, batch, together); },
      seed);
  if (options.rotary)
    EXPECT_TRUE(together.y == std::vector(together.y.size(), untouched));

  Results alone = emptyResults(options, untouched);
  problem.append.reset();
  launchLinear(
      problem, kernelOf(problem, *schedule, target, options.tokens), target,
      options.tokens, alone.y, [](Launch &) {}, seed);
  appendAlone(options, batch, alone);
  EXPECT_TRUE(together.queries == alone.queries);
  EXPECT_TRUE(together.pages == alone.pages);
  EXPECT_EQ(strayWriteOf(options, batch, together), "");
  int64_t stride = linearOf(options).rows(),
          there = options.tokens - options.padding;
  for (int64_t i = 0; !options.rotary && i < there * stride; ++i)
    ASSERT_EQ(together.y[size_t(i)], i % stride < options.heads * options.size
                                         ? alone.y[size_t(i)]
                                         : untouched);
}

using GemmAppend = test::KernelTest;
using GemmSteps = test::KernelTest;

TEST_F(GemmAppend, LeavesTheSameBitsInEveryFormat) {
  const char *const formats[] = {"f16", "bf16", "fp8_e4m3", "int8", "int4"};
  for (size_t i = 0; i < std::size(formats); ++i)
    for (size_t other : {i, (i + 2) % std::size(formats)})
      runCase({.columns = 64,
               .tokens = 65,
               .key = formats[i],
               .value = formats[other]});
}

TEST_F(GemmAppend, TakesHeadsOfManySizes) {
  for (int64_t size : {8, 16, 32, 64, 128, 256})
    runCase({.heads = 3,
             .keyHeads = 1,
             .size = size,
             .columns = 64,
             .tokens = 67,
             .key = "int8",
             .value = "int4"});
}

/// One below and above tiles, and a prime; sequences that begin in tiles.
TEST_F(GemmAppend, TakesManyTokensAndSequences) {
  for (int64_t tokens : {33, 127, 128, 129, 257})
    runCase({.columns = 72, .tokens = tokens, .key = "int8", .sequences = 5});
  runCase({.columns = 64, .tokens = 131, .key = "int4", .sequences = 131});
  runCase({.columns = 64, .tokens = 70, .sequences = 3, .padding = 5});
}

TEST_F(GemmAppend, TakesCodesAndBias) {
  runCase({.tokens = 70, .key = "int8", .value = "int8", .codes = true});
  runCase({.columns = 64,
           .tokens = 70,
           .activation = ElementType::BF16,
           .bias = true});
  runCase({.columns = 704, .tokens = 70, .codes = true, .bias = true},
          [](gemm::Schedule &schedule) { schedule.slices = 2; });
}

TEST_F(GemmAppend, NormalisesHeads) {
  runCase({.columns = 64, .tokens = 65, .norm = true});
  runCase({.heads = 3,
           .size = 32,
           .columns = 64,
           .tokens = 65,
           .norm = true,
           .layer = true});
  runCase({.heads = 3,
           .keyHeads = 3,
           .size = 256,
           .columns = 64,
           .tokens = 33,
           .key = "int8",
           .activation = ElementType::BF16,
           .norm = true});
}

TEST_F(GemmAppend, KeepsQueriesThatAreNotRotated) {
  runCase({.columns = 64,
           .tokens = 70,
           .key = "int8",
           .rotary = false,
           .padding = 5});
}

TEST_F(GemmSteps, AreThoseOfLaunchesOfTheirOwn) {
  using skinny_linear::Step;
  constexpr int64_t tokens = 70, rows = 72;
  const target::Target &target = target::sm90a();
  gemm::Problem problem;
  problem.tokens = gemm::bucketOf(tokens);
  problem.columns = 64;
  problem.segments = {{rows, quant::floatFormat(ElementType::F16)}};
  auto schedule = gemm::chooseSchedule(problem, target);
  ASSERT_TRUE(schedule.ok()) << schedule.status().message();
  std::vector<uint16_t> before(size_t(tokens * rows)), after = before;
  launchLinear(problem, kernelOf(problem, *schedule, target, tokens), target,
               tokens, before, [](Launch &) {});
  problem.steps = {{.kind = Step::Kind::Scale, .factor = 0.22f},
                   {.kind = Step::Kind::Add},
                   {.kind = Step::Kind::Activate, .function = Function::Relu}};
  problem.operands = {{skinny_linear::OperandShape::Element, ElementType::F16}};
  std::vector<uint16_t> added =
      encode(ElementType::F16, normals(before.size(), 11));
  launchLinear(problem, kernelOf(problem, *schedule, target, tokens), target,
               tokens, after, [&](Launch &launch) { launch.in(added); });
  std::vector<float> y = decode(ElementType::F16, before),
                     other = decode(ElementType::F16, added);
  for (float &value : y)
    value *= 0.22f;
  y = rounded(ElementType::F16, y);
  for (size_t i = 0; i < y.size(); ++i)
    y[i] = std::max(y[i] + other[i], 0.0f);
  EXPECT_EQ(after, encode(ElementType::F16, y));
}

TEST_F(GemmAppend, RotatesPairsAndRunsOnSm80) {
  runCase({.columns = 64,
           .tokens = 65,
           .value = "int8",
           .pairs = rotary_append::Pairs::Interleaved});
  runCase({.columns = 64,
           .tokens = 130,
           .key = "fp8_e4m3",
           .value = "int8",
           .activation = ElementType::BF16,
           .target = &target::sm80()});
  runCase({.columns = 64,
           .tokens = 130,
           .key = "int4",
           .codes = true,
           .target = &target::sm80()});
}

TEST_F(GemmAppend, TakesEverySchedule) {
  AppendOptions options{.heads = 2,
                        .keyHeads = 1,
                        .size = 128,
                        .columns = 704,
                        .tokens = 100,
                        .key = "int8"};
  auto tile = [](int rowWarps, int tokenWarps, int strips, int tiles) {
    return [=](gemm::Schedule &schedule) {
      schedule.rowWarps = rowWarps;
      schedule.tokenWarps = tokenWarps;
      schedule.stripsPerWarp = strips;
      schedule.tilesPerWarp = tiles;
      schedule.columnWarps = schedule.panels = schedule.slices = 1;
      schedule.blocksPerSm = 1;
    };
  };
  runCase(options, tile(4, 2, 4, 8));
  runCase(options, tile(2, 4, 4, 8));
  runCase(options, tile(2, 2, 4, 8));
  runCase(options, tile(4, 1, 2, 8));
  options.size = 64;
  runCase(options, tile(2, 2, 2, 8));
  for (uint64_t seed : {1, 2, 3})
    runCase(
        options, [](gemm::Schedule &schedule) { schedule.slices = 4; }, seed);
  runCase(options, [](gemm::Schedule &schedule) {
    schedule.columnWarps = schedule.panels = 2;
    schedule.slices = schedule.blocksPerSm = 1;
    schedule.stages = 2;
  });
}

/// What is chosen for a merged projection of an 8B decoder has no spills.
TEST_F(GemmAppend, AssemblesForLongSteps) {
  for (const target::Target *target : target::allTargets())
    for (int64_t tokens : {64, 128, 2048})
      for (const char *weights : {"f16", "int4_g128", "lut4_g128"}) {
        bool book = weights == std::string_view("lut4_g128");
        AppendOptions options{.heads = 32,
                              .keyHeads = 8,
                              .size = 128,
                              .columns = 4096,
                              .tokens = tokens,
                              .key = book ? "f16" : "int8",
                              .value = book ? "f16" : "int4",
                              .target = target};
        SCOPED_TRACE(options.describe());
        gemm::Problem problem = problemOf(options);
        problem.segments[0].weight = *quant::parseFormat(weights);
        auto schedule = gemm::chooseSchedule(problem, *target);
        ASSERT_TRUE(schedule.ok()) << schedule.status().message();
        auto kernel = compile(
            kernelOf(problem, *schedule, *target, tokens).build, *target);
        ASSERT_TRUE(kernel.ok()) << kernel.status().message();
        assemble(*kernel, *target);
      }
}

namespace {
/// A change of the `nth` of what `from` is in a kernel's PTX, from the end.
struct Defect {
  const char *name, *from, *to;
  int nthLast;
};
} // namespace

static const Defect defects[] = {
    {"heads read before all warps have them", "bar.sync", "//", 0},
    {"places read from the sums of others", "st.shared.v2.b32", "//", 0},
};

/// The barrier ahead of the heads and the places are needed: without them the
/// emulator reports a race, or reads of what nobody wrote.
TEST_F(GemmAppend, DefectsAreSeen) {
  AppendOptions options{
      .heads = 2, .keyHeads = 1, .size = 128, .columns = 64, .tokens = 65};
  gemm::Problem problem = problemOf(options);
  gemm::Schedule schedule; // heads of two warps' rows
  schedule.blocksPerSm = 1;
  LinearKernel linear =
      kernelOf(problem, schedule, *options.target, options.tokens);
  for (const Defect &defect : defects) {
    auto kernel = compile(linear.build, *options.target);
    ASSERT_TRUE(kernel.ok());
    size_t at = std::string::npos;
    for (int i = 0; i <= defect.nthLast; ++i)
      at = kernel->ptx.rfind(defect.from, at - 1);
    ASSERT_NE(at, std::string::npos) << defect.name;
    kernel->ptx.replace(at, std::string(defect.from).size(), defect.to);
    std::string found;
    for (uint64_t seed = 1; seed <= 4 && found.empty(); ++seed) {
      Batch batch = batchOf(options);
      Results results = emptyResults(options, untouched);
      found = runLinear(
                  problem, *kernel, linear, options.tokens, results.y,
                  [&](Launch &launch) {
                    addBatch(launch, options, batch, results);
                  },
                  seed)
                  .message();
    }
    EXPECT_TRUE(found.find("race") != std::string::npos ||
                found.find("uninitialised") != std::string::npos)
        << defect.name << ": " << found;
  }
}

/// At least a store of codes and scales, of keys and of values.
TEST_F(GemmAppend, StoresBesideASlotAreSeen) {
  AppendOptions options{.heads = 2,
                        .keyHeads = 1,
                        .columns = 64,
                        .tokens = 33,
                        .key = "int8",
                        .value = "int4"};
  gemm::Problem problem = problemOf(options);
  auto schedule = gemm::chooseSchedule(problem, *options.target);
  ASSERT_TRUE(schedule.ok()) << schedule.status().message();
  EXPECT_GE(movedStoresSeen(
                options, problem,
                kernelOf(problem, *schedule, *options.target, options.tokens)),
            4u);
}

TEST_F(GemmAppend, SaysWhatItCannotDo) {
  auto message = [](const gemm::Problem &problem) {
    return isValid(problem).message();
  };
  EXPECT_EQ(message(problemOf({.size = 96, .tokens = 128})),
            "gemm appends heads that fill tiles, of a power of two of "
            "channels from 2 on; got 96");
  AppendOptions groups{.tokens = 128, .key = "int8_g32"};
  gemm::Problem problem = problemOf(groups);
  problem.append->cache.page = 32;
  EXPECT_EQ(message(problem), "gemm appends no keys in groups of positions, "
                              "some of which other blocks have");
  problem = problemOf({.size = 128, .tokens = 128});
  gemm::Schedule schedule;
  schedule.stripsPerWarp = 2;
  EXPECT_EQ(isValid(problem, schedule, target::sm90a()).message(),
            "an append needs whole heads; got tiles of 64 rows and heads of "
            "128");
  problem.segments[0].rows += 128;
  EXPECT_EQ(message(problem), "an append of other rows than queries, keys and "
                              "values of one size");
}
