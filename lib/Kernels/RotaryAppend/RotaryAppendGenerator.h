// The kernel of a `rotary_append` problem and its schedule, as a function in a
// gpu.module.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
#ifndef QOPT_LIB_KERNELS_ROTARYAPPEND_ROTARYAPPENDGENERATOR_H
#define QOPT_LIB_KERNELS_ROTARYAPPEND_ROTARYAPPENDGENERATOR_H

#include "lib/Kernels/RotaryAppend/RotaryAppend.h"

#include "mlir/Dialect/GPU/IR/GPUDialect.h"

namespace qopt::kernels::rotary_append {

/// Builds the kernel at the end of `module`. Its arguments, in this order:
///
///   query, key and value tensors (the same one thrice when merged), with
///   Queries::Elsewhere: queries' destination; where something is rotated:
///   cos and sin [tokens, R/2] f32, or with Angles::Computed: inverse
///   frequencies [R/2] f32; tokenStarts [sequences + 1], contextStarts
///   [sequences] and pageTable [sequences, stride] i32, which nobody writes
///   while the step runs; pages of the layer, sequences : i32
StatusOr<mlir::gpu::GPUFuncOp> buildKernel(mlir::gpu::GPUModuleOp module,
                                           const Problem &problem,
                                           const Schedule &schedule,
                                           const target::Target &target);

} // namespace qopt::kernels::rotary_append

#endif // QOPT_LIB_KERNELS_ROTARYAPPEND_ROTARYAPPENDGENERATOR_H
