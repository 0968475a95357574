// Conversions of floats of 8 and 4 bits (OCP's e4m3, e5m2, e2m1 and e8m0, and
// the variants of e4m3 and e5m2 with neither infinities nor -0) as arithmetic
// on their bits: processors and GPUs have instructions for few of them, and
// none with all of ONNX's rules. Numbers are computed with in f32; f16 and bf16
// are upstream's.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
#ifndef QOPT_PASSES_LOWER_MINIFLOAT_H
#define QOPT_PASSES_LOWER_MINIFLOAT_H

#include "mlir/IR/Builders.h"

namespace qopt {

/// Whether the type is a float of less than 16 bits.
bool isMinifloat(mlir::Type type);

/// What ONNX's Cast lets a model choose.
struct MinifloatRounding {
  /// Whether what is too large becomes the largest number of its sign; else it
  /// is infinite, or NaN where there is no infinity. e2m1, which has neither,
  /// saturates always.
  bool saturate = true;
  /// How e8m0 rounds: away from zero, towards it, or to the nearest, ties up.
  /// All other types round to the nearest, ties to even.
  enum class Power { Up, Down, Nearest } power = Power::Up;
};

/// A minifloat as f32; exact.
mlir::Value extendMinifloat(mlir::OpBuilder &b, mlir::Location loc,
                            mlir::Value x);

/// An f32 or f64 as a minifloat of type `to`, rounded once (f64 to e8m0 by way
/// of f32). A NaN stays one with its sign (which a GPU's conversion of f16
/// to f32 drops); of e2m1, which has none, it is a zero of the other sign, as
/// in ml_dtypes. e8m0 takes the magnitude, 2^-127 at least; what is smaller is
/// NaN where it does not saturate (ONNX, Cast-24).
mlir::Value roundToMinifloat(mlir::OpBuilder &b, mlir::Location loc,
                             mlir::Value x, mlir::FloatType to,
                             MinifloatRounding rounding);

} // namespace qopt

#endif // QOPT_PASSES_LOWER_MINIFLOAT_H
