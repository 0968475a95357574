// Verifiers and shapes of the decoder's state and the ragged batch.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
#include "dialects/QOpt/QOptOps.h"
#include "dialects/QOpt/Shapes.h"

using namespace mlir;
using namespace qopt::ir;

/// (C1) of both operations on a cache.
static LogicalResult verifyLayer(Operation *op, KVCacheType cache,
                                 int64_t layer) {
  if (layer >= 0 && layer < cache.getLayers())
    return success();
  return op->emitOpError() << "layer " << layer << " is not one of the cache's "
                           << cache.getLayers() << " layers";
}

LogicalResult KVAppendOp::verify() {
  KVCacheType cache = getCache().getType();
  if (failed(verifyLayer(*this, cache, getLayer()))) // (C1)
    return failure();
  if (shapeOf(getK()).empty())
    return emitOpError(
        "k is a scalar; expected shape [tokens, heads, channels]");
  int64_t expected[] = {shapeOf(getK()).front(), cache.getKvHeads(),
                        cache.getHeadSize()};
  if (failed(verifyShape(*this, "k", shapeOf(getK()), expected))) // (C2)
    return failure();
  return verifyShape(*this, "v", shapeOf(getV()), expected); // (C2)
}

LogicalResult CachedAttentionOp::verify() {
  KVCacheType cache = getCache().getType();
  if (failed(verifyLayer(*this, cache, getLayer()))) // (C1)
    return failure();
  ArrayRef<int64_t> q = shapeOf(getQ());
  if (q.size() != 3 || q[2] != cache.getHeadSize() ||
      ShapedType::isDynamic(q[1]) || q[1] % cache.getKvHeads()) // (C2)
    return emitOpError() << "q has shape " << spellShape(q)
                         << "; expected [tokens, a multiple of "
                         << cache.getKvHeads() << " heads, "
                         << cache.getHeadSize() << "]";
  if (getWindow() && *getWindow() <= 0) // (C3)
    return emitOpError() << "a window is positive; got " << *getWindow();
  if (getSoftcap() && !(getSoftcap()->convertToFloat() > 0)) // (C3)
    return emitOpError() << "a softcap is positive; got "
                         << getSoftcap()->convertToFloat();
  if (getAlibiSlopes() && int64_t(getAlibiSlopes()->size()) != q[1]) // (C4)
    return emitOpError() << "there are " << getAlibiSlopes()->size()
                         << " slopes; expected one for each of the " << q[1]
                         << " heads";
  if (auto biases = getDistanceBiases())
    if (biases->empty() || int64_t(biases->size()) % q[1]) // (C5)
      return emitOpError() << "there are " << biases->size()
                           << " biases; expected a positive multiple of the "
                           << q[1] << " heads";
  if (getSource() &&
      (getWindow() || getAlibiSlopes() || getDistanceBiases())) // (C6)
    return emitOpError("positions of a source have no distance from a token; "
                       "expected neither a window nor slopes nor biases");
  return success();
}

LogicalResult
CachedAttentionOp::reifyResultShapes(OpBuilder &builder,
                                     ReifiedRankedShapedTypeDims &shapes) {
  return reifyLike(builder, *this, getQ(), shapes);
}

LogicalResult
PositionsOp::reifyResultShapes(OpBuilder &builder,
                               ReifiedRankedShapedTypeDims &shapes) {
  shapes.assign(
      1, {BatchDimOp::create(builder, getLoc(), getBatch(), BatchDim::Tokens)
              .getResult()});
  return success();
}

LogicalResult SelectRowsOp::verify() {
  ArrayRef<int64_t> x = shapeOf(getX()), result = shapeOf(getResult());
  bool sameElements = getX().getType().getElementType() ==
                      getResult().getType().getElementType();
  if (x.size() != 2 || result.size() != 2 || !sizesAgree(x[1], result[1]) ||
      !sameElements) // (C1)
    return emitOpError() << "x has type " << getX().getType()
                         << " and the result " << getResult().getType()
                         << "; expected two dimensions that differ in the "
                            "number of rows alone";
  return success();
}

LogicalResult
SelectRowsOp::reifyResultShapes(OpBuilder &builder,
                                ReifiedRankedShapedTypeDims &shapes) {
  if (failed(reifyLike(builder, *this, getX(), shapes)))
    return failure();
  shapes[0][0] =
      BatchDimOp::create(builder, getLoc(), getBatch(), BatchDim::Selected)
          .getResult();
  return success();
}
