// LowerPtx: the first step of code generation for a GPU as a pass, so that one
// can see and test it. The pattern is lib/Codegen/Cuda/PtxToLLVM.h's.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
#include "lib/Codegen/Cuda/PtxToLLVM.h"
#include "mlir/Dialect/LLVMIR/LLVMDialect.h"
#include "mlir/Pass/Pass.h"
#include "passes/Lower/Passes.h"

namespace qopt::passes {
#define GEN_PASS_DEF_LOWERPTXPASS
#include "passes/Lower/Passes.h.inc"
} // namespace qopt::passes

namespace {
struct LowerPtxPass : qopt::passes::impl::LowerPtxPassBase<LowerPtxPass> {
  void runOnOperation() override { qopt::codegen::lowerPtx(getOperation()); }
};
} // namespace
