// Which fused operators of com.microsoft are not written out with standard
// ones: raising leaves them alone, and lowering says why.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
#ifndef QOPT_DIALECTS_ONNX_MICROSOFTLIMITS_H
#define QOPT_DIALECTS_ONNX_MICROSOFTLIMITS_H

#include "mlir/IR/Operation.h"

namespace qopt::onnx {

/// Why an operator of com.microsoft stays as it is, for a message that names
/// the node; empty for what is written out and for all other operators.
llvm::StringRef limitOf(mlir::Operation *op);

} // namespace qopt::onnx

#endif // QOPT_DIALECTS_ONNX_MICROSOFTLIMITS_H
