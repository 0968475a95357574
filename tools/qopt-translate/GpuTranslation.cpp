// Reads a function whose kernels are chosen, prints the kernels.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
#include "lib/Driver/CudaEmission.h"
#include "lib/Target/Target.h"
#include "tools/qopt-translate/ModuleReader.h"
#include "tools/qopt-translate/Translation.h"
#include "llvm/ADT/STLExtras.h"

namespace qopt::translate {

StatusOr<std::string> gpuOf(const std::string &path, const std::string &arch) {
  CompileOptions options;
  options.target = TargetDevice::Cuda;
  options.architectures = arch;
  auto targets = target::parseArchitectures(arch);
  if (!targets)
    return targets.status();
  ModuleReader reader(path);
  auto module = reader.read();
  if (!module.ok())
    return module.status();
  const std::string expected =
      "--qopt-to-gpu expects what qopt-opt --qopt-cuda-lower-stage makes of "
      "the stage scheduled: one function, whose kernels are chosen for " +
      arch;
  if (!llvm::hasSingleElement(module->getOps<mlir::func::FuncOp>()))
    return reader.bad("'" + path + "' is not one function; " + expected);
  CompileSummary summary;
  auto text = driver::emitCuda(*module, Stage::Gpu, options, summary);
  if (text.ok())
    return text;
  Status said = reader.bad("no kernels could be made of '" + path +
                           "': " + text.status().message() + "; " + expected);
  return Status(text.status().code(), said.message());
}

} // namespace qopt::translate
