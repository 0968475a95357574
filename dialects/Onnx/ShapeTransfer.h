// What the families' shape functions share: one op with the facts of its
// operands. Each family is one function, tried in turn by SymbolicShapes.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
#ifndef QOPT_DIALECTS_ONNX_SHAPETRANSFER_H
#define QOPT_DIALECTS_ONNX_SHAPETRANSFER_H

#include "dialects/Onnx/SymbolicShapes.h"
#include "dialects/QOpt/QOptAttrs.h"

namespace qopt::onnx {

/// Content is followed for tensors of up to this many elements.
constexpr int64_t maxContent = 256;

/// An op whose results are to be inferred. `facts(i)` must only be asked of
/// operands that are present; every tensor operand has facts.
class ShapeTransfer {
public:
  ShapeTransfer(mlir::Operation *op, SymbolicShapes &shapes)
      : op(op), shapes(shapes), dims(shapes.dims()) {}

  bool present(unsigned operand) const;
  const TensorFacts &facts(unsigned operand) const;
  const TensorFacts &facts(mlir::Value value) const;
  int64_t rank(unsigned operand) const { return facts(operand).dims.size(); }

  /// The integers of an operand when all of them are known.
  std::optional<llvm::SmallVector<int64_t>> integers(unsigned operand) const;
  /// Its elements when there are any known; as many as the tensor has.
  std::optional<Dims> content(unsigned operand) const;
  /// The number of elements of a vector, when that is known.
  std::optional<int64_t> length(unsigned operand) const;

  /// `axis` counted from 0, or a failure when it is outside [-rank, rank).
  StatusOr<int64_t> axis(int64_t axis, int64_t rank) const;
  /// The same for all elements of an operand, each at most once.
  StatusOr<llvm::SmallVector<int64_t>> axes(unsigned operand,
                                            int64_t rank) const;

  StatusOr<Dims> broadcast(llvm::ArrayRef<mlir::AffineExpr> a,
                           llvm::ArrayRef<mlir::AffineExpr> b) const;

  /// The op's results are as inferred only where this holds of its operands'
  /// sizes; see SymbolicShapes::require.
  void require(ir::SizeRelation relation, mlir::AffineExpr lhs,
               mlir::AffineExpr rhs) const;
  /// `own` broadcasts to `full`, which does not grow.
  void requireFits(mlir::AffineExpr own, mlir::AffineExpr full) const;
  /// The number of elements; null where it is too long to follow.
  mlir::AffineExpr product(llvm::ArrayRef<mlir::AffineExpr> sizes) const;

  /// Sets the facts of a result unless nobody asked for it.
  Status result(unsigned index, mlir::Type elementType, Dims dims,
                std::optional<Dims> content = std::nullopt);
  /// A size that depends on data.
  mlir::AffineExpr unknown() const;
  mlir::AffineExpr constant(int64_t value) const {
    return dims.constant(value);
  }
  Status error(const llvm::Twine &message) const;
  /// "[batch, 8, 64]"
  std::string spell(llvm::ArrayRef<mlir::AffineExpr> sizes) const;

  mlir::Operation *op;
  SymbolicShapes &shapes;
  SymbolicDims &dims;
};

/// The number of elements when all sizes are known and it is small enough for
/// content to be followed.
std::optional<int64_t> smallCount(llvm::ArrayRef<mlir::AffineExpr> dims);

/// Nothing when the op is of another family.
std::optional<Status> inferElementwise(ShapeTransfer &transfer);
std::optional<Status> inferShapeOp(ShapeTransfer &transfer);
std::optional<Status> inferSlicing(ShapeTransfer &transfer);
std::optional<Status> inferGather(ShapeTransfer &transfer);
std::optional<Status> inferReduceOrNorm(ShapeTransfer &transfer);
std::optional<Status> inferMatMul(ShapeTransfer &transfer);
std::optional<Status> inferAttention(ShapeTransfer &transfer);
std::optional<Status> inferMicrosoft(ShapeTransfer &transfer);

} // namespace qopt::onnx

#endif // QOPT_DIALECTS_ONNX_SHAPETRANSFER_H
