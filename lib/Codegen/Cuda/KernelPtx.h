// Kernels as PTX, each for itself: what one becomes depends on nothing else
// that is compiled with it, so it can be kept between runs, and several can be
// made at once.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
#ifndef QOPT_LIB_CODEGEN_CUDA_KERNELPTX_H
#define QOPT_LIB_CODEGEN_CUDA_KERNELPTX_H

#include "lib/Codegen/CodeCache.h"
#include "lib/Target/Target.h"
#include "mlir/Interfaces/FunctionInterfaces.h"

#include <string>
#include <vector>

namespace qopt::codegen {

/// Whether an op is a kernel: in the gpu dialect, or lowered to LLVM's.
bool isKernel(mlir::Operation *op);

/// What PTX is written for.
struct PtxTarget {
  const target::Target *target;
  int version; ///< of PTX: major · 10 + minor
};

/// The PTX of each kernel, without the header of a text: declarations of shared
/// memory, functions that it calls, the kernel. Names other than the kernel's
/// and the declarations' begin with the kernel's. What a kernel's module has
/// beside kernels is there for each of them. The texts come from `cache` where
/// it has them and go there where not; kernels that differ in their names alone
/// are made once. Fails with a diagnostic at the kernel.
mlir::FailureOr<std::vector<std::string>>
makeKernelPtx(mlir::ArrayRef<mlir::FunctionOpInterface> kernels,
              const PtxTarget &target, const CodeCache &cache);

/// One text of such parts, in their order: a header, what several declare once.
std::string joinKernelPtx(mlir::ArrayRef<std::string> parts,
                          const PtxTarget &target);

} // namespace qopt::codegen

#endif // QOPT_LIB_CODEGEN_CUDA_KERNELPTX_H
