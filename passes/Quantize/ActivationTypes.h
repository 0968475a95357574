// Gives every value between a function's inputs and outputs another floating
// point type: what WidenActivations and NarrowActivations do, one way and the
// other.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
#ifndef QOPT_PASSES_QUANTIZE_ACTIVATIONTYPES_H
#define QOPT_PASSES_QUANTIZE_ACTIVATIONTYPES_H

#include "mlir/Dialect/Func/IR/FuncOps.h"

namespace qopt::passes {

/// Whether an operation rearranges values and computes none.
bool onlyMoves(mlir::Operation *op);

/// Which types change, to which, and the operations that go on reading and
/// writing what they did.
struct TypeChange {
  llvm::function_ref<bool(mlir::Type element)> changes;
  mlir::FloatType to;
  llvm::function_ref<bool(mlir::Operation *)> keeps;
};

/// Weights, caches, and vectors that a kernel reads as parameters stay as they
/// are; casts at both ends keep the signature, and casts around operations that
/// are kept give them their types.
void changeActivations(mlir::func::FuncOp function, const TypeChange &change);

} // namespace qopt::passes

#endif // QOPT_PASSES_QUANTIZE_ACTIVATIONTYPES_H
