// The kernels of gemm assemble for every architecture without spills, local
// memory or advisories; the main loop has few instructions beside products.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
#include "Build.h"

#include "lib/Codegen/Cuda/Ptxas.h"
#include "lib/Codegen/Cuda/Sass.h"

#include <gtest/gtest.h>

#include <iostream>

using namespace qopt;
using namespace qopt::kernels;
using namespace qopt::kernels::gemm;

namespace {
struct Loop {
  const char *text, *product; ///< opcode of the products
  double most;                ///< instructions a product
};
} // namespace

static const Loop loops[] = {
    {"k=4096 rows=4096:f16", "HMMA", 2.0},
    {"k=4096 rows=4096:int8", "HMMA", 3.0},
    {"k=4096 rows=4096:int4_g128", "HMMA", 4.0},
    {"k=4096 rows=4096:int4_asym_g32", "HMMA", 5.0},
    {"act=bf16 k=4096 rows=4096:int4_g128", "HMMA", 4.0},
    {"act=bf16 k=4096 rows=4096:int8", "HMMA", 4.0},
    {"act=int8 k=4096 rows=4096:int8", "IMMA", 3.0},
};

static const char *const tiles[] = {
    "row_warps=4 token_warps=2 strips_per_warp=4 blocks_per_sm=1",
    "row_warps=2 token_warps=2 strips_per_warp=4 blocks_per_sm=2",
    "row_warps=2 token_warps=2 strips_per_warp=2 blocks_per_sm=2",
};

TEST(GemmAssembled, withoutSpillsAndLean) {
  auto ptxas = codegen::Ptxas::find();
  if (!ptxas)
    GTEST_SKIP() << ptxas.status().message();
  for (const target::Target *target : target::allTargets())
    for (const Loop &loop : loops)
      for (const char *tile : tiles) {
        std::string text = "tokens=512 slices=1 stages=3 " +
                           std::string(loop.text) + " " + tile +
                           " arch=" + std::string(target->name);
        auto test = gemm::parseCase(text);
        ASSERT_TRUE(test.ok()) << text << ": " << test.status().message();
        auto kernel = compileCase(*test);
        ASSERT_TRUE(kernel.ok()) << text;
        auto assembled = ptxas->assemble({{kernel->ptx, target}},
                                         codegen::CubinCache::inHome(), 1);
        ASSERT_TRUE(assembled.ok()) << assembled.status().message();
        const codegen::Assembly &code = assembled->front();
        Status clean =
            codegen::requireClean(code.kernels, [](auto) { return true; });
        EXPECT_TRUE(clean.ok()) << text << ": " << clean.message();
        auto sass = codegen::disassemble(code.cubin);
        if (!sass)
          continue; // no disassembler here
        std::vector<codegen::SassKernel> kernels = codegen::parseSass(*sass);
        ASSERT_EQ(kernels.size(), 1u);
        const codegen::SassLoop *main = kernels[0].mainLoop(loop.product);
        ASSERT_NE(main, nullptr) << text;
        std::map<std::string, int> counts = kernels[0].count(*main);
        int all = 0;
        for (const auto &[opcode, count] : counts)
          all += count;
        double perProduct = double(all) / counts[loop.product];
        std::cout << text << ": " << perProduct
                  << " instructions a product, predicted "
                  << costOf(test->problem, test->schedule, *target)
                         .instructionsPerProduct
                  << ", " << code.kernels[0].registers << " registers\n";
        EXPECT_LE(perProduct,
                  loop.most * (test->schedule.stripsPerWarp == 2 ? 1.2 : 1))
            << text;
      }
}
