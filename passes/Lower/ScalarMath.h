// The arithmetic of ONNX on single elements: what Add, Pow, Mod or Cast mean
// for each element type. Narrow floats compute in f32 and round once, which
// equals rounding the exact result of + - * / and sqrt.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
#ifndef QOPT_PASSES_LOWER_SCALARMATH_H
#define QOPT_PASSES_LOWER_SCALARMATH_H

#include "passes/Lower/Minifloat.h"
#include "passes/Lower/OnnxLowering.h"

namespace qopt {

/// Builds region arithmetic at the context's insertion point.
class ScalarMath {
public:
  explicit ScalarMath(LoweringContext &context)
      : b(context.b), loc(context.loc) {}
  ScalarMath(mlir::OpBuilder &builder, mlir::Location loc)
      : b(builder), loc(loc) {}

  mlir::Value constant(mlir::Type type, double value);
  /// Floats of less than 32 bits widen to f32; others stay.
  Scalar widen(Scalar x);
  /// x as an element of `type` (Cast's rules): floats to integers truncate,
  /// anything to i1 asks x != 0.
  mlir::Value convert(Scalar x, mlir::Type type,
                      MinifloatRounding rounding = {});

  mlir::Value add(Scalar a, Scalar b);
  mlir::Value subtract(Scalar a, Scalar b);
  mlir::Value multiply(Scalar a, Scalar b);
  /// Integers towards zero; division by zero gives 0.
  mlir::Value divide(Scalar a, Scalar b);
  mlir::Value maximum(Scalar a, Scalar b);
  mlir::Value minimum(Scalar a, Scalar b);
  mlir::Value power(Scalar a, Scalar b);
  /// With `truncated` the sign is that of a, else that of b.
  mlir::Value remainder(Scalar a, Scalar b, bool truncated);
  enum class Order { Equal, Less, LessOrEqual, Greater, GreaterOrEqual };
  mlir::Value compare(Order order, Scalar a, Scalar b);
  mlir::Value select(mlir::Value condition, mlir::Value a, mlir::Value b);

  // Of floats, f32 or f64.
  mlir::Value exp(mlir::Value x);
  mlir::Value log(mlir::Value x);
  mlir::Value sqrt(mlir::Value x);
  mlir::Value tanh(mlir::Value x);
  mlir::Value erf(mlir::Value x);
  mlir::Value sigmoid(mlir::Value x);
  mlir::Value reciprocal(mlir::Value x);

private:
  mlir::OpBuilder &b;
  mlir::Location loc;
};

} // namespace qopt

#endif // QOPT_PASSES_LOWER_SCALARMATH_H
