// Input: a model.onnx. It is read as qopt-compile reads it, and as --check
// does, which looks at no weight. What is imported is valid; why it is not is
// said without characters that a terminal obeys.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
#include "MemoryFile.h"
#include "lib/Import/Onnx/Importer.h"
#include "mlir/IR/MLIRContext.h"
#include "mlir/IR/Verifier.h"
#include "llvm/ADT/STLExtras.h"
#include "llvm/ADT/StringExtras.h"

using namespace qopt;

static void importFile(const std::string &path, import::ImportReport *report) {
  mlir::MLIRContext context(mlir::MLIRContext::Threading::DISABLED);
  import::ImportOptions options;
  options.report = report;
  auto module = import::importOnnx(path, options, context);
  if (!module) {
    fuzz::requireMessage(module.status());
    return fuzz::require(llvm::none_of(module.status().message(),
                                       [](char c) {
                                         return c != '\n' && llvm::isASCII(c) &&
                                                !llvm::isPrint(c);
                                       }),
                         "names in messages are printable");
  }
  fuzz::require(mlir::succeeded(mlir::verify(**module)),
                "what was imported is valid");
}

extern "C" int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size) {
  fuzz::MemoryFile file(data, size);
  importFile(file.path(), nullptr);
  import::ImportReport report;
  importFile(file.path(), &report);
  return 0;
}
