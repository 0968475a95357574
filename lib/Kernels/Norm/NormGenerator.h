// The kernel of a `norm` problem and its schedule, as a function in a
// gpu.module.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
#ifndef QOPT_LIB_KERNELS_NORM_NORMGENERATOR_H
#define QOPT_LIB_KERNELS_NORM_NORMGENERATOR_H

#include "lib/Kernels/Norm/Norm.h"

#include "mlir/Dialect/GPU/IR/GPUDialect.h"

namespace qopt::kernels::norm {

/// Builds the kernel at the end of `module`. Its arguments, in this order:
///
///   input [rows, columns], with a residual: residual and sum (which may be
///   the residual or the input), scale [columns], with a bias: bias [columns],
///   result [rows, columns] (activations, or int8 codes), with int8: scales
///   [rows] f32, rows : i32
StatusOr<mlir::gpu::GPUFuncOp> buildKernel(mlir::gpu::GPUModuleOp module,
                                           const Problem &problem,
                                           const Schedule &schedule,
                                           const target::Target &target);

} // namespace qopt::kernels::norm

#endif // QOPT_LIB_KERNELS_NORM_NORMGENERATOR_H
