// The kernels of gemm assemble for every architecture without spills, local
// memory or advisories, and their main loops have as few instructions beside
// the products as the cost model says.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
#include "Build.h"

#include "lib/Codegen/Cuda/KernelPtx.h"
#include "lib/Codegen/Cuda/Ptxas.h"
#include "lib/Codegen/Cuda/Sass.h"

#include <gtest/gtest.h>

using namespace qopt;
using namespace qopt::kernels;
using namespace qopt::kernels::gemm;

namespace {
struct Loop {
  const char *text, *product; ///< opcode of the products
  double most;                ///< instructions a product
  double tolerance = 0.1;     ///< of the cost's count
};
} // namespace

static const Loop loops[] = {
    {"rows=4096:f16", "HMMA", 2.0},
    {"rows=4096:int8", "HMMA", 2.9},
    // sm_80 converts by integers; sm_90a at half rate, which costs two.
    {"rows=4096:fp8_e4m3", "HMMA", 4.4, 0.2},
    {"rows=4096:int4_g128", "HMMA", 3.7},
    {"rows=4096:int4_asym_g32", "HMMA", 4.4},
    {"rows=4096:int4_asym", "HMMA", 3.6},
    {"rows=4096:int4_asym_zf", "HMMA", 4.0},
    {"rows=4096:int4_g32_sf32", "HMMA", 4.7},
    {"rows=4096:int4_asym_g32_sf32", "HMMA", 5.4},
    {"act=bf16 rows=4096:int8_g128_sf32", "HMMA", 5.1},
    {"act=bf16 rows=4096:int4_g128", "HMMA", 4.0},
    {"act=bf16 rows=4096:int8", "HMMA", 3.7},
    {"act=bf16 rows=4096:fp8_e4m3_g128", "HMMA", 5.5},
    {"act=int8 rows=4096:int8", "IMMA", 3.2},
    {"rows=4096:f16 strips_per_warp=2", "HMMA", 2.6},
    {"rows=4096:int4_asym_g32 strips_per_warp=2", "HMMA", 5.0},
    {"rows=4096:int4_g128 token_warps=1 column_warps=2 panels=2", "HMMA", 3.62},
    {"rows=4096:int4_g128 token_warps=1 row_warps=4 panels=2", "HMMA", 3.6},
};

namespace {
/// A loop's kernel.
struct Job {
  const Loop *loop;
  Case test;
  test::Compiled kernel;
};
} // namespace

/// Each kernel in the first text that has none of its symbol.
static std::vector<std::vector<Job>> textsOf(std::vector<Job> jobs) {
  std::vector<std::vector<Job>> texts;
  for (Job &job : jobs) {
    auto text = llvm::find_if(texts, [&](const std::vector<Job> &text) {
      return llvm::none_of(text, [&](const Job &other) {
        return other.kernel.symbol == job.kernel.symbol;
      });
    });
    if (text == texts.end())
      text = texts.emplace(text);
    text->push_back(std::move(job));
  }
  return texts;
}

static StatusOr<codegen::Assembly> assembled(const codegen::Ptxas &ptxas,
                                             const std::vector<Job> &text) {
  const target::Target *target = text.front().test.layer.target;
  std::vector<std::string> bodies;
  codegen::PtxTarget written{target, 0};
  for (const Job &job : text) {
    bodies.push_back(job.kernel.body());
    written.version = std::max(written.version, job.kernel.ptxVersion);
  }
  auto code =
      ptxas.assemble({{codegen::joinKernelPtx(bodies, written), target}},
                     codegen::CodeCache::ofUser(), 1);
  if (!code)
    return code.status();
  return code->front();
}

/// Instructions a product in the main loop of `symbol`.
static double instructionsOf(const std::vector<codegen::SassKernel> &kernels,
                             const std::string &symbol, const char *product) {
  auto kernel = llvm::find_if(
      kernels, [&](const auto &each) { return each.symbol == symbol; });
  if (kernel == kernels.end())
    return 0;
  const codegen::SassLoop *loop = kernel->mainLoop(product);
  if (!loop)
    return 0;
  std::map<std::string, int> counts = kernel->count(*loop);
  int all = 0;
  for (const auto &[opcode, count] : counts)
    all += count;
  return double(all) / counts[product];
}

