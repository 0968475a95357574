// Some exporters merge batch and heads ahead of a product, [B·H, S, D], and
// part them again behind it. These find the tensors with four axes.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
#ifndef QOPT_PASSES_RAISE_MERGEDHEADS_H
#define QOPT_PASSES_RAISE_MERGEDHEADS_H

#include "dialects/Onnx/SymbolicShapes.h"

namespace qopt::onnx {

class MergedHeads {
public:
  explicit MergedHeads(const SymbolicShapes &shapes) : shapes(shapes) {}

  /// [B, H, S, D] of itself or of [B·H, S, D] that was made of it; null for
  /// other values.
  mlir::Value parted(mlir::Value x) const;
  /// The [B·H, S, D] that [B, H, S, D] was made of; null for other values.
  mlir::Value merged(mlir::Value x) const;
  /// The results that part [B·H, S, D], when nothing else reads its elements;
  /// else none.
  llvm::SmallVector<mlir::Value> partedUses(mlir::Value x) const;

private:
  bool areSame(mlir::Value merged, mlir::Value parted) const;

  const SymbolicShapes &shapes;
};

} // namespace qopt::onnx

#endif // QOPT_PASSES_RAISE_MERGEDHEADS_H
