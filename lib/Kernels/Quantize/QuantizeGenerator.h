// The kernel of a `quantize` problem and its schedule, as a function in a
// gpu.module.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
#ifndef QOPT_LIB_KERNELS_QUANTIZE_QUANTIZEGENERATOR_H
#define QOPT_LIB_KERNELS_QUANTIZE_QUANTIZEGENERATOR_H

#include "lib/Kernels/Quantize/Quantize.h"

#include "mlir/Dialect/GPU/IR/GPUDialect.h"

namespace qopt::kernels::quantize {

/// Builds the kernel at the end of `module`. Its arguments, in this order:
///
///   input [rows, columns], codes [rows, columns] int8, scales [rows] f32,
///   rows : i32
StatusOr<mlir::gpu::GPUFuncOp> buildKernel(mlir::gpu::GPUModuleOp module,
                                           const Problem &problem,
                                           const Schedule &schedule,
                                           const target::Target &target);

} // namespace qopt::kernels::quantize

#endif // QOPT_LIB_KERNELS_QUANTIZE_QUANTIZEGENERATOR_H
