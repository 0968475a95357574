// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
#include "tools/qopt-translate/ModuleReader.h"

#include "dialects/AllDialects.h"
#include "lib/Codegen/Cuda/CudaCodegen.h"
#include "mlir/Parser/Parser.h"
#include "mlir/Support/FileUtilities.h"

namespace qopt::translate {

static mlir::DialectRegistry makeRegistry() {
  mlir::DialectRegistry registry;
  registerAllDialects(registry);
  codegen::registerCudaCodegen(registry);
  return registry;
}

ModuleReader::ModuleReader(std::string path)
    : path(std::move(path)), stream(diagnostics), context(makeRegistry()) {}

StatusOr<mlir::ModuleOp> ModuleReader::read() {
  std::string message;
  auto file = mlir::openInputFile(path, &message);
  if (!file)
    return Status(StatusCode::NotFound, message);
  sources.AddNewSourceBuffer(std::move(file), llvm::SMLoc());
  handler.emplace(sources, &context, stream);
  module = mlir::parseSourceFile<mlir::ModuleOp>(sources, &context);
  if (!module)
    return bad("'" + path + "' is not MLIR");
  return *module;
}

Status ModuleReader::bad(const std::string &what) {
  llvm::StringRef said = llvm::StringRef(diagnostics).trim();
  return Status(StatusCode::BadModel,
                said.empty() ? what : what + "\n" + said.str());
}

} // namespace qopt::translate
