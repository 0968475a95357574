// Which fused operators raising leaves alone, those of com.microsoft that are
// not written out with standard ones above all; lowering says why.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
#ifndef QOPT_DIALECTS_ONNX_RAISINGLIMITS_H
#define QOPT_DIALECTS_ONNX_RAISINGLIMITS_H

#include "mlir/IR/Operation.h"

namespace qopt::onnx {

/// Why an operator stays as it is, for a message that names the node; empty for
/// what is raised or written out.
llvm::StringRef limitOf(mlir::Operation *op);

} // namespace qopt::onnx

#endif // QOPT_DIALECTS_ONNX_RAISINGLIMITS_H
