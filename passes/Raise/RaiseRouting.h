// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
#ifndef QOPT_PASSES_RAISE_RAISEROUTING_H
#define QOPT_PASSES_RAISE_RAISEROUTING_H

#include "mlir/IR/PatternMatch.h"

namespace qopt::onnx {

/// qopt.route of Softmax, TopK and ScatterElements.
void addRoutingPatterns(mlir::RewritePatternSet &patterns);

} // namespace qopt::onnx

#endif // QOPT_PASSES_RAISE_RAISEROUTING_H
