// Passes are left out of -O3, in all of their turns or in one.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
#include "lib/Codegen/Cuda/PtxEmitter.h"

#include "lib/Codegen/Emitter.h"
#include "llvm/AsmParser/Parser.h"
#include "llvm/IR/LLVMContext.h"
#include "llvm/IR/Module.h"
#include "llvm/Support/SourceMgr.h"
#include "llvm/Target/TargetMachine.h"

#include <gtest/gtest.h>

using namespace qopt;
using namespace qopt::codegen;

/// Whether TailCallElim, which -O3 runs twice, has marked a call.
static bool isMarked(llvm::ArrayRef<LeftOutPass> leftOut) {
  llvm::LLVMContext context;
  llvm::SMDiagnostic error;
  auto module =
      llvm::parseAssemblyString("declare void @g()\ndefine void @f() {\n  call "
                                "void @g()\n  ret void\n}\n",
                                error, context);
  auto machine = createPtxMachine(target::sm90a(), 83);
  EXPECT_TRUE(module && machine.ok());
  if (!module || !machine.ok())
    return false;
  prepare(*module, **machine);
  optimise(*module, **machine, {}, leftOut);
  const auto &call =
      llvm::cast<llvm::CallInst>(module->getFunction("f")->front().front());
  return call.isTailCall();
}

TEST(PtxEmitter, leavesOutPasses) {
  EXPECT_TRUE(isMarked({}));
  EXPECT_TRUE(isMarked({{"ADCEPass"}}));
  EXPECT_TRUE(isMarked({{"TailCallElimPass", 0}}));
  EXPECT_FALSE(isMarked({{"TailCallElimPass"}}));
}
