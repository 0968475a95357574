// Reads MLIR, prints PTX.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
#include "tools/qopt-translate/ModuleReader.h"
#include "tools/qopt-translate/Translation.h"

#include "dialects/Onnx/OnnxDialect.h"
#include "dialects/QOpt/QOptDialect.h"
#include "lib/Codegen/Cuda/CudaCodegen.h"
#include "lib/Target/Target.h"
#include "mlir/Dialect/Func/IR/FuncOps.h"
#include "mlir/Dialect/GPU/IR/GPUDialect.h"
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

/// Whether the functions are a model's, not kernels.
static bool isBeforeKernels(mlir::ModuleOp module) {
  if (module.lookupSymbol<mlir::ModuleOp>("kernels"))
    return false;
  return module
      .walk([](mlir::Operation *op) {
        return llvm::isa_and_nonnull<ir::QOptDialect, onnx::OnnxDialect>(
                   op->getDialect())
                   ? mlir::WalkResult::interrupt()
                   : mlir::WalkResult::advance();
      })
      .wasInterrupted();
}

StatusOr<std::string> ptxOf(const std::string &path, const std::string &arch) {
  auto targets = target::parseArchitectures(arch);
  if (!targets)
    return targets.status();
  if (targets->size() != 1)
    return Status(StatusCode::InvalidArgument,
                  "PTX is for one architecture; expected one name in --arch");
  ModuleReader reader(path);
  auto module = reader.read();
  if (!module.ok())
    return module.status();
  if (isBeforeKernels(*module))
    return reader.bad(
        "'" + path +
        "' is of a stage ahead of the kernels; --qopt-to-ptx expects the stage "
        "gpu, which qopt-compile --emit gpu prints, or which qopt-opt "
        "--qopt-cuda-schedule-stage --qopt-cuda-lower-stage and then "
        "qopt-translate --qopt-to-gpu make of the stage fused");
  auto text = textOf(*module, *targets->front());
  if (mlir::failed(text))
    return reader.bad("the kernels of '" + path + "' could not be compiled");
  if (text->empty())
    return Status(StatusCode::BadModel,
                  "'" + path + "' has no gpu.module and no kernels");
  return *text;
}

} // namespace qopt::translate
