// Declarations of the passes that make calibration functions; Passes.td
// describes each.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
#ifndef QOPT_PASSES_CALIBRATE_PASSES_H
#define QOPT_PASSES_CALIBRATE_PASSES_H

#include "mlir/Dialect/Func/IR/FuncOps.h"
#include "mlir/IR/BuiltinOps.h"
#include "mlir/Pass/Pass.h"

namespace qopt::passes {
#define GEN_PASS_DECL
#define GEN_PASS_REGISTRATION
#include "passes/Calibrate/Passes.h.inc"

/// Attribute of a calibration function's result: names of the weights whose
/// linears read this tensor, an array of strings.
inline constexpr llvm::StringLiteral observesAttribute = "qopt.observes";

} // namespace qopt::passes

#endif // QOPT_PASSES_CALIBRATE_PASSES_H
