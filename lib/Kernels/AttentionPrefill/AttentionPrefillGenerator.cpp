// `attention_prefill` is attention_decode's body, whose warps divide rows.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
#include "lib/Kernels/AttentionPrefill/AttentionPrefillGenerator.h"
#include "lib/Kernels/AttentionDecode/AttentionDecodeGenerator.h"

using namespace qopt;
using namespace qopt::kernels;

StatusOr<mlir::gpu::GPUFuncOp>
attention_prefill::buildKernel(mlir::gpu::GPUModuleOp module,
                               const Problem &problem, const Schedule &schedule,
                               const target::Target &target) {
  QOPT_RETURN_IF_ERROR(attention_prefill::isValid(problem, schedule, target));
  return attention_decode::buildKernel(module, problem, schedule, target);
}
