// Questions that several raising patterns ask of a value.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
#ifndef QOPT_PASSES_RAISE_ONNXVALUES_H
#define QOPT_PASSES_RAISE_ONNXVALUES_H

#include "dialects/Onnx/OnnxOps.h"

namespace qopt::onnx {

/// Between [B, S, H, D] and [B, H, S, D].
inline constexpr int64_t swapHeads[] = {0, 2, 1, 3};

/// The type of a tensor with a rank, else null.
inline mlir::RankedTensorType typeOf(mlir::Value value) {
  return mlir::dyn_cast<mlir::RankedTensorType>(value.getType());
}

inline bool isFloatTensor(mlir::Value value) {
  mlir::RankedTensorType type = typeOf(value);
  return type && mlir::isa<mlir::FloatType>(type.getElementType());
}

/// Whether qopt's own operations can compute with the tensor. What is f64 stays
/// the operator that it is.
inline bool isComputable(mlir::Value value) {
  mlir::RankedTensorType type = typeOf(value);
  mlir::Type element = type ? type.getElementType() : mlir::Type();
  return element && (element.isF32() || element.isF16() || element.isBF16());
}

/// The value before conversions between float types: exporters compute norms
/// and softmax in f32 whatever the model's type is.
inline mlir::Value withoutFloatCasts(mlir::Value value) {
  while (auto cast = value.getDefiningOp<CastOp>()) {
    if (!isFloatTensor(cast.getX()))
      break;
    value = cast.getX();
  }
  return value;
}

/// A matrix of 16 bits an element as f32: every number is the same.
inline bool isWideningOfMatrix(CastOp cast) {
  mlir::RankedTensorType from = typeOf(cast.getX()), to = typeOf(cast.getY());
  return from && to && from.getRank() == 2 && to.getElementType().isF32() &&
         (from.getElementType().isF16() || from.getElementType().isBF16());
}

/// The first place that a result of Split or of Slice with step 1 takes of the
/// last axis of what it is a piece of; nothing for other values.
inline std::optional<int64_t> offsetInLastAxis(mlir::Value piece) {
  int64_t rank = typeOf(piece).getRank();
  auto isLast = [&](int64_t axis) { return axis == -1 || axis == rank - 1; };
  if (auto split = piece.getDefiningOp<SplitOp>()) {
    int64_t offset = 0;
    for (mlir::Value other : split.getPieces()) {
      if (other == piece)
        break;
      offset += typeOf(other).getShape().back();
    }
    return isLast(split.getAxis()) ? std::optional(offset) : std::nullopt;
  }
  auto slice = piece.getDefiningOp<SliceOp>();
  if (!slice || isAbsent(slice.getAxes()))
    return std::nullopt;
  auto starts = constantIntegers(slice.getStarts()),
       axes = constantIntegers(slice.getAxes());
  auto steps = isAbsent(slice.getSteps())
                   ? std::optional(llvm::SmallVector<int64_t>{1})
                   : constantIntegers(slice.getSteps());
  if (!starts || !axes || !steps || axes->size() != 1 || !isLast((*axes)[0]) ||
      (*steps)[0] != 1)
    return std::nullopt;
  int64_t width = typeOf(slice.getData()).getShape().back();
  return (*starts)[0] < 0 ? (*starts)[0] + width : (*starts)[0];
}

} // namespace qopt::onnx

#endif // QOPT_PASSES_RAISE_ONNXVALUES_H
