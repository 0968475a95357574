// The ops of the onnx dialect and the few questions that everyone asks of their
// operands: is it absent, is it a known list of integers.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
#ifndef QOPT_DIALECTS_ONNX_ONNXOPS_H
#define QOPT_DIALECTS_ONNX_ONNXOPS_H

#include "dialects/Onnx/OnnxDialect.h"
#include "mlir/Bytecode/BytecodeOpInterface.h"
#include "mlir/IR/BuiltinAttributes.h"
#include "mlir/IR/BuiltinTypes.h"
#include "mlir/IR/OpDefinition.h"
#include "mlir/Interfaces/ControlFlowInterfaces.h"
#include "mlir/Interfaces/InferTypeOpInterface.h"
#include "mlir/Interfaces/SideEffectInterfaces.h"
#include <optional>

namespace qopt::onnx {

/// Operands broadcast against each other by NumPy's rules; an element of the
/// result depends on one element of each operand.
template <typename ConcreteOp>
struct Broadcasts : mlir::OpTrait::TraitBase<ConcreteOp, Broadcasts> {};

/// The result's element type is i1 whatever the operands' is.
template <typename ConcreteOp>
struct YieldsBool : mlir::OpTrait::TraitBase<ConcreteOp, YieldsBool> {};

/// Whether an optional operand or result is left out: its type is none.
inline bool isAbsent(mlir::Value value) {
  return llvm::isa<mlir::NoneType>(value.getType());
}

/// The elements of an integer tensor that is an `onnx.Constant` with a dense
/// attribute, in row-major order; nothing for other values and for resources.
std::optional<llvm::SmallVector<int64_t>> constantIntegers(mlir::Value value);

/// The element of a float or integer constant with one element, as a double.
std::optional<double> constantScalar(mlir::Value value);

} // namespace qopt::onnx

#define GET_OP_CLASSES
#include "dialects/Onnx/OnnxOps.h.inc"

#endif // QOPT_DIALECTS_ONNX_ONNXOPS_H
