// A kernel is built with an epilogue that fits its problem, or not at all.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
#include "lib/Kernels/SkinnyLinear/SkinnyLinearGenerator.h"

#include "dialects/AllDialects.h"
#include "mlir/IR/BuiltinOps.h"
#include "mlir/IR/MLIRContext.h"

#include <gtest/gtest.h>

using namespace qopt;
using namespace qopt::kernels::skinny_linear;

TEST(Epilogue, argumentsHaveToFit) {
  mlir::DialectRegistry registry;
  registerAllDialects(registry);
  mlir::MLIRContext context(registry);
  context.loadAllAvailableDialects();
  mlir::OwningOpRef<mlir::ModuleOp> module =
      mlir::ModuleOp::create(mlir::UnknownLoc::get(&context));
  mlir::OpBuilder builder(module->getBodyRegion());
  auto kernels =
      mlir::gpu::GPUModuleOp::create(builder, module->getLoc(), "kernels");
  const target::Target &target = target::sm90a();
  Problem problem;
  problem.columns = 128;
  problem.segments = {{16, *quant::parseFormat("int4_g128")}};
  problem.operands = {{}};
  Schedule schedule = *chooseSchedule(problem, target);
  auto built = buildKernel(kernels, problem, schedule, target, nullptr);
  ASSERT_FALSE(built.ok());
  EXPECT_EQ(built.status().message(),
            "the epilogue of 1 operands has 0 arguments; expected 2");
  problem.operands.clear();
  EXPECT_TRUE(buildKernel(kernels, problem, schedule, target, nullptr).ok());
}
