// Generic kernels assemble for every architecture without spills, and the same
// module gives the same text in another context.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
#include "lib/Codegen/Cuda/CudaCodegen.h"
#include "lib/Codegen/Cuda/Ptxas.h"
#include "mlir/Dialect/Func/IR/FuncOps.h"
#include "mlir/IR/BuiltinOps.h"
#include "mlir/IR/MLIRContext.h"
#include "mlir/Parser/Parser.h"
#include <gtest/gtest.h>

using namespace qopt;
using namespace qopt::codegen;

static mlir::FailureOr<CudaCode> generate(mlir::MLIRContext &context,
                                          const target::Target &target) {
  mlir::DialectRegistry registry;
  registerCudaCodegen(registry);
  context.appendDialectRegistry(registry);
  context.loadAllAvailableDialects();
  auto module =
      mlir::parseSourceFile<mlir::ModuleOp>(GENERIC_KERNELS, &context);
  if (!module)
    return mlir::failure();
  return generateCudaCode(*module, target, CodeCache(""));
}

TEST(GenericKernels, theTextDependsOnTheModuleAlone) {
  mlir::MLIRContext first, second;
  auto one = generate(first, target::sm90a());
  auto two = generate(second, target::sm90a());
  ASSERT_TRUE(mlir::succeeded(one) && mlir::succeeded(two));
  EXPECT_EQ(one->ptx.text, two->ptx.text);
  EXPECT_EQ(one->kernels.size(), one->ptx.kernels.size());
}

TEST(GenericKernels, everyArchitectureAssembles) {
  StatusOr<Ptxas> ptxas = Ptxas::find();
  if (!ptxas)
    GTEST_SKIP() << ptxas.status().message();
  for (const target::Target *target : target::allTargets()) {
    mlir::MLIRContext context;
    auto code = generate(context, *target);
    ASSERT_TRUE(mlir::succeeded(code));
    auto assemblies =
        ptxas->assemble({{code->ptx.text, target}}, CodeCache(""), 1);
    ASSERT_TRUE(assemblies.ok()) << assemblies.status().message();
    const Assembly &assembly = assemblies->front();
    ASSERT_EQ(assembly.kernels.size(), code->kernels.size());
    for (size_t i = 0; i < code->kernels.size(); ++i) {
      EXPECT_EQ(assembly.kernels[i].symbol, code->kernels[i].symbol);
      EXPECT_EQ(code->ptx.kernels[i].block[0], code->kernels[i].range.threads);
    }
    Status clean =
        requireClean(assembly.kernels, [](llvm::StringRef) { return true; });
    EXPECT_TRUE(clean.ok()) << clean.message();
  }
}
