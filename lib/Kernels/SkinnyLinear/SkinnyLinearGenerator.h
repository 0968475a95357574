// The kernel of a `skinny_linear` problem and its schedule, as a function in a
// gpu.module.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
#ifndef QOPT_LIB_KERNELS_SKINNYLINEAR_SKINNYLINEARGENERATOR_H
#define QOPT_LIB_KERNELS_SKINNYLINEAR_SKINNYLINEARGENERATOR_H

#include "lib/Kernels/SkinnyLinear/SkinnyLinear.h"

#include "mlir/Dialect/GPU/IR/GPUDialect.h"

namespace qopt::kernels::skinny_linear {

/// Builds the kernel at the end of `module`. Its arguments, in this order:
///
///   x [tokens, K], packed weights, y [tokens, output columns], workspace
///   (Plan::workspaceBytes), counters (Plan::counters, zero before the first
///   launch and after each), with int8 activations that are read as codes
///   their scales [tokens] in f32, the norm's scale [K] if there is a norm and
///   its bias [K] if it has one, with a sum the scale and bias of its norm
///   likewise, the residual [K] and the sum [K], the epilogue's operands, what
///   rotary_append takes behind its value if there is an append, tokens : i32
///   (1 … problem.tokens)
///
/// `epilogue` is null or a block whose arguments are the f32 value of the
/// product, behind the gate if there is one, and one f32 for each operand that
/// no step adds, and whose terminator's operand is what the steps begin with.
StatusOr<mlir::gpu::GPUFuncOp> buildKernel(mlir::gpu::GPUModuleOp module,
                                           const Problem &problem,
                                           const Schedule &schedule,
                                           const target::Target &target,
                                           mlir::Block *epilogue);

} // namespace qopt::kernels::skinny_linear

#endif // QOPT_LIB_KERNELS_SKINNYLINEAR_SKINNYLINEARGENERATOR_H
