// The implementations of DifferentiableOpInterface, one file a family. They are
// attached to operations from outside: what an operation means is its dialect's
// business, how it is differentiated is calibration's.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
#ifndef QOPT_PASSES_CALIBRATE_GRADIENTS_H
#define QOPT_PASSES_CALIBRATE_GRADIENTS_H

#include "dialects/QOpt/QOptOps.h"
#include "mlir/IR/DialectRegistry.h"
#include "passes/Calibrate/GradientBuilder.h"

namespace qopt {

/// Every implementation, attached when its dialect is loaded.
void registerGradients(mlir::DialectRegistry &registry);

// What each family attaches.
void attachActivationGradients(mlir::MLIRContext &context);
void attachArithGradients(mlir::MLIRContext &context);
void attachAttentionGradients(mlir::MLIRContext &context);
void attachLinalgGradients(mlir::MLIRContext &context);
void attachLinearGradients(mlir::MLIRContext &context);
void attachNormGradients(mlir::MLIRContext &context);
void attachOnnxGradients(mlir::MLIRContext &context);
void attachOnnxMatrixGradients(mlir::MLIRContext &context);
void attachOnnxMoveGradients(mlir::MLIRContext &context);
void attachOnnxNormGradients(mlir::MLIRContext &context);
void attachRoutingGradients(mlir::MLIRContext &context);
void attachShapeGradients(mlir::MLIRContext &context);

/// One gradient an operand; null where there is none.
using Gradients = mlir::FailureOr<llvm::SmallVector<mlir::Value>>;

/// An implementation for operations of type `Op` with one differentiated
/// result: `Derived` has
///
///   Gradients gradientsOf(Op op, Value gradient, const BitVector &wanted,
///                         GradientBuilder &build) const;
template <typename Derived, typename Op>
struct GradientModel
    : ir::DifferentiableOpInterface::ExternalModel<Derived, Op> {
  Gradients buildGradients(mlir::Operation *op, mlir::OpBuilder &builder,
                           llvm::ArrayRef<mlir::Value> gradients,
                           const llvm::BitVector &wanted) const {
    GradientBuilder build(builder, op->getLoc());
    return static_cast<const Derived *>(this)->gradientsOf(
        mlir::cast<Op>(op), gradients.front(), wanted, build);
  }
};

/// For a `Derived` whose gradient is that of operand 0 alone.
template <typename Derived, typename Op>
struct UnaryGradientModel : GradientModel<Derived, Op> {
  bool isDifferentiable(mlir::Operation *, mlir::OpOperand &operand) const {
    return operand.getOperandNumber() == 0;
  }
  Gradients gradientsOf(Op op, mlir::Value gradient, const llvm::BitVector &,
                        GradientBuilder &build) const {
    llvm::SmallVector<mlir::Value> gradients(op->getNumOperands());
    gradients[0] =
        static_cast<const Derived *>(this)->gradientOf(op, gradient, build);
    if (!gradients[0])
      return mlir::failure();
    return gradients;
  }
};

} // namespace qopt

#endif // QOPT_PASSES_CALIBRATE_GRADIENTS_H
