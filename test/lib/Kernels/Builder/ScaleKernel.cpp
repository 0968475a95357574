// The kernel that the builder's README shows, and the program that prints its
// PTX: test_builder_readme.py compares both with the page.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
#include "lib/Codegen/Cuda/CudaCodegen.h"
#include "lib/Kernels/Builder/Kernel.h"

#include "dialects/AllDialects.h"
#include "mlir/IR/BuiltinOps.h"
#include "mlir/IR/MLIRContext.h"

using namespace qopt;
using namespace qopt::kernels;

// y[i] = 2 · x[i], one thread an element.
static void buildScale(mlir::gpu::GPUModuleOp module,
                       const target::Target &target) {
  constexpr int threads = 128;
  enum { X, Y, N };
  Kernel k(module, "scale",
           {{Argument::Dependent, "x"},
            {Argument::Dependent, "y"},
            {Argument::Integer, "n"}},
           {threads}, target);
  mlir::Type f32 = k.builder().getF32Type();
  Int i = k.block() * threads + k.thread();
  k.waitForPredecessor(); // x may be what the kernel before writes
  k.when(i < k.integer(N), [&] {
    Real x = k.loadReal(k.pointer(X).at(i, 4), f32);
    k.storeReal(k.pointer(Y).at(i, 4), x * 2.0, f32);
  });
  k.finish();
}

int main() {
  mlir::DialectRegistry registry;
  registerAllDialects(registry);
  codegen::registerCudaCodegen(registry);
  mlir::MLIRContext context(registry);
  context.loadAllAvailableDialects();
  mlir::OwningOpRef<mlir::ModuleOp> module =
      mlir::ModuleOp::create(mlir::UnknownLoc::get(&context));
  mlir::OpBuilder builder(module->getBodyRegion());
  auto kernels =
      mlir::gpu::GPUModuleOp::create(builder, module->getLoc(), "kernels");
  buildScale(kernels, target::sm90a());
  auto code =
      codegen::generatePtx(kernels, target::sm90a(), codegen::CodeCache(""));
  if (failed(code))
    return 1;
  llvm::outs() << code->text;
  return 0;
}
