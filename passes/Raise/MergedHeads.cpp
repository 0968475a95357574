// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
#include "passes/Raise/MergedHeads.h"
#include "passes/Raise/OnnxValues.h"

using namespace mlir;

namespace qopt::onnx {

/// Whether the axes behind the heads are the same; the elements are, so that
/// the first is B·H.
bool MergedHeads::areSame(Value merged, Value parted) const {
  RankedTensorType three = typeOf(merged), four = typeOf(parted);
  return three && four && three.getRank() == 3 && four.getRank() == 4 &&
         !four.isDynamicDim(1) && shapes.sameDim(merged, 1, parted, 2) &&
         shapes.sameDim(merged, 2, parted, 3);
}

Value MergedHeads::parted(Value x) const {
  if (RankedTensorType type = typeOf(x); type && type.getRank() == 4)
    return x;
  auto reshape = x.getDefiningOp<ReshapeOp>();
  return reshape && areSame(x, reshape.getData()) ? reshape.getData() : Value();
}

Value MergedHeads::merged(Value x) const {
  auto reshape = x.getDefiningOp<ReshapeOp>();
  return reshape && areSame(reshape.getData(), x) ? reshape.getData() : Value();
}

llvm::SmallVector<Value> MergedHeads::partedUses(Value x) const {
  llvm::SmallVector<Value> results;
  for (Operation *user : x.getUsers()) {
    if (isa<ShapeOp>(user))
      continue;
    if (user->getNumResults() != 1 || merged(user->getResult(0)) != x)
      return {};
    results.push_back(user->getResult(0));
  }
  return results;
}

} // namespace qopt::onnx
