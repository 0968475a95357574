// The kernel of an `argmax` problem and its schedule, as a function in a
// gpu.module.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
#ifndef QOPT_LIB_KERNELS_ARGMAX_ARGMAXGENERATOR_H
#define QOPT_LIB_KERNELS_ARGMAX_ARGMAXGENERATOR_H

#include "lib/Kernels/Argmax/Argmax.h"

#include "mlir/Dialect/GPU/IR/GPUDialect.h"

namespace qopt::kernels::argmax {

/// Builds the kernel at the end of `module`. Its arguments, in this order:
///
///   logits [rows, columns] f32, tokens [rows] i32, workspace (workspaceBytes),
///   counters (zero before the first launch and after each)
StatusOr<mlir::gpu::GPUFuncOp> buildKernel(mlir::gpu::GPUModuleOp module,
                                           const Problem &problem,
                                           const Schedule &schedule,
                                           const target::Target &target);

} // namespace qopt::kernels::argmax

#endif // QOPT_LIB_KERNELS_ARGMAX_ARGMAXGENERATOR_H
