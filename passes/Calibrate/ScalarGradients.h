// Derivatives of the arith and math operations on single real numbers, which
// operations on whole tensors and bodies of linalg.generic share.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
#ifndef QOPT_PASSES_CALIBRATE_SCALARGRADIENTS_H
#define QOPT_PASSES_CALIBRATE_SCALARGRADIENTS_H

#include "mlir/IR/Block.h"
#include "mlir/IR/IRMapping.h"
#include "passes/Calibrate/Real.h"

namespace qopt {

/// The gradients of an operation's operands from that of its result: one value
/// an operand, null where the operand is no real number. Fails where the
/// operation has no derivative here.
mlir::FailureOr<llvm::SmallVector<mlir::Value>>
scalarGradients(mlir::Operation *op, Real gradient);

/// The gradient of argument `argument` of a body of scalar operations whose
/// terminator yields one number with the gradient `gradient`. The body is
/// copied to the gradient's builder, with the values that `mapping` has for its
/// arguments. Where an operation has no derivative, it is left in `obstacle`
/// and the result is null.
mlir::Value bodyGradient(mlir::Block &body, unsigned argument, Real gradient,
                         mlir::IRMapping &mapping, mlir::Operation *&obstacle);

} // namespace qopt

#endif // QOPT_PASSES_CALIBRATE_SCALARGRADIENTS_H
