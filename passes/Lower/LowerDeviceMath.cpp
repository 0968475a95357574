// LowerDeviceMath: a step of code generation for a GPU as a pass, so that one
// can see and test it. The patterns are lib/Codegen/Cuda/DeviceLowering.h's.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
#include "lib/Codegen/Cuda/DeviceLowering.h"
#include "mlir/Dialect/Arith/IR/Arith.h"
#include "mlir/Dialect/Func/IR/FuncOps.h"
#include "mlir/Dialect/LLVMIR/LLVMDialect.h"
#include "mlir/Pass/Pass.h"
#include "passes/Lower/Passes.h"

namespace qopt::passes {
#define GEN_PASS_DEF_LOWERDEVICEMATHPASS
#include "passes/Lower/Passes.h.inc"
} // namespace qopt::passes

namespace {
struct LowerDeviceMathPass
    : qopt::passes::impl::LowerDeviceMathPassBase<LowerDeviceMathPass> {
  void runOnOperation() override {
    if (failed(qopt::codegen::lowerDeviceMath(getOperation())))
      signalPassFailure();
  }
};
} // namespace
