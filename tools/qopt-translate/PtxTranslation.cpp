// Reads MLIR, prints PTX.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
#include "tools/qopt-translate/Translation.h"

#include "dialects/AllDialects.h"
#include "lib/Codegen/Cuda/CudaCodegen.h"
#include "lib/Target/Target.h"
#include "mlir/Dialect/Func/IR/FuncOps.h"
#include "mlir/Dialect/GPU/IR/GPUDialect.h"
#include "mlir/IR/MLIRContext.h"
#include "mlir/Parser/Parser.h"
#include "mlir/Support/FileUtilities.h"
#include "llvm/Support/SourceMgr.h"
#include "llvm/Support/raw_ostream.h"

namespace qopt::translate {

/// The launch of a generic kernel as a comment of its PTX.
static std::string describe(const codegen::GenericKernel &kernel) {
  std::string text;
  llvm::raw_string_ostream(text)
      << "// " << kernel.symbol << ": " << kernel.buffers << " buffers, "
      << kernel.sizes << " sizes; extent " << kernel.range.extent.getResult(0)
      << ", " << kernel.range.threads << " threads and "
      << kernel.range.perBlock << " elements a block\n";
  return text;
}

/// The PTX of every gpu.module, or of the functions that OutlineKernels made;
/// empty where there is neither.
static mlir::FailureOr<std::string> textOf(mlir::ModuleOp module,
                                           const target::Target &target) {
  std::string text;
  for (auto kernels : module.getOps<mlir::gpu::GPUModuleOp>()) {
    auto code =
        codegen::generatePtx(kernels, target, codegen::CodeCache::ofUser());
    if (mlir::failed(code))
      return mlir::failure();
    text += code->text;
  }
  auto nested = module.lookupSymbol<mlir::ModuleOp>("kernels");
  mlir::ModuleOp generic = nested ? nested : module;
  if (!text.empty() || generic.getOps<mlir::func::FuncOp>().empty())
    return text;
  auto code =
      codegen::generateCudaCode(generic, target, codegen::CodeCache::ofUser());
  if (mlir::failed(code))
    return mlir::failure();
  for (const codegen::GenericKernel &kernel : code->kernels)
    text += describe(kernel);
  return text + code->ptx.text;
}

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
  auto text = textOf(*module, *targets->front());
  if (mlir::failed(text))
    return bad("the kernels of '" + path + "' could not be compiled");
  if (text->empty())
    return Status(StatusCode::BadModel,
                  "'" + path + "' has no gpu.module and no kernels");
  return *text;
}

} // namespace qopt::translate