/// The loops' kernels for one architecture.
static std::vector<Job> jobsOf(const target::Target &target) {
  std::vector<Job> jobs;
  for (const Loop &loop : loops) {
    std::string text =
        "tokens=512 k=4096 row_warps=2 token_warps=2 strips_per_warp=4 "
        "stages=3 slices=1 blocks_per_sm=2 arch=" +
        std::string(target.name) + " " + loop.text;
    auto test = gemm::parseCase(text);
    EXPECT_TRUE(test.ok()) << text << ": " << test.status().message();
    auto kernel = test.ok() ? compileCase(*test) : test.status();
    EXPECT_TRUE(kernel.ok()) << text;
    if (kernel.ok())
      jobs.push_back({&loop, *test, *kernel});
  }
  return jobs;
}

TEST(GemmAssembled, withoutSpillsAndLean) {
  auto ptxas = codegen::Ptxas::find();
  if (!ptxas)
    GTEST_SKIP() << ptxas.status().message();
  for (const target::Target *target : target::allTargets())
    for (const std::vector<Job> &text : textsOf(jobsOf(*target))) {
      auto code = assembled(*ptxas, text);
      ASSERT_TRUE(code.ok()) << code.status().message();
      EXPECT_EQ(code->kernels.size(), text.size());
      Status clean =
          codegen::requireClean(code->kernels, [](auto) { return true; });
      EXPECT_TRUE(clean.ok()) << clean.message();
      auto sass = codegen::disassemble(code->cubin);
      if (!sass)
        continue;
      std::vector<codegen::SassKernel> kernels = codegen::parseSass(*sass);
      for (const auto &[loop, test, kernel] : text) {
        SCOPED_TRACE(std::string(target->name) + " " + loop->text);
        double counted = instructionsOf(kernels, kernel.symbol, loop->product);
        EXPECT_GT(counted, 0);
        EXPECT_LE(counted, loop->most);
        Cost cost = costOf(test.problem, test.schedule, *target);
        EXPECT_NEAR(cost.instructionsPerProduct, counted,
                    loop->tolerance * counted);
      }
    }
}

/// Those that need most registers, with the tiles that are chosen for them.
TEST(GemmAssembled, whatNeedsMostRegistersSpillsNothing) {
  auto ptxas = codegen::Ptxas::find();
  if (!ptxas)
    GTEST_SKIP() << ptxas.status().message();
  for (const char *arch : {"sm_80", "sm_90a"})
    for (const char *text :
         {"tokens=128 rows=4096:int6_asym_g64_zf_sf32",
          "tokens=2048 rows=4096:int6_asym_g64_zf_sf32",
          "act=bf16 tokens=2048 rows=4096:int3_asym_g64_zf_sf32",
          "tokens=2048 rows=4096:int6_asym_g32_sf32",
          "tokens=2048 rows=4096:int6_asym_zf",
          "act=bf16 tokens=128 rows=4096:int3_asym_zf",
          "act=int8 tokens=256 k=14336 rows=4096:int8"}) {
      auto test =
          gemm::parseCase(std::string("k=4096 arch=") + arch + " " + text);
      ASSERT_TRUE(test.ok()) << text << ": " << test.status().message();
      auto kernel = compileCase(*test);
      ASSERT_TRUE(kernel.ok()) << text;
      auto assembled = ptxas->assemble({{kernel->ptx, test->layer.target}},
                                       codegen::CodeCache::ofUser(), 1);
      ASSERT_TRUE(assembled.ok()) << assembled.status().message();
      Status clean = codegen::requireClean(assembled->front().kernels,
                                           [](auto) { return true; });
      EXPECT_TRUE(clean.ok()) << text << ": " << clean.message();
    }
}
