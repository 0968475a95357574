// Comparing shapes, and sizes of values as IR.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
#include "dialects/QOpt/Shapes.h"
#include "dialects/QOpt/QOptDialect.h"
#include "dialects/QOpt/QOptOps.h"
#include "dialects/QOpt/QOptTypes.h"
#include "lib/Quant/Storage.h"
#include "mlir/Dialect/Tensor/IR/Tensor.h"

using namespace mlir;

namespace qopt::ir {

bool shapesAgree(ArrayRef<int64_t> a, ArrayRef<int64_t> b) {
  return a.size() == b.size() && llvm::all_of(llvm::zip(a, b), [](auto sizes) {
           return sizesAgree(std::get<0>(sizes), std::get<1>(sizes));
         });
}

std::string spellShape(ArrayRef<int64_t> shape) {
  std::string text;
  for (int64_t size : shape) {
    text += text.empty() ? "" : "x";
    text += ShapedType::isDynamic(size) ? "?" : std::to_string(size);
  }
  return text.empty() ? "of a scalar" : text;
}

LogicalResult verifyShape(Operation *op, StringRef what,
                          ArrayRef<int64_t> shape, ArrayRef<int64_t> expected) {
  if (shapesAgree(shape, expected))
    return success();
  return op->emitOpError() << what << " has shape " << spellShape(shape)
                           << "; expected " << spellShape(expected);
}

LogicalResult verifyLikeOperand(Operation *op, Value result, Value x) {
  if (failed(verifyShape(op, "the result", shapeOf(result), shapeOf(x))))
    return failure();
  if (auto quantized = dyn_cast<QuantizedType>(result.getType())) {
    std::string fault =
        quant::groupFault(quantized.getFormat(), quantized.getShape().back());
    return fault.empty() ? success() : op->emitOpError() << fault;
  }
  Type expected = cast<ShapedType>(x.getType()).getElementType();
  if (Type element = cast<ShapedType>(result.getType()).getElementType();
      element != expected)
    return op->emitOpError() << "the result has element type " << element
                             << "; expected " << expected;
  return success();
}

FailureOr<SmallVector<OpFoldResult>> sizesOf(OpBuilder &builder, Location loc,
                                             Value value) {
  auto shaped = cast<ShapedType>(value.getType());
  if (shaped.hasStaticShape())
    return getAsIndexOpFoldResult(builder.getContext(), shaped.getShape());
  // Through the operations of this dialect, so that no size is a use of a
  // tensor that fusion would like to remove.
  auto producer = value.getDefiningOp<ReifyRankedShapedTypeOpInterface>();
  ReifiedRankedShapedTypeDims shapes;
  if (producer && isa<QOptDialect>(producer->getDialect()) &&
      succeeded(producer.reifyResultShapes(builder, shapes)))
    return shapes[cast<OpResult>(value).getResultNumber()];
  if (isa<RankedTensorType>(value.getType()))
    return tensor::getMixedSizes(builder, loc, value);
  return failure();
}

/// One step of sizeSource.
static std::optional<SizeSource> nextSource(OpResult result, unsigned dim) {
  Operation *op = result.getOwner();
  auto rank = static_cast<int64_t>(shapeOf(result).size());
  if (auto tokenWise =
          dyn_cast<TokenWiseOpInterface>(op)) // operand 0 has the tokens
    return dim < rank - tokenWise.getResultFeatureRank()
               ? std::optional(SizeSource{op->getOperand(0), dim})
               : std::nullopt;
  if (auto attention = dyn_cast<AttentionOp>(op))
    return SizeSource{dim < 3 ? attention.getQ() : attention.getV(), dim};
  if (isa<AttentionGradientOp>(op)) // results are like q, k and v
    return SizeSource{op->getOperand(result.getResultNumber()), dim};
  if (auto attention = dyn_cast<CachedAttentionOp>(op))
    return SizeSource{attention.getQ(), dim};
  return std::nullopt;
}

std::optional<SizeSource> sizeSource(OpResult result, unsigned dim) {
  std::optional<SizeSource> source;
  while (result && isa<ShapedType>(result.getType())) {
    std::optional<SizeSource> next = nextSource(result, dim);
    if (!next)
      break;
    source = next;
    dim = next->dim;
    result = dyn_cast<OpResult>(next->value);
  }
  // Quantized activations of unknown origin are no tensor to ask.
  bool known = source && isa<RankedTensorType>(source->value.getType());
  return known ? source : std::nullopt;
}

LogicalResult reifyLike(OpBuilder &builder, Operation *op, Value value,
                        ReifiedRankedShapedTypeDims &shapes,
                        std::optional<int64_t> last) {
  FailureOr<SmallVector<OpFoldResult>> sizes =
      sizesOf(builder, op->getLoc(), value);
  if (failed(sizes))
    return failure();
  if (last)
    sizes->back() = builder.getIndexAttr(*last);
  shapes.assign(op->getNumResults(), *sizes);
  // A size that the result's type knows is a constant, whatever the operand's
  // type knows.
  for (auto [result, shape] : llvm::zip(op->getResults(), shapes))
    for (auto [index, size] : llvm::enumerate(shapeOf(result)))
      if (!ShapedType::isDynamic(size))
        shape[index] = builder.getIndexAttr(size);
  return success();
}

} // namespace qopt::ir
