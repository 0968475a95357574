// The kernel of a `rotary_table` problem, as a function in a gpu.module.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
#ifndef QOPT_LIB_KERNELS_ROTARYTABLE_ROTARYTABLEGENERATOR_H
#define QOPT_LIB_KERNELS_ROTARYTABLE_ROTARYTABLEGENERATOR_H

#include "lib/Kernels/RotaryTable/RotaryTable.h"

#include "mlir/Dialect/GPU/IR/GPUDialect.h"

namespace qopt::kernels::rotary_table {

/// Builds the kernel at the end of `module`. Its arguments, in this order:
///
///   positions [tokens] i32, inverse frequencies [count] f32, cos and sin
///   [tokens, count] f32
StatusOr<mlir::gpu::GPUFuncOp> buildKernel(mlir::gpu::GPUModuleOp module,
                                           const Problem &problem,
                                           const Schedule &schedule,
                                           const target::Target &target);

} // namespace qopt::kernels::rotary_table

#endif // QOPT_LIB_KERNELS_ROTARYTABLE_ROTARYTABLEGENERATOR_H
