// From a case to the PTX of its kernel.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
#include "Build.h"

#include "dialects/AllDialects.h"
#include "lib/Codegen/Cuda/CudaCodegen.h"
#include "lib/Kernels/AttentionDecode/AttentionDecodeGenerator.h"
#include "lib/Kernels/AttentionPrefill/AttentionPrefillGenerator.h"

#include "mlir/IR/BuiltinOps.h"
#include "mlir/IR/Verifier.h"

using namespace qopt;
using namespace qopt::kernels;

/// One for all kernels: making one takes as long as a small kernel.
static mlir::MLIRContext &sharedContext() {
  static const std::unique_ptr<mlir::MLIRContext> context = [] {
    mlir::DialectRegistry registry;
    registerAllDialects(registry);
    codegen::registerCudaCodegen(registry);
    auto made = std::make_unique<mlir::MLIRContext>(registry);
    made->loadAllAvailableDialects();
    return made;
  }();
  return *context;
}

StatusOr<std::string> attention_decode::buildPtx(const Case &test) {
  mlir::MLIRContext &context = sharedContext();
  auto module = mlir::OwningOpRef<mlir::ModuleOp>(
      mlir::ModuleOp::create(mlir::UnknownLoc::get(&context)));
  mlir::OpBuilder builder(module->getBodyRegion());
  auto kernels =
      mlir::gpu::GPUModuleOp::create(builder, module->getLoc(), "kernels");
  auto built =
      test.schedule.division == Division::Rows
          ? attention_prefill::buildKernel(kernels, test.problem, test.schedule,
                                           *test.target)
          : buildKernel(kernels, test.problem, test.schedule, *test.target);
  if (!built)
    return built.status();
  if (failed(mlir::verify(*module)))
    return Status(StatusCode::Internal, "the kernel does not verify");
  auto code =
      codegen::generatePtx(kernels, *test.target, codegen::CodeCache::ofUser());
  if (failed(code))
    return Status(StatusCode::Internal, "the kernel has no PTX");
  return code->text;
}
