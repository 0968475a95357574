// Sizes as code: an expression over the dimension names of a function's inputs
// (SymbolicShapes) becomes index arithmetic on tensor.dim of the arguments.
// What depends on the contents of tensors has no such code and is reported as
// such.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
#ifndef QOPT_PASSES_LOWER_SIZEBUILDER_H
#define QOPT_PASSES_LOWER_SIZEBUILDER_H

#include "dialects/Onnx/SymbolicShapes.h"
#include "mlir/IR/Builders.h"

namespace mlir::func {
class FuncOp;
} // namespace mlir::func

namespace qopt {

/// Builds the values of symbolic sizes in one function.
class SizeBuilder {
public:
  /// `shapes` has run over `function`.
  SizeBuilder(mlir::func::FuncOp function, onnx::SymbolicShapes &shapes);

  /// The value of `expr` at the builder's place: an attribute when constant,
  /// null when it depends on data.
  mlir::OpFoldResult build(mlir::OpBuilder &builder, mlir::Location loc,
                           mlir::AffineExpr expr);

  /// Whether `build` at the builder's place has a value to give.
  bool canBuild(mlir::OpBuilder &builder, mlir::AffineExpr expr);

  /// Where values were replaced since: what stands for `value` now.
  void setCurrent(std::function<mlir::Value(mlir::Value)> lookup) {
    current = std::move(lookup);
  }

private:
  /// Symbol = dimension `dim` of `tensor` less `rest`.
  struct Source {
    mlir::Value tensor;
    unsigned dim;
    mlir::AffineExpr rest;
  };

  void addSource(mlir::Value tensor, unsigned dim, mlir::AffineExpr expr);
  mlir::Value buildValue(mlir::OpBuilder &builder, mlir::Location loc,
                         mlir::AffineExpr expr);
  mlir::Value buildSymbol(mlir::OpBuilder &builder, mlir::Location loc,
                          unsigned symbol);
  mlir::Value buildBinary(mlir::OpBuilder &builder, mlir::Location loc,
                          mlir::AffineBinaryOpExpr expr);

  onnx::SymbolicShapes &shapes;
  llvm::DenseMap<unsigned, Source> sources;
  std::function<mlir::Value(mlir::Value)> current;
};

} // namespace qopt

#endif // QOPT_PASSES_LOWER_SIZEBUILDER_H
