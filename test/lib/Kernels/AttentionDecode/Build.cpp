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

StatusOr<std::string> attention_decode::buildPtx(const Case &test) {
  mlir::DialectRegistry registry;
  registerAllDialects(registry);
  codegen::registerCudaCodegen(registry);
  mlir::MLIRContext context(registry);
  context.loadAllAvailableDialects();
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
