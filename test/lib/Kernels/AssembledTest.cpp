// What ptxas makes of a kernel decides on the test that has it assembled.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
#include "KernelTest.h"

#include "lib/Codegen/Cuda/Ptxas.h"

#include <gtest/gtest-spi.h>

using namespace qopt;
using namespace qopt::kernels;

namespace {
struct Assembled : test::KernelTest {
  using KernelTest::TearDown;
};
} // namespace

static test::Compiled kernelOf(const char *symbol, const char *body) {
  return {symbol,
          ".version 8.3\n.target sm_90a\n.address_size 64\n\n.visible .entry " +
              std::string(symbol) + "() {\n" + body + "\n}\n",
          83};
}

TEST_F(Assembled, refusedKernelsFailTheTest) {
  if (!codegen::Ptxas::find())
    GTEST_SKIP() << "there is no ptxas here";
  test::assemble(kernelOf("plain", "ret;"), target::sm90a());
  test::assemble(kernelOf("plain", "ret;"), target::sm90a());
  test::assemble(kernelOf("unknown", "frobnicate;"), target::sm90a());
  EXPECT_NONFATAL_FAILURE(TearDown(), "frobnicate");
}

/// What is assembled first is not forgotten for another kernel of its symbol.
TEST_F(Assembled, kernelsOfOneSymbolAreAssembledOneByOne) {
  if (!codegen::Ptxas::find())
    GTEST_SKIP() << "there is no ptxas here";
  test::assemble(kernelOf("same", "frobnicate;"), target::sm90a());
  EXPECT_NONFATAL_FAILURE(
      test::assemble(kernelOf("same", "ret;"), target::sm90a()), "frobnicate");
}
