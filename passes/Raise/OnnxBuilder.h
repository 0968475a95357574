// Creates ops of the onnx dialect whose result types follow from their
// operands, for patterns that write one operator with others.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
#ifndef QOPT_PASSES_RAISE_ONNXBUILDER_H
#define QOPT_PASSES_RAISE_ONNXBUILDER_H

#include "dialects/Onnx/OnnxOps.h"
#include "mlir/Dialect/Func/IR/FuncOps.h"
#include "mlir/IR/Builders.h"

namespace qopt::onnx {

class OnnxBuilder {
public:
  OnnxBuilder(mlir::OpBuilder &builder, mlir::Location loc)
      : builder(builder), loc(loc) {}

  /// The absent operand.
  mlir::Value none();
  /// A vector of i64, shape [values.size()].
  mlir::Value integers(llvm::ArrayRef<int64_t> values);
  /// An i64 tensor of rank 0.
  mlir::Value integer(int64_t value);
  /// A float tensor of rank 0 with the given element type.
  mlir::Value number(double value, mlir::Type element);

  mlir::Value cast(mlir::Value x, mlir::Type element);
  /// Size of one axis of `x` as an i64 tensor of rank 0.
  mlir::Value size(mlir::Value x, int64_t axis);
  /// Sizes of the axes [from, to) of `x`, by default of all.
  mlir::Value shape(mlir::Value x, int64_t from = 0,
                    std::optional<int64_t> to = std::nullopt);
  /// The mean over the last axis, which stays with size 1.
  mlir::Value meanOfLast(mlir::Value x);
  /// A tensor of one element and rank 0 or 1 with rank 0.
  mlir::Value scalar(mlir::Value x);
  /// [0, limit) as a vector of i64; `limit` has rank 0.
  mlir::Value range(mlir::Value limit);
  /// `x` with axes of size 1 inserted at the given places of the result.
  mlir::Value unsqueeze(mlir::Value x, llvm::ArrayRef<int64_t> axes);
  /// 0 copies the size of `x` at that place; one size may be -1 where the
  /// others leave no doubt.
  mlir::Value reshape(mlir::Value x, llvm::ArrayRef<int64_t> shape);
  mlir::Value transpose(mlir::Value x, llvm::ArrayRef<int64_t> perm);
  /// [B, heads, S, D] of [B, S, heads · D], whose last size is known.
  mlir::Value splitHeads(mlir::Value x, int64_t heads);
  mlir::Value concat(llvm::ArrayRef<mlir::Value> parts, int64_t axis);
  /// Pieces of the given static sizes along `axis`.
  llvm::SmallVector<mlir::Value> split(mlir::Value x, int64_t axis,
                                       llvm::ArrayRef<int64_t> sizes);

  /// A binary op with NumPy broadcasting, of element type `a`'s.
  template <typename Op> mlir::Value binary(mlir::Value a, mlir::Value b) {
    return Op::create(builder, loc, broadcastType({a, b}, elementOf(a)), a, b)
        .getResult();
  }
  /// A comparison or logical op: the result is i1.
  template <typename Op> mlir::Value compare(mlir::Value a, mlir::Value b) {
    return Op::create(builder, loc, broadcastType({a, b}, builder.getI1Type()),
                      a, b)
        .getResult();
  }
  /// Rows of each batch of `x` [B, H, T, D] at the places `rows` [B, L]:
  /// [B, H, L, D].
  mlir::Value gatherRows(mlir::Value x, mlir::Value rows);
  mlir::Value where(mlir::Value condition, mlir::Value a, mlir::Value b);

  static mlir::Type elementOf(mlir::Value x);
  static mlir::RankedTensorType typeOf(mlir::Value x);
  mlir::RankedTensorType broadcastType(llvm::ArrayRef<mlir::Value> values,
                                       mlir::Type element);

  mlir::OpBuilder &builder;
  mlir::Location loc;
};

/// Gives the function the types of what it returns, after patterns that know
/// more or less of a result's sizes than what they replaced.
void returnWhatIsThere(mlir::func::FuncOp function);

} // namespace qopt::onnx

#endif // QOPT_PASSES_RAISE_ONNXBUILDER_H
