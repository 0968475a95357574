// The kernel of an `attention_decode` problem and its schedule, as a function
// in a gpu.module.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
#ifndef QOPT_LIB_KERNELS_ATTENTIONDECODE_ATTENTIONDECODEGENERATOR_H
#define QOPT_LIB_KERNELS_ATTENTIONDECODE_ATTENTIONDECODEGENERATOR_H

#include "lib/Kernels/AttentionDecode/AttentionDecode.h"

#include "mlir/Dialect/GPU/IR/GPUDialect.h"

namespace qopt::kernels::attention_decode {

/// Builds the kernel at the end of `module`. Its arguments, in this order:
///
///   query [tokens, queryStride], output [tokens, heads · valueSize], pages (of
///   the layer, the new tokens' keys and values included), page table
///   [sequences, pageStride()], token starts [sequences + 1], context starts
///   [sequences], workspace (Launch::workspaceBytes), counters
///   (Launch::counters, zero before the first launch and after each), slopes
///   f32 [heads] if the problem has them, sinks f32 [heads] likewise
///
/// The page table, both starts and the pages of positions before the new tokens
/// are read before the dependency point: no kernel that this one may overtake
/// writes them.
StatusOr<mlir::gpu::GPUFuncOp> buildKernel(mlir::gpu::GPUModuleOp module,
                                           const Problem &problem,
                                           const Schedule &schedule,
                                           const target::Target &target);

} // namespace qopt::kernels::attention_decode

#endif // QOPT_LIB_KERNELS_ATTENTIONDECODE_ATTENTIONDECODEGENERATOR_H
