// write-generic-kernels KERNELS.mlir ARCH OUT.ptx: compiles kernels in the form
// of lib/Codegen/Host/KernelLoops.h for a GPU, and prints how each is launched
// as JSON, so that tests in Python run them. SIZE… behind the file names are
// values for the size arguments, for which the grid is computed.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
#include "lib/Codegen/Cuda/CudaCodegen.h"
#include "lib/Codegen/TemporaryFolder.h"
#include "mlir/Dialect/Func/IR/FuncOps.h"
#include "mlir/Dialect/Linalg/IR/Linalg.h"
#include "mlir/IR/BuiltinOps.h"
#include "mlir/IR/MLIRContext.h"
#include "mlir/Parser/Parser.h"

using namespace qopt;

/// The kernel's extent where `sizes` are its first size arguments.
static int64_t extentOf(const codegen::GenericKernel &kernel,
                        llvm::ArrayRef<int64_t> sizes) {
  mlir::Builder builder(kernel.range.extent.getContext());
  llvm::SmallVector<mlir::Attribute> symbols, results;
  for (unsigned i = 0; i < kernel.sizes; ++i)
    symbols.push_back(builder.getIndexAttr(i < sizes.size() ? sizes[i] : 0));
  if (failed(kernel.range.extent.constantFold(symbols, results)))
    return -1;
  return llvm::cast<mlir::IntegerAttr>(results.front()).getInt();
}

int main(int argc, char **argv) {
  if (argc < 4)
    return llvm::errs() << "error: expected KERNELS.mlir ARCH OUT.ptx\n", 2;
  mlir::DialectRegistry registry;
  codegen::registerCudaCodegen(registry);
  mlir::MLIRContext context(registry);
  context.loadAllAvailableDialects();
  auto module = mlir::parseSourceFile<mlir::ModuleOp>(argv[1], &context);
  auto targets = target::parseArchitectures(argv[2]);
  if (!module || !targets)
    return llvm::errs() << targets.status().message() << "\n", 1;
  auto code = codegen::generateCudaCode(*module, *targets->front(),
                                        codegen::CodeCache::ofUser());
  if (mlir::failed(code))
    return 1;
  Status written = codegen::writeFile(argv[3], code->ptx.text);
  if (!written.ok())
    return llvm::errs() << written.message() << "\n", 1;
  llvm::SmallVector<int64_t> sizes;
  for (int i = 4; i < argc; ++i)
    sizes.push_back(std::strtoll(argv[i], nullptr, 10));
  const char *separator = "{";
  for (const codegen::GenericKernel &kernel : code->kernels) {
    llvm::outs() << separator << "\"" << kernel.symbol
                 << "\": {\"buffers\": " << kernel.buffers
                 << ", \"sizes\": " << kernel.sizes
                 << ", \"extent\": " << extentOf(kernel, sizes)
                 << ", \"threads\": " << kernel.range.threads
                 << ", \"perBlock\": " << kernel.range.perBlock << "}";
    separator = ", ";
  }
  llvm::outs() << "}\n";
  return 0;
}
