// Shape inference for the onnx dialect, as an analysis over a function: the
// element type of every tensor, each size as an expression over the names of
// the inputs' dimensions (onnx.dims), and the elements of small integer tensors
// as such expressions. The last part sees through the shape arithmetic that
// exporters write (Shape, Gather, Concat, Reshape …): a reshape to
// [batch, sequence, 8, 64] is understood although batch is not known.
//
// The importer runs it node by node and gives results their types; passes run
// it over a whole function and ask. Of ops of other dialects
// it knows the static sizes of their results, and for the qopt dialect which
// size is that of which operand.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
#ifndef QOPT_DIALECTS_ONNX_SYMBOLICSHAPES_H
#define QOPT_DIALECTS_ONNX_SYMBOLICSHAPES_H

#include "dialects/Onnx/SymbolicDims.h"
#include "mlir/IR/BuiltinTypes.h"
#include "mlir/IR/Operation.h"
#include "mlir/IR/Value.h"
#include "mlir/Interfaces/FunctionInterfaces.h"
#include "qopt/Status.h"
#include <memory>
#include <vector>

namespace qopt::ir {
enum class SizeRelation : uint32_t; // dialects/QOpt/QOptAttrs.h
} // namespace qopt::ir

namespace qopt::onnx {

using Dims = llvm::SmallVector<mlir::AffineExpr, 4>;

/// What is known of a tensor before anything runs.
struct TensorFacts {
  mlir::Type elementType;
  Dims dims;
  /// The elements in row-major order when it is an integer or boolean tensor
  /// of few elements; null elements are not known.
  std::optional<Dims> content;
};

/// What an op asks of its operands' sizes and these expressions do not prove.
struct SizeRequirement {
  mlir::Operation *op;
  ir::SizeRelation relation;
  mlir::AffineExpr lhs, rhs;
};

class SymbolicShapes {
public:
  explicit SymbolicShapes(mlir::MLIRContext *context) : symbols(context) {}

  /// Gives every value of the function its facts. Fails where an op's operands
  /// cannot go together; the message does not name the op.
  Status run(mlir::FunctionOpInterface function);

  /// Facts of a function argument or another value whose type and dimension
  /// names are given; `names` holds strings and integers and may be null.
  void declare(mlir::Value value, mlir::ArrayAttr names);

  /// Facts of an op's results, and of the values in its regions, from those
  /// of its operands; result types are read only to see which optional results
  /// are asked for.
  Status infer(mlir::Operation *op);
  /// The same where the values in its regions have their facts already.
  Status inferResults(mlir::Operation *op);

  /// Null for values that are no tensors.
  const TensorFacts *lookup(mlir::Value value) const;
  void set(mlir::Value value, TensorFacts facts);

  /// The type that the facts amount to; a null type for values without facts.
  mlir::RankedTensorType typeOf(mlir::Value value) const;

  /// Size `index` of a tensor; null for values that are no tensors.
  mlir::AffineExpr dim(mlir::Value value, unsigned index) const;
  /// Whether two sizes are certainly equal.
  bool sameDim(mlir::Value a, unsigned i, mlir::Value b, unsigned j) const;

  /// "[batch, 2] = {batch, 64}": the sizes, and the elements where known.
  std::string spell(const TensorFacts &known) const;

  /// What the ops ask that were inferred so far, in their order. The results'
  /// facts hold where all of it does.
  llvm::ArrayRef<SizeRequirement> requirements() const { return required; }
  /// Adds one unless it is proven; null sizes, which nobody can follow, ask for
  /// nothing.
  void require(mlir::Operation *op, ir::SizeRelation relation,
               mlir::AffineExpr lhs, mlir::AffineExpr rhs);

  SymbolicDims &dims() { return symbols; }
  const SymbolicDims &dims() const { return symbols; }

private:
  Status inferRegions(mlir::Operation *op);
  void inferFromSources(mlir::OpResult result);

  SymbolicDims symbols;
  std::vector<SizeRequirement> required;
  llvm::DenseMap<mlir::Value, std::unique_ptr<TensorFacts>> facts;
};

} // namespace qopt::onnx

#endif // QOPT_DIALECTS_ONNX_SYMBOLICSHAPES_H
