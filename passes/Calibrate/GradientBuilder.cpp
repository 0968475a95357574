// The generics of gradients.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
#include "passes/Calibrate/GradientBuilder.h"

#include "dialects/QOpt/QOptOps.h"
#include "mlir/Dialect/Arith/IR/Arith.h"
#include "mlir/Dialect/Arith/Utils/Utils.h"
#include "mlir/Dialect/Tensor/IR/Tensor.h"
#include "passes/Raise/OnnxBuilder.h"

using namespace mlir;
using namespace qopt;

using utils::IteratorType;

RankedTensorType GradientBuilder::gradientType(Value value) {
  auto type = cast<ShapedType>(value.getType());
  return RankedTensorType::get(type.getShape(), type.getElementType());
}

static SmallVector<Real> realsOf(OpBuilder &b, Location loc,
                                 ValueRange elements) {
  SmallVector<Real> reals;
  for (Value element : elements)
    reals.push_back({&b, loc, element});
  return reals;
}

/// Tensors of real numbers as f32 where they are narrower, by an operation that
/// passes which change types know.
static SmallVector<Value> widen(OpBuilder &b, Location loc, ValueRange inputs) {
  SmallVector<Value> wide;
  for (Value input : inputs) {
    auto element = dyn_cast<FloatType>(getElementTypeOrSelf(input.getType()));
    wide.push_back(element && element.getWidth() < 32
                       ? onnx::OnnxBuilder(b, loc).cast(input, b.getF32Type())
                       : input);
  }
  return wide;
}

AffineMap GradientBuilder::broadcastMap(Value from, RankedTensorType to) {
  ArrayRef<int64_t> shape = cast<RankedTensorType>(from.getType()).getShape();
  int64_t offset = to.getRank() - static_cast<int64_t>(shape.size());
  SmallVector<AffineExpr> places;
  for (auto [axis, size] : llvm::enumerate(shape)) {
    bool repeats = size == 1 && to.getDimSize(offset + axis) != 1;
    places.push_back(repeats ? b.getAffineConstantExpr(0)
                             : b.getAffineDimExpr(offset + axis));
  }
  return AffineMap::get(to.getRank(), 0, places, b.getContext());
}

Value GradientBuilder::generic(Value init, ValueRange inputs,
                               ArrayRef<AffineMap> maps,
                               ArrayRef<IteratorType> kinds, RawBody body) {
  return linalg::GenericOp::create(
             b, loc, init.getType(), inputs, init, maps, kinds,
             [&](OpBuilder &inner, Location, ValueRange elements) {
               linalg::YieldOp::create(inner, loc, body(inner, elements));
             })
      .getResult(0);
}

Value GradientBuilder::perElement(Value like, ValueRange inputs, Type element,
                                  RawBody body) {
  RankedTensorType type = gradientType(like);
  SmallVector<AffineMap> maps;
  for (Value input : inputs)
    maps.push_back(broadcastMap(input, type));
  maps.push_back(b.getMultiDimIdentityMap(type.getRank()));
  Value init = tensor::EmptyOp::create(
      b, loc, tensor::getMixedSizes(b, loc, like), element);
  return generic(
      init, inputs, maps,
      SmallVector<IteratorType>(type.getRank(), IteratorType::parallel),
      [&](OpBuilder &inner, ValueRange elements) {
        return body(inner, elements.drop_back());
      });
}

Value GradientBuilder::elementwiseRaw(Value like, ValueRange inputs,
                                      RawBody body) {
  return perElement(like, inputs, gradientType(like).getElementType(), body);
}

Value GradientBuilder::elementwise(Value like, ValueRange inputs, Body body) {
  Value wide = perElement(like, widen(b, loc, inputs), b.getF32Type(),
                          [&](OpBuilder &inner, ValueRange elements) {
                            return body(realsOf(inner, loc, elements)).value;
                          });
  return typedFor(like, wide);
}

