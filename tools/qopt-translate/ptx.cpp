// qopt-translate --qopt-to-ptx: reads MLIR, prints PTX.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
#include "ptx.h"
#include "dialects/AllDialects.h"
#include "lib/Codegen/Cuda/CudaCodegen.h"
#include "lib/Target/Target.h"
#include "mlir/Dialect/Func/IR/FuncOps.h"
#include "mlir/Dialect/GPU/IR/GPUDialect.h"
#include "mlir/IR/MLIRContext.h"
#include "mlir/Parser/Parser.h"
#include "mlir/Support/FileUtilities.h"
#include "llvm/Support/SourceMgr.h"
#include "llvm/Support/ToolOutputFile.h"

static int fail(const llvm::Twine &message, int status) {
  llvm::errs() << "error: " << message << "\n";
  return status;
}

/// The launch of a generic kernel as a comment of its PTX.
static std::string describe(const qopt::codegen::GenericKernel &kernel) {
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
                                           const qopt::target::Target &target) {
  std::string text;
  for (auto kernels : module.getOps<mlir::gpu::GPUModuleOp>()) {
    auto code = qopt::codegen::generatePtx(kernels, target);
    if (mlir::failed(code))
      return mlir::failure();
    text += code->text;
  }
  auto nested = module.lookupSymbol<mlir::ModuleOp>("kernels");
  mlir::ModuleOp generic = nested ? nested : module;
  if (!text.empty() || generic.getOps<mlir::func::FuncOp>().empty())
    return text;
  auto code = qopt::codegen::generateCudaCode(generic, target);
  if (mlir::failed(code))
    return mlir::failure();
  for (const qopt::codegen::GenericKernel &kernel : code->kernels)
    text += describe(kernel);
  return text + code->ptx.text;
}

int translateToPtx(llvm::StringRef input, llvm::StringRef output,
                   llvm::StringRef arch) {
  auto targets = qopt::target::parseArchitectures(arch.str());
  if (!targets)
    return fail(targets.status().message(), 2);
  if (targets->size() != 1)
    return fail("PTX is for one architecture; expected one name in --arch", 2);
  mlir::DialectRegistry registry;
  qopt::registerAllDialects(registry);
  qopt::codegen::registerCudaCodegen(registry);
  mlir::MLIRContext context(registry);
  llvm::SourceMgr sources;
  std::string message;
  auto file = mlir::openInputFile(input, &message);
  if (!file)
    return fail(message, 1);
  sources.AddNewSourceBuffer(std::move(file), llvm::SMLoc());
  mlir::SourceMgrDiagnosticHandler handler(sources, &context);
  auto module = mlir::parseSourceFile<mlir::ModuleOp>(sources, &context);
  if (!module)
    return 1;
  auto text = textOf(*module, *targets->front());
  if (mlir::failed(text))
    return 1;
  if (text->empty())
    return fail("\"" + input + "\" has no gpu.module and no kernels", 1);
  auto out = mlir::openOutputFile(output, &message);
  if (!out)
    return fail(message, 1);
  out->os() << *text;
  out->keep();
  return 0;
}
