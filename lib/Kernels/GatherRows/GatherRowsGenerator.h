// The kernel of a `gather_rows` problem and its schedule, as a function in a
// gpu.module.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
#ifndef QOPT_LIB_KERNELS_GATHERROWS_GATHERROWSGENERATOR_H
#define QOPT_LIB_KERNELS_GATHERROWS_GATHERROWSGENERATOR_H

#include "lib/Kernels/GatherRows/GatherRows.h"

#include "mlir/Dialect/GPU/IR/GPUDialect.h"

namespace qopt::kernels::gather_rows {

/// Builds the kernel at the end of `module`. Its arguments, in this order:
///
///   ids [ids] i32, table (values or codes), with scales: scales, with zero
///   points: zeros, result [ids, columns], of a tensor: its rows : i32
///
/// The arrays of a weight are aligned to 16 bytes each.
StatusOr<mlir::gpu::GPUFuncOp> buildKernel(mlir::gpu::GPUModuleOp module,
                                           const Problem &problem,
                                           const Schedule &schedule,
                                           const target::Target &target);

} // namespace qopt::kernels::gather_rows

#endif // QOPT_LIB_KERNELS_GATHERROWS_GATHERROWSGENERATOR_H
