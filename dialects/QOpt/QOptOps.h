// Operations and op interfaces of the qopt dialect.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
#ifndef QOPT_DIALECTS_QOPT_QOPTOPS_H
#define QOPT_DIALECTS_QOPT_QOPTOPS_H

#include "dialects/QOpt/QOptDialect.h"
#include "dialects/QOpt/QOptTypes.h"
#include "mlir/Bytecode/BytecodeOpInterface.h"
#include "mlir/IR/BuiltinOps.h"
#include "mlir/IR/OpDefinition.h"
#include "mlir/IR/SymbolTable.h"
#include "mlir/Interfaces/ControlFlowInterfaces.h"
#include "mlir/Interfaces/InferTypeOpInterface.h"
#include "mlir/Interfaces/SideEffectInterfaces.h"
#include "llvm/ADT/BitVector.h"

#include "dialects/QOpt/QOptInterfaces.h.inc"

#define GET_OP_CLASSES
#include "dialects/QOpt/QOptOps.h.inc"

#include <optional>

namespace qopt::ir {

/// Whether two sizes that are numbers fulfil a relation.
bool holds(SizeRelation relation, int64_t lhs, int64_t rhs);

/// The operations of a region that the kernel rotary_append runs; `queries` is
/// null where only keys are rotated.
struct RotaryAppendBody {
  RotaryOp queries;
  RotaryOp keys;
  KVAppendOp append;
};

/// The parts of `op`'s body, if that is rotary of queries (or none), rotary of
/// keys with the same table, and the append of these keys, in this order.
std::optional<RotaryAppendBody> matchRotaryAppend(FusedOp op);

/// The operations of a region that the kernel linear runs. At most one of
/// `gated` and `append` is there.
struct LinearBody {
  RmsNormOp norm;      ///< makes the linear's x, or null
  QuantizeOp quantize; ///< the same; at most one of both
  LinearOp linear;
  GatedActivationOp gated; ///< of both halves of the linear's result, or null
  /// Rotary of queries and keys and the append, of columns of the result.
  std::optional<RotaryAppendBody> append;
  int64_t query = 0, key = 0, value = 0; ///< first column of each

  bool hasPrologue() const { return norm || quantize; }
  /// What the launch reads where the prologue is part of it.
  mlir::Value source() const;
  bool hasTail() const { return gated || append; }
};

/// The parts of `op`'s body, if that is what (C4) says of the kernel linear.
std::optional<LinearBody> matchLinear(FusedOp op);

} // namespace qopt::ir

#endif // QOPT_DIALECTS_QOPT_QOPTOPS_H
