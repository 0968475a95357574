// The kernel of a `gated_activation` problem and its schedule, as a function in
// a gpu.module.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
#ifndef QOPT_LIB_KERNELS_GATEDACTIVATION_GATEDACTIVATIONGENERATOR_H
#define QOPT_LIB_KERNELS_GATEDACTIVATION_GATEDACTIVATIONGENERATOR_H

#include "lib/Kernels/GatedActivation/GatedActivation.h"

#include "mlir/Dialect/GPU/IR/GPUDialect.h"

namespace qopt::kernels::gated_activation {

/// Builds the kernel at the end of `module`. Its arguments, in this order:
///
///   gate [rows, columns] or both halves [rows, 2 · columns], with Form::Two:
///   up [rows, columns], result [rows, columns] (activations, which may be the
///   gate of two tensors, or int8 codes), with int8: scales [rows] f32,
///   rows : i32
StatusOr<mlir::gpu::GPUFuncOp> buildKernel(mlir::gpu::GPUModuleOp module,
                                           const Problem &problem,
                                           const Schedule &schedule,
                                           const target::Target &target);

} // namespace qopt::kernels::gated_activation

#endif // QOPT_LIB_KERNELS_GATEDACTIVATION_GATEDACTIVATIONGENERATOR_H
