// The end of a decoder's plan for GPUs: the steps that choose the next tokens
// from the logits, so that logits stay on the device.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
#ifndef QOPT_LIB_DRIVER_CUDASAMPLING_H
#define QOPT_LIB_DRIVER_CUDASAMPLING_H

#include "lib/Driver/CudaKernels.h"
#include "mlir/Dialect/Func/IR/FuncOps.h"

namespace qopt::driver {

/// Adds the output `tokens` and the launches of argmax and sampling that were
/// selected for a decoder's end to its plan, whose only output are the logits.
/// A decoder without any gets a remark.
Status addSampling(plan::FunctionT &plan, mlir::func::FuncOp func,
                   CudaKernels &kernels, CompileSummary &summary);

} // namespace qopt::driver

#endif // QOPT_LIB_DRIVER_CUDASAMPLING_H
