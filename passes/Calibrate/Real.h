// Real numbers inside of a body, with the operators of a formula: derivatives
// read as they are written in a book. All arithmetic is f32 (f64 on f64
// tensors).
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
#ifndef QOPT_PASSES_CALIBRATE_REAL_H
#define QOPT_PASSES_CALIBRATE_REAL_H

#include "mlir/IR/Builders.h"
#include "mlir/IR/Value.h"

namespace qopt {

/// An SSA value and where the operations on it go.
struct Real {
  mlir::OpBuilder *builder;
  mlir::Location loc;
  mlir::Value value;

  /// A constant of the same type.
  Real constant(double number) const;
  /// As an element of `type`.
  mlir::Value as(mlir::Type type) const;
};

Real operator+(Real a, Real b);
Real operator-(Real a, Real b);
Real operator*(Real a, Real b);
Real operator/(Real a, Real b);
Real operator+(Real a, double b);
Real operator-(double a, Real b);
Real operator*(Real a, double b);
Real operator/(Real a, double b);
Real operator-(Real a);

Real exp(Real x);
Real log(Real x);
Real sqrt(Real x);
Real tanh(Real x);
Real erf(Real x);
Real sigmoid(Real x);
Real sin(Real x);
Real cos(Real x);
/// `x` to the power `y`.
Real power(Real x, Real y);
/// `a` where x > y, else `b`.
Real selectGreater(Real x, Real y, Real a, Real b);

} // namespace qopt

#endif // QOPT_PASSES_CALIBRATE_REAL_H
