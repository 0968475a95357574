// The table of operators that the importer knows: one row each, in the form of
// the newest opset, with the function that brings older forms there.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
#ifndef QOPT_LIB_IMPORT_ONNX_OPTABLE_H
#define QOPT_LIB_IMPORT_ONNX_OPTABLE_H

#include "qopt/Status.h"
#include "llvm/ADT/ArrayRef.h"
#include "llvm/ADT/StringRef.h"

namespace qopt::import {

class NodeContext;

/// Opsets of the default domain that can be read.
constexpr int64_t oldestOpset = 11, newestOpset = 28;

/// Versions of the file format (ir_version): from the first with opsets to that
/// of the onnx package whose onnx.proto this build has.
constexpr int64_t oldestIr = 3, newestIr = 14;

constexpr int any = -1;

struct OpRow {
  const char *domain; ///< "" or "com.microsoft"
  const char *name;
  int since;                ///< the first opset that can be read
  int minInputs, maxInputs; ///< `any`: variadic
  int outputs;              ///< most outputs; `any`: as many as the node has
  /// The op of the onnx dialect; null where `build` makes the results itself.
  const char *target;
  /// Attributes copied to the op: "axis:int keepdims:flag"; kinds are int,
  /// flag, float, word, ints.
  const char *attributes;
  /// Runs before the op is created (or instead): moves attributes to inputs,
  /// writes defaults out, refuses what cannot be done.
  Status (*build)(NodeContext &node);
};

llvm::ArrayRef<OpRow> opTable();

/// Null for operators that are not known. `domain` "ai.onnx" means "".
const OpRow *findOp(llvm::StringRef domain, llvm::StringRef name);

/// What to do about an operator that is deliberately not read, or "".
llvm::StringRef hintFor(llvm::StringRef name);

/// Imports a node through its row; the results are in the context then.
Status importThrough(const OpRow &row, NodeContext &node);

} // namespace qopt::import

#endif // QOPT_LIB_IMPORT_ONNX_OPTABLE_H
