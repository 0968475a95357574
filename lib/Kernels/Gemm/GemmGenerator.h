// The kernel of a `gemm` problem and its schedule, as a function in a
// gpu.module.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
#ifndef QOPT_LIB_KERNELS_GEMM_GEMMGENERATOR_H
#define QOPT_LIB_KERNELS_GEMM_GEMMGENERATOR_H

#include "lib/Kernels/Gemm/Gemm.h"

#include "mlir/Dialect/GPU/IR/GPUDialect.h"

namespace qopt::kernels::gemm {

/// Builds the kernel at the end of `module`. Its arguments, in this order:
///
///   x [tokens, K], packed weights, y [tokens, output columns], workspace
///   (Launch::workspaceBytes), counters (Launch::counters, zero before the
///   first launch and after each), with int8 activations their scales [tokens]
///   in f32, the epilogue's operands, what rotary_append takes behind its value
///   if there is an append, tokens : i32
///
/// which are skinny_linear's. y is not written where its rows are heads.
/// `epilogue` is null or a block whose
/// arguments are the f32 value of the product, behind the gate if there is one,
/// and one f32 for each operand, and whose terminator's operand is what is
/// stored.
StatusOr<mlir::gpu::GPUFuncOp> buildKernel(mlir::gpu::GPUModuleOp module,
                                           const Problem &problem,
                                           const Schedule &schedule,
                                           const target::Target &target,
                                           mlir::Block *epilogue);

} // namespace qopt::kernels::gemm

#endif // QOPT_LIB_KERNELS_GEMM_GEMMGENERATOR_H
