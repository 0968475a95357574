// The kernel of a `sampling` problem and its schedule, as a function in a
// gpu.module.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
#ifndef QOPT_LIB_KERNELS_SAMPLING_SAMPLINGGENERATOR_H
#define QOPT_LIB_KERNELS_SAMPLING_SAMPLINGGENERATOR_H

#include "lib/Kernels/Sampling/Sampling.h"

#include "mlir/Dialect/GPU/IR/GPUDialect.h"

namespace qopt::kernels::sampling {

/// Builds the kernel at the end of `module`. Its arguments, in this order:
///
///   logits [rows, columns] f32, records [rows]
///   (runtime/cuda/SamplingRecord.h), seen [seen rows, seenWords] bits, to
///   which the kernel adds the new token, tokens [rows] i32 (−1: no finite
///   largest logit), workspace (workspaceBytes), counters (zero before the
///   first launch and after each)
///
/// No two rows of a launch have the same row of seen tokens.
StatusOr<mlir::gpu::GPUFuncOp> buildKernel(mlir::gpu::GPUModuleOp module,
                                           const Problem &problem,
                                           const Schedule &schedule,
                                           const target::Target &target);

} // namespace qopt::kernels::sampling

#endif // QOPT_LIB_KERNELS_SAMPLING_SAMPLINGGENERATOR_H
