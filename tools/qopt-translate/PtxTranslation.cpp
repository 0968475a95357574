// Reads MLIR, prints PTX.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
#include "tools/qopt-translate/Translation.h"

#include "dialects/AllDialects.h"
#include "lib/Codegen/Cuda/CudaCodegen.h"
#include "lib/Target/Target.h"
#include "mlir/Dialect/GPU/IR/GPUDialect.h"
#include "mlir/IR/MLIRContext.h"
#include "mlir/Parser/Parser.h"
#include "mlir/Support/FileUtilities.h"
#include "llvm/Support/SourceMgr.h"
#include "llvm/Support/raw_ostream.h"

namespace qopt::translate {

StatusOr<std::string> ptxOf(const std::string &path, const std::string &arch) {
  auto targets = target::parseArchitectures(arch);
  if (!targets)
    return targets.status();
  if (targets->size() != 1)
    return Status(StatusCode::InvalidArgument,
                  "PTX is for one architecture; expected one name in --arch");
  std::string message;
  auto file = mlir::openInputFile(path, &message);
  if (!file)
    return Status(StatusCode::NotFound, message);
  mlir::DialectRegistry registry;
  registerAllDialects(registry);
  codegen::registerCudaCodegen(registry);
  mlir::MLIRContext context(registry);
  llvm::SourceMgr sources;
  sources.AddNewSourceBuffer(std::move(file), llvm::SMLoc());
  std::string diagnostics;
  llvm::raw_string_ostream stream(diagnostics);
  mlir::SourceMgrDiagnosticHandler handler(sources, &context, stream);
  auto bad = [&](const std::string &what) {
    llvm::StringRef said = llvm::StringRef(diagnostics).trim();
    return Status(StatusCode::BadModel,
                  said.empty() ? what : what + "\n" + said.str());
  };
  auto module = mlir::parseSourceFile<mlir::ModuleOp>(sources, &context);
  if (!module)
    return bad("'" + path + "' is not MLIR");
  std::string text;
  for (auto kernels : module->getOps<mlir::gpu::GPUModuleOp>()) {
    auto code = codegen::generatePtx(kernels, *targets->front());
    if (mlir::failed(code))
      return bad("the kernels of '" + path + "' could not be compiled");
    text += code->text;
  }
  if (text.empty())
    return Status(StatusCode::BadModel, "'" + path + "' has no gpu.module");
  return text;
}

} // namespace qopt::translate
