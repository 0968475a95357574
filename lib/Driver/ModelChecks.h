// What a model's numbers must be, beyond what its types say. Weights of linears
// and embeddings are checked as they are written, see WeightEvaluator.h.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
#ifndef QOPT_LIB_DRIVER_MODELCHECKS_H
#define QOPT_LIB_DRIVER_MODELCHECKS_H

#include "mlir/Dialect/Func/IR/FuncOps.h"
#include "mlir/IR/BuiltinOps.h"
#include "qopt/Status.h"

namespace qopt::driver {

/// BadModel names the first constant that is not finite: a scale, bias or
/// frequency with nan or infinity, or another tensor with nan. Infinities of
/// other tensors (masks) and scalars are the model's business.
Status checkConstants(mlir::func::FuncOp func);

/// An error at each QuantizeLinear and DequantizeLinear with a constant scale
/// that no number can be quantized with: nan, infinity or, but for constant
/// codes (a block of zeros), 0.
mlir::LogicalResult checkScales(mlir::ModuleOp module);

} // namespace qopt::driver

#endif // QOPT_LIB_DRIVER_MODELCHECKS_H
