// Rotation of heads as one elementwise generic that reads each channel and the
// one it is paired with.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
#include "mlir/Dialect/Arith/IR/Arith.h"
#include "mlir/Dialect/Linalg/IR/Linalg.h"
#include "mlir/Dialect/Tensor/IR/Tensor.h"
#include "passes/Lower/GenericOps.h"

using namespace mlir;
using namespace qopt;
using Order = ScalarMath::Order;

namespace {
/// One element of the result. Everything is built in the generic's region.
class RotaryWriter {
public:
  RotaryWriter(ir::RotaryOp op, OpBuilder &b)
      : op(op), b(b), loc(op.getLoc()), math(b, loc),
        tableSizes(tensor::getMixedSizes(b, loc, op.getCos())),
        half(cast<RankedTensorType>(op.getCos().getType()).getShape().back()) {}

  Value element(ArrayRef<Value> indices) {
    Value own = at(op.getX(), indices), channel = indices.back();
    Value rotates = compare(Order::Less, channel, 2 * half);
    Value isFirst = op.getInterleaved()
                        ? compare(Order::Equal, remainder(channel, 2), 0)
                        : compare(Order::Less, channel, half);
    int64_t distance = op.getInterleaved() ? 1 : half;
    Value before = math.subtract({channel}, {index(distance)});
    Value after = math.add({channel}, {index(distance)});
    // A channel that stays is its own partner: no place lies outside.
    SmallVector<Value> paired(indices);
    paired.back() =
        math.select(rotates, math.select(isFirst, after, before), channel);
    Value other = at(op.getX(), paired);
    Value pair = op.getInterleaved() ? math.divide({channel}, {index(2)})
                                     : math.select(isFirst, channel, before);
    pair = math.minimum({pair}, {index(half - 1)});
    SmallVector<Value> place = tablePlace(indices, pair);
    Value zero = math.constant(other.getType(), 0);
    Value signedOther =
        math.select(isFirst, math.subtract({zero}, {other}), other);
    Value turned =
        math.add({math.multiply({own}, {at(op.getCos(), place)})},
                 {math.multiply({signedOther}, {at(op.getSin(), place)})});
    return math.select(rotates, turned, own);
  }

private:
  Value index(int64_t value) {
    return arith::ConstantIndexOp::create(b, loc, value);
  }
  Value compare(Order order, Value x, int64_t value) {
    return math.compare(order, {x}, {index(value)});
  }
  Value remainder(Value x, int64_t value) {
    return arith::RemUIOp::create(b, loc, x, index(value));
  }
  Value at(Value tensor, ArrayRef<Value> place) {
    return math.widen({tensor::ExtractOp::create(b, loc, tensor, place)}).value;
  }

  /// The tables have the last of x's token dimensions; a size of 1 is for all.
  SmallVector<Value> tablePlace(ArrayRef<Value> indices, Value pair) {
    SmallVector<Value> place;
    size_t own = tableSizes.size() - 1, tokens = indices.size() - 2;
    for (size_t axis = 0; axis < own; ++axis) {
      std::optional<int64_t> known = getConstantIntValue(tableSizes[axis]);
      Value token = indices[tokens - own + axis];
      if (known == 1)
        token = index(0);
      else if (!known)
        token = arith::RemUIOp::create(b, loc, token,
                                       cast<Value>(tableSizes[axis]));
      place.push_back(token);
    }
    place.push_back(pair);
    return place;
  }

  ir::RotaryOp op;
  OpBuilder &b;
  Location loc;
  ScalarMath math;
  SmallVector<OpFoldResult> tableSizes;
  int64_t half; ///< pairs
};
} // namespace

void qopt::lowerRotary(ir::RotaryOp op) {
  OpBuilder b(op);
  auto type = cast<RankedTensorType>(op.getX().getType());
  RotaryWriter writer(op, b);
  GenericSpec spec;
  spec.maps = {b.getMultiDimIdentityMap(type.getRank())};
  spec.sizes = tensor::getMixedSizes(b, op.getLoc(), op.getX());
  spec.type = type.getElementType();
  Value result =
      buildGeneric(b, op.getLoc(), spec, [&](ScalarMath &, ValueRange) {
        SmallVector<Value> indices;
        for (int64_t axis = 0; axis < type.getRank(); ++axis)
          indices.push_back(linalg::IndexOp::create(b, op.getLoc(), axis));
        return writer.element(indices);
      });
  if (result.getType() != type)
    result = tensor::CastOp::create(b, op.getLoc(), type, result);
  op.getResult().replaceAllUsesWith(result);
  op.erase();
}
