// From LLVM IR to PTX text, by LLVM's NVPTX back end in this process. The text
// depends on the module and the target alone.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
#ifndef QOPT_LIB_CODEGEN_CUDA_PTXEMITTER_H
#define QOPT_LIB_CODEGEN_CUDA_PTXEMITTER_H

#include "lib/Target/Target.h"
#include "qopt/Status.h"

#include <memory>
#include <string>

namespace llvm {
class Module;
class TargetMachine;
} // namespace llvm

namespace qopt::codegen {

/// LLVM's description of `target` writing PTX of `ptxVersion` (major · 10 +
/// minor); fails where this build of LLVM has no NVPTX back end.
StatusOr<std::unique_ptr<llvm::TargetMachine>>
createPtxMachine(const target::Target &target, int ptxVersion);

/// Says what is wrong with a module whose meaning PTX would lose: an atomic
/// update with an order (LLVM drops it), or a function without a body.
Status checkDeviceModule(const llvm::Module &module);

/// Marks inline assembly without side effects as free of memory accesses, so
/// that it can be merged, and such that a whole warp must reach as convergent.
void annotateAssembly(llvm::Module &module);

/// Optimises `module` at -O3, but for passes that find nothing in kernels, for
/// `machine` and prints it.
StatusOr<std::string> emitPtx(llvm::Module &module,
                              llvm::TargetMachine &machine);

} // namespace qopt::codegen

#endif // QOPT_LIB_CODEGEN_CUDA_PTXEMITTER_H
