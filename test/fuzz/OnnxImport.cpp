// Input: a model.onnx. It is read as qopt-compile reads it, and as --check
// does, which looks at no weight; of what is imported the sizes are computed,
// which the first passes do. It is valid; why it is not is said without
// characters that a terminal obeys.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
#include "MemoryFile.h"
#include "dialects/Onnx/SymbolicShapes.h"
#include "lib/Import/Onnx/Importer.h"
#include "mlir/Dialect/Func/IR/FuncOps.h"
#include "mlir/IR/MLIRContext.h"
#include "mlir/IR/Verifier.h"
#include "llvm/ADT/STLExtras.h"
#include "llvm/ADT/StringExtras.h"

using namespace qopt;

static void requirePrintable(const Status &status) {
  fuzz::requireMessage(status);
  bool isPrintable = llvm::none_of(status.message(), [](char c) {
    return c != '\n' && llvm::isASCII(c) && !llvm::isPrint(c);
  });
  fuzz::require(isPrintable, "names in messages are printable");
}

static void importFile(const std::string &path, import::ImportReport *report) {
  mlir::MLIRContext context(mlir::MLIRContext::Threading::DISABLED);
  import::ImportOptions options;
  options.report = report;
  auto module = import::importOnnx(path, options, context);
  if (!module)
    return requirePrintable(module.status());
  fuzz::require(mlir::succeeded(mlir::verify(**module)),
                "what was imported is valid");
  for (auto function : (*module)->getOps<mlir::func::FuncOp>()) {
    onnx::SymbolicShapes shapes(&context);
    if (Status status = shapes.run(function); !status)
      fuzz::requireMessage(status);
  }
}

extern "C" int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size) {
  fuzz::MemoryFile file(data, size);
  importFile(file.path(), nullptr);
  import::ImportReport report;
  importFile(file.path(), &report);
  return 0;
}
