// Tensors that gradients are made of: functions of every element with NumPy
// broadcasting, sums over rows, and the sum that undoes a broadcast. Each is
// one linalg.generic with a body of Reals.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
#ifndef QOPT_PASSES_CALIBRATE_GRADIENTBUILDER_H
#define QOPT_PASSES_CALIBRATE_GRADIENTBUILDER_H

#include "mlir/Dialect/Linalg/IR/Linalg.h"
#include "mlir/IR/BuiltinTypes.h"
#include "passes/Calibrate/Real.h"

namespace qopt {

class GradientBuilder {
public:
  /// Of f32 elements: narrow floats are widened.
  using Body = llvm::function_ref<Real(llvm::ArrayRef<Real> elements)>;
  /// Of elements in the inputs' own types, booleans among them.
  using RawBody = llvm::function_ref<mlir::Value(mlir::OpBuilder &builder,
                                                 mlir::ValueRange elements)>;

  GradientBuilder(mlir::OpBuilder &builder, mlir::Location loc)
      : b(builder), loc(loc) {}

  /// result[i…] = body(inputs[i…] …) of the shape, sizes and element type of
  /// `like`, to which the inputs broadcast.
  mlir::Value elementwise(mlir::Value like, mlir::ValueRange inputs, Body body);
  mlir::Value elementwiseRaw(mlir::Value like, mlir::ValueRange inputs,
                             RawBody body);
  /// Σ over the last axis of body(inputs[i…] …), whose inputs broadcast to
  /// `like`. The axis is kept with size 1; f32.
  mlir::Value rowSums(mlir::Value like, mlir::ValueRange inputs, Body body);
  /// Sums `gradient` over the axes along which `operand` was broadcast to it.
  /// The operand must fit (requireFits).
  mlir::Value sumTo(mlir::Value operand, mlir::Value gradient);
  /// An operand broadcasts along axes that its type says are 1 and no others,
  /// or the call is refused: a size that only a call knows might be 1.
  void requireFits(mlir::Value operand, mlir::Value full);
  /// As `gradient`, of exactly the type that the gradient of `value` has.
  mlir::Value typedFor(mlir::Value value, mlir::Value gradient);
  /// Two sizes are equal, or the call is refused.
  void requireSame(mlir::Value a, int64_t axis, mlir::Value other,
                   int64_t otherAxis);

  /// The type of the gradient of a tensor or of quantized activations.
  static mlir::RankedTensorType gradientType(mlir::Value value);

  mlir::OpBuilder &b;
  mlir::Location loc;

private:
  mlir::Value perElement(mlir::Value like, mlir::ValueRange inputs,
                         mlir::Type element, RawBody body);
  mlir::Value generic(mlir::Value init, mlir::ValueRange inputs,
                      llvm::ArrayRef<mlir::AffineMap> maps,
                      llvm::ArrayRef<mlir::utils::IteratorType> kinds,
                      RawBody body);
  mlir::AffineMap broadcastMap(mlir::Value from, mlir::RankedTensorType to);
};

} // namespace qopt

#endif // QOPT_PASSES_CALIBRATE_GRADIENTBUILDER_H
