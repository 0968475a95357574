// The kernel of a `check_indices` problem, as a function in a gpu.module.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
#ifndef QOPT_LIB_KERNELS_CHECKINDICES_CHECKINDICESGENERATOR_H
#define QOPT_LIB_KERNELS_CHECKINDICES_CHECKINDICESGENERATOR_H

#include "lib/Kernels/CheckIndices/CheckIndices.h"

#include "mlir/Dialect/GPU/IR/GPUDialect.h"

namespace qopt::kernels::check_indices {

/// Builds the kernel at the end of `module`. Its arguments, in this order:
///
///   indices [count] i32 or i64, report (16 bytes: i64 the index, i32 its
///   place, the first that is outside, or −1, and i32 0), count and the limits
StatusOr<mlir::gpu::GPUFuncOp> buildKernel(mlir::gpu::GPUModuleOp module,
                                           const Problem &problem,
                                           const Schedule &schedule,
                                           const target::Target &target);

} // namespace qopt::kernels::check_indices

#endif // QOPT_LIB_KERNELS_CHECKINDICES_CHECKINDICESGENERATOR_H
