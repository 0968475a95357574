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
  /// Norms of heads, ahead of rotary; both or none.
  mlir::Operation *queryNorm = nullptr, *keyNorm = nullptr;
  RotaryOp queries;
  RotaryOp keys; ///< null only behind a linear, whose keys are appended as is
  KVAppendOp append;

  /// The heads as they come, [T, heads, size]; null where there are no queries.
  mlir::Value queryHeads() const;
  mlir::Value keyHeads() const;
};

/// Whether these are norms of one kind that a launch of rotary_append can do:
/// without bias, with the same epsilon and scales of one type, of all heads or
/// of each. Null is none.
bool areNormsOfHeads(mlir::Operation *query, mlir::Operation *key);

/// The parts of `op`'s body, if that is norms of the heads of queries and keys
/// (or none), rotary of queries (or none), rotary of keys with the same table,
/// and the append of these keys, in this order.
std::optional<RotaryAppendBody> matchRotaryAppend(FusedOp op);

/// What is done to every element of a linear's result, one after the other.
struct LinearStep {
  mlir::Operation *op;         ///< activation, arith.addf or arith.mulf
  mlir::Value added;           ///< of a sum: the other term, of the same type
  std::optional<float> factor; ///< of a product: what is the same everywhere
};

/// `op` as a step of `value`, which it reads once.
std::optional<LinearStep> matchLinearStep(mlir::Operation *op,
                                          mlir::Value value);

/// A norm and the sum that it goes into.
struct NormSumBody {
  mlir::Operation *norm; ///< rms_norm or layer_norm
  mlir::Operation *sum;  ///< arith.addf
  mlir::Value added;     ///< the other term
};

/// The operations of a region that the kernel linear runs. At most one of
/// `gated`, `append` and `steps` is there.
struct LinearBody {
  std::optional<NormSumBody> sum;  ///< what norm, quantize or linear reads
  mlir::Operation *norm = nullptr; ///< rms_norm or layer_norm that makes x
  QuantizeOp quantize;             ///< the same; at most one of both
  LinearOp linear;
  GatedActivationOp gated; ///< of both halves of the linear's result, or null
  /// Rotary of queries and keys and the append, of columns of the result.
  std::optional<RotaryAppendBody> append;
  mlir::Value queryHeads;                ///< of the append, as they come
  int64_t query = 0, key = 0, value = 0; ///< first column of each
  llvm::SmallVector<LinearStep> steps;

  bool hasPrologue() const { return norm || quantize; }
  /// What the launch reads where the prologue is part of it and the sum is not.
  mlir::Value source() const;
  /// Whether something behind the linear may be a launch of its own.
  bool hasTail() const { return gated || append; }
  /// What the launch stores where its tail is not part of it.
  mlir::Value stored() const;
};

/// The parts of `op`'s body, if that is what (C4) says of the kernel linear.
std::optional<LinearBody> matchLinear(FusedOp op);

/// The parts of `op`'s body, if that is a norm and the sum of its result, which
/// nothing else reads, and an input.
std::optional<NormSumBody> matchNormSum(FusedOp op);

} // namespace qopt::ir

#endif // QOPT_DIALECTS_QOPT_QOPTOPS_H
