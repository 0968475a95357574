// Compiles the text of a kernel module, loads it into this process and calls
// its kernels; shared by the tests of host code generation.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
#ifndef QOPT_TEST_LIB_CODEGEN_HOST_COMPILEDKERNELS_H
#define QOPT_TEST_LIB_CODEGEN_HOST_COMPILEDKERNELS_H

#include "lib/Codegen/Host/HostCodegen.h"
#include "mlir/IR/BuiltinOps.h"
#include "mlir/IR/MLIRContext.h"
#include "mlir/Parser/Parser.h"
#include "runtime/host/CodeObject.h"
#include "gtest/gtest.h"

namespace qopt {

/// A module of kernels as machine code in this process.
class CompiledKernels {
public:
  explicit CompiledKernels(
      llvm::StringRef text,
      codegen::HostTarget target = *codegen::parseHostTarget("x86-64-v2")) {
    mlir::DialectRegistry registry;
    codegen::registerHostCodegen(registry);
    context.appendDialectRegistry(registry);
    context.loadAllAvailableDialects();
    auto module = mlir::parseSourceString<mlir::ModuleOp>(text, &context);
    if (!module)
      return;
    auto generated = codegen::generateHostCode(*module, target);
    if (mlir::failed(generated))
      return;
    code = std::move(*generated);
    auto loaded =
        runtime::CodeObject::load(code.object.data(), code.object.size());
    EXPECT_TRUE(loaded.ok()) << loaded.status().message();
    if (loaded.ok())
      object = *loaded;
  }

  /// Runs the only kernel, or that of `name`, over its whole range in `pieces`.
  void run(std::vector<void *> buffers, std::vector<int64_t> sizes,
           int64_t pieces = 1, llvm::StringRef name = "") {
    ASSERT_TRUE(object);
    const codegen::HostKernel *kernel = &code.kernels.front();
    for (const codegen::HostKernel &candidate : code.kernels)
      if (candidate.symbol == name)
        kernel = &candidate;
    ASSERT_EQ(buffers.size(), kernel->buffers);
    ASSERT_EQ(sizes.size(), kernel->sizes);
    int64_t extent = extentOf(*kernel, sizes);
    auto entry = object->kernel(kernel->symbol);
    ASSERT_TRUE(entry.ok());
    for (int64_t piece = 0; piece < pieces; ++piece)
      (*entry)(buffers.data(), sizes.data(), extent *piece / pieces,
               extent * (piece + 1) / pieces);
  }

  static int64_t extentOf(const codegen::HostKernel &kernel,
                          llvm::ArrayRef<int64_t> sizes) {
    llvm::SmallVector<mlir::Attribute> symbols, results;
    for (int64_t size : sizes)
      symbols.push_back(mlir::IntegerAttr::get(
          mlir::IndexType::get(kernel.range.extent.getContext()), size));
    EXPECT_TRUE(
        mlir::succeeded(kernel.range.extent.constantFold(symbols, results)));
    return mlir::cast<mlir::IntegerAttr>(results.front()).getInt();
  }

  mlir::MLIRContext context;
  codegen::HostCode code;
  std::shared_ptr<runtime::CodeObject> object;
};

} // namespace qopt

#endif // QOPT_TEST_LIB_CODEGEN_HOST_COMPILEDKERNELS_H
