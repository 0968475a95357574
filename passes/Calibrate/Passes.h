// Declarations of the passes that make calibration functions; Passes.td
// describes each.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
#ifndef QOPT_PASSES_CALIBRATE_PASSES_H
#define QOPT_PASSES_CALIBRATE_PASSES_H

#include "mlir/Dialect/Func/IR/FuncOps.h"
#include "mlir/IR/BuiltinOps.h"
#include "mlir/Pass/Pass.h"

namespace qopt::passes {
/// Of an argument: DifferentiateFunction gives it no gradient.
inline constexpr const char *noGradientAttribute = "qopt.no_gradient";

#define GEN_PASS_DECL
#define GEN_PASS_REGISTRATION
#include "passes/Calibrate/Passes.h.inc"
} // namespace qopt::passes

#endif // QOPT_PASSES_CALIBRATE_PASSES_H
