// What the verifiers and the shape computations of the qopt dialect's
// operations share: comparisons of shapes that treat an unknown size as equal
// to any, with one wording for what is wrong, and sizes of values as IR.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
#ifndef QOPT_DIALECTS_QOPT_SHAPES_H
#define QOPT_DIALECTS_QOPT_SHAPES_H

#include "mlir/IR/BuiltinTypes.h"
#include "mlir/IR/OpDefinition.h"
#include "mlir/Interfaces/InferTypeOpInterface.h"

namespace qopt::ir {

/// True when two sizes can be the same at run time.
inline bool sizesAgree(int64_t a, int64_t b) {
  return a == b || mlir::ShapedType::isDynamic(a) ||
         mlir::ShapedType::isDynamic(b);
}

/// True when two shapes have the same rank and can be the same at run time.
bool shapesAgree(llvm::ArrayRef<int64_t> a, llvm::ArrayRef<int64_t> b);

/// The shape of a tensor or of quantized activations.
inline llvm::ArrayRef<int64_t> shapeOf(mlir::Value value) {
  return llvm::cast<mlir::ShapedType>(value.getType()).getShape();
}

/// "4x?x64".
std::string spellShape(llvm::ArrayRef<int64_t> shape);

/// Emits "<what> has shape <a>; expected <b>" on `op` unless the shapes agree.
mlir::LogicalResult verifyShape(mlir::Operation *op, llvm::StringRef what,
                                llvm::ArrayRef<int64_t> shape,
                                llvm::ArrayRef<int64_t> expected);

/// As verifyShape for a result of an operation that keeps the shape of `x`;
/// where the result is a tensor, its element type is that of `x` too. Quantized
/// results must divide the last dimension.
mlir::LogicalResult verifyLikeOperand(mlir::Operation *op, mlir::Value result,
                                      mlir::Value x);

/// The sizes of a tensor or of quantized activations, in terms of what the
/// operations of this dialect that compute it read. Fails for quantized
/// activations whose producer does not say.
mlir::FailureOr<llvm::SmallVector<mlir::OpFoldResult>>
sizesOf(mlir::OpBuilder &builder, mlir::Location loc, mlir::Value value);

/// A size of a value that is certainly that of another one: dimension `dim` of
/// the tensor `value`.
struct SizeSource {
  mlir::Value value;
  unsigned dim;
};

/// Where an operation of this dialect takes size `dim` of its result from,
/// through others of this dialect; nothing for sizes that no tensor has (those
/// of a batch) and for other operations. Makes no IR.
std::optional<SizeSource> sizeSource(mlir::OpResult result, unsigned dim);

/// For reifyResultShapes: every result has the sizes of `value`, except that
/// the last is `last` where given.
mlir::LogicalResult reifyLike(mlir::OpBuilder &builder, mlir::Operation *op,
                              mlir::Value value,
                              mlir::ReifiedRankedShapedTypeDims &shapes,
                              std::optional<int64_t> last = std::nullopt);

} // namespace qopt::ir

#endif // QOPT_DIALECTS_QOPT_SHAPES_H
