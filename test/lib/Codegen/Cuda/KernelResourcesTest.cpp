// ptxas' report becomes numbers, and hot kernels must be free of spills, local
// memory and advisories.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
#include "lib/Codegen/Cuda/KernelResources.h"
#include <gtest/gtest.h>

using namespace qopt;
using namespace qopt::codegen;

static constexpr const char *report = R"(
ptxas info    : (C7508) setmaxnreg ignored; unable to determine register count at entry
ptxas info    : 0 bytes gmem, 24 bytes cmem[4]
ptxas info    : Compiling entry function 'wide' for 'sm_90a'
ptxas info    : Function properties for wide
    48 bytes stack frame, 60 bytes spill stores, 72 bytes spill loads
ptxas info    : Used 168 registers, used 3 barriers, 2048 bytes smem, 380 bytes cmem[0]
ptxas info    : (C7510) Potential Performance Loss: wgmma.mma_async instructions are serialized in the function 'wide'
ptxas info    : Compile time = 5.564 ms
ptxas info    : Compiling entry function 'narrow' for 'sm_90a'
ptxas info    : Function properties for narrow
    0 bytes stack frame, 0 bytes spill stores, 0 bytes spill loads
ptxas info    : Used 18 registers, used 0 barriers
)";

static Status requireAll(const std::vector<KernelResources> &kernels) {
  return requireClean(kernels, [](llvm::StringRef) { return true; });
}

TEST(KernelResources, reportsBecomeNumbers) {
  std::vector<KernelResources> kernels = parsePtxasReport(report);
  ASSERT_EQ(kernels.size(), 2u);
  const KernelResources &wide = kernels[0], &narrow = kernels[1];
  EXPECT_EQ(wide.symbol, "wide");
  EXPECT_EQ(wide.registers, 168);
  EXPECT_EQ(wide.barriers, 3);
  EXPECT_EQ(wide.sharedBytes, 2048);
  EXPECT_EQ(wide.localBytes, 48);
  EXPECT_EQ(wide.spillStoreBytes, 60);
  EXPECT_EQ(wide.spillLoadBytes, 72);
  EXPECT_EQ(narrow.registers, 18);
  EXPECT_EQ(narrow.sharedBytes, 0);
}

TEST(KernelResources, advisoriesBelongToTheirKernelOrToAll) {
  std::vector<KernelResources> kernels = parsePtxasReport(report);
  ASSERT_EQ(kernels[0].advisories.size(), 2u);
  EXPECT_NE(kernels[0].advisories[1].find("C7510"), std::string::npos);
  ASSERT_EQ(kernels[1].advisories.size(), 1u);
  EXPECT_NE(kernels[1].advisories[0].find("C7508"), std::string::npos);
}

TEST(KernelResources, aHotKernelIsClean) {
  std::vector<KernelResources> kernels = parsePtxasReport(report);
  Status status = requireAll(kernels);
  EXPECT_EQ(status.code(), StatusCode::Infeasible);
  EXPECT_NE(status.message().find("kernel \"wide\" spills 60 bytes, uses 48 "
                                  "bytes of local memory"),
            std::string::npos)
      << status.message();
  EXPECT_NE(status.message().find("C7510"), std::string::npos);
  EXPECT_NE(status.message().find("kernel \"narrow\" has the advisory"),
            std::string::npos);
  Status named = requireClean(
      kernels, [](llvm::StringRef) { return true; },
      [](llvm::StringRef symbol) { return ("grid of " + symbol).str(); });
  EXPECT_NE(named.message().find(
                "kernel \"wide\" of schedule grid of wide spills 60 bytes"),
            std::string::npos)
      << named.message();
  // Only what is hot is asked.
  EXPECT_TRUE(
      requireClean(kernels, [](llvm::StringRef) { return false; }).ok());
  kernels[1].advisories.clear();
  EXPECT_TRUE(requireClean(kernels, [](llvm::StringRef symbol) {
                return symbol == "narrow";
              }).ok());
}

TEST(KernelResources, whatIsNoCubinHasNoSizes) {
  std::vector<KernelResources> kernels = parsePtxasReport(report);
  Status status = readCodeSizes("no ELF", kernels);
  EXPECT_EQ(status.code(), StatusCode::Internal);
  EXPECT_NE(status.message().find("no ELF file"), std::string::npos);
}