Value GradientBuilder::rowSums(Value like, ValueRange inputs, Body body) {
  RankedTensorType type = gradientType(like);
  int64_t rank = type.getRank();
  SmallVector<Value> wide = widen(b, loc, inputs);
  SmallVector<AffineMap> maps;
  for (Value input : wide)
    maps.push_back(broadcastMap(input, type));
  SmallVector<OpFoldResult> sizes = tensor::getMixedSizes(b, loc, like);
  sizes.back() = b.getIndexAttr(1);
  Value init = tensor::EmptyOp::create(b, loc, sizes, b.getF32Type());
  maps.push_back(broadcastMap(init, type));
  Value zero = arith::ConstantOp::create(b, loc, b.getF32FloatAttr(0));
  init = linalg::FillOp::create(b, loc, zero, init).getResult(0);
  SmallVector<IteratorType> kinds(rank, IteratorType::parallel);
  kinds.back() = IteratorType::reduction;
  return generic(init, wide, maps, kinds,
                 [&](OpBuilder &inner, ValueRange elements) {
                   SmallVector<Real> reals = realsOf(inner, loc, elements);
                   Real total = reals.pop_back_val();
                   return (total + body(reals)).value;
                 });
}

void GradientBuilder::requireSame(Value a, int64_t axis, Value other,
                                  int64_t otherAxis) {
  auto sizeOf = [&](Value value, int64_t place) {
    return getValueOrCreateConstantIndexOp(
        b, loc, tensor::getMixedSize(b, loc, value, place));
  };
  int64_t size = cast<RankedTensorType>(a.getType()).getDimSize(axis);
  int64_t same = cast<RankedTensorType>(other.getType()).getDimSize(otherAxis);
  if (ShapedType::isDynamic(size) || size != same)
    ir::RequireOp::create(b, loc, ir::SizeRelation::Equal, sizeOf(a, axis),
                          sizeOf(other, otherAxis));
}

void GradientBuilder::requireFits(Value operand, Value full) {
  auto type = cast<RankedTensorType>(operand.getType());
  auto to = cast<RankedTensorType>(full.getType());
  int64_t offset = to.getRank() - type.getRank();
  for (int64_t axis = 0; axis < type.getRank(); ++axis)
    if (type.getDimSize(axis) != 1)
      requireSame(operand, axis, full, offset + axis);
}

Value GradientBuilder::sumTo(Value operand, Value gradient) {
  RankedTensorType from = cast<RankedTensorType>(gradient.getType());
  RankedTensorType to = gradientType(operand);
  requireFits(operand, gradient);
  int64_t offset = from.getRank() - to.getRank();
  SmallVector<IteratorType> kinds(from.getRank(), IteratorType::reduction);
  for (int64_t axis = 0; axis < to.getRank(); ++axis)
    if (to.getDimSize(axis) != 1 || from.getDimSize(offset + axis) == 1)
      kinds[offset + axis] = IteratorType::parallel;
  if (llvm::all_of(kinds, [](IteratorType kind) {
        return kind == IteratorType::parallel;
      }))
    return typedFor(operand, gradient);
  Value init = tensor::EmptyOp::create(
      b, loc, tensor::getMixedSizes(b, loc, operand), b.getF32Type());
  AffineMap place = broadcastMap(init, from);
  Value zero = arith::ConstantOp::create(b, loc, b.getF32FloatAttr(0));
  init = linalg::FillOp::create(b, loc, zero, init).getResult(0);
  Value sum = generic(init, widen(b, loc, gradient),
                      {b.getMultiDimIdentityMap(from.getRank()), place}, kinds,
                      [&](OpBuilder &inner, ValueRange elements) {
                        SmallVector<Real> x = realsOf(inner, loc, elements);
                        return (x[1] + x[0]).value;
                      });
  return typedFor(operand, sum);
}

Value GradientBuilder::typedFor(Value value, Value gradient) {
  RankedTensorType type = gradientType(value);
  if (gradient.getType() == type)
    return gradient;
  gradient = onnx::OnnxBuilder(b, loc).cast(gradient, type.getElementType());
  if (gradient.getType() == type)
    return gradient;
  return tensor::CastOp::create(b, loc, type, gradient);
}
