// The kernel of an `attention_prefill` problem and its schedule, as a function
// in a gpu.module.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
#ifndef QOPT_LIB_KERNELS_ATTENTIONPREFILL_ATTENTIONPREFILLGENERATOR_H
#define QOPT_LIB_KERNELS_ATTENTIONPREFILL_ATTENTIONPREFILLGENERATOR_H

#include "lib/Kernels/AttentionPrefill/AttentionPrefill.h"

#include "mlir/Dialect/GPU/IR/GPUDialect.h"

namespace qopt::kernels::attention_prefill {

/// Builds the kernel at the end of `module`. Its arguments are
/// attention_decode's, see AttentionDecodeGenerator.h; workspace and counters
/// are not touched.
StatusOr<mlir::gpu::GPUFuncOp> buildKernel(mlir::gpu::GPUModuleOp module,
                                           const Problem &problem,
                                           const Schedule &schedule,
                                           const target::Target &target);

} // namespace qopt::kernels::attention_prefill

#endif // QOPT_LIB_KERNELS_ATTENTIONPREFILL_ATTENTIONPREFILLGENERATOR_H
