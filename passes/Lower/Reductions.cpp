// The generics of reductions.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
#include "passes/Lower/Reductions.h"

#include "mlir/Dialect/Arith/IR/Arith.h"
#include "mlir/Dialect/Tensor/IR/Tensor.h"

using namespace mlir;
using namespace qopt;

Type qopt::accumulatorType(Type type) {
  if (auto narrow = dyn_cast<FloatType>(type); narrow && narrow.getWidth() < 32)
    return Float32Type::get(type.getContext());
  if (auto integer = dyn_cast<IntegerType>(type))
    return IntegerType::get(type.getContext(), integer.getWidth());
  return type;
}

/// What a reduction of no elements gives.
static TypedAttr neutral(OpBuilder &b, Reduction kind, Type type,
                         bool isUnsigned) {
  double infinity = std::numeric_limits<double>::infinity();
  if (auto number = dyn_cast<FloatType>(type)) {
    double values[] = {0, 1, -infinity, infinity};
    return b.getFloatAttr(number, values[static_cast<unsigned>(kind)]);
  }
  unsigned width = type.getIntOrFloatBitWidth();
  bool natural = isUnsigned || width == 1;
  APInt values[] = {
      APInt(width, 0), APInt(width, 1),
      natural ? APInt::getMinValue(width) : APInt::getSignedMinValue(width),
      natural ? APInt::getMaxValue(width) : APInt::getSignedMaxValue(width)};
  return b.getIntegerAttr(type, values[static_cast<unsigned>(kind)]);
}

static Value accumulate(ScalarMath &math, Reduction kind, Scalar total,
                        Scalar next) {
  switch (kind) {
  case Reduction::Sum:
    return math.add(total, next);
  case Reduction::Product:
    return math.multiply(total, next);
  case Reduction::Max:
    return math.maximum(total, next);
  case Reduction::Min:
    return math.minimum(total, next);
  }
  llvm_unreachable("every reduction is listed");
}

Value Reductions::along(Value like, ArrayRef<bool> reduced, Reduction kind,
                        Value value,
                        llvm::function_ref<Value(ScalarMath &, Scalar)> first) {
  Type element = cast<RankedTensorType>(value.getType()).getElementType();
  bool isUnsigned = element.isUnsignedInteger();
  Type type = accumulatorType(element);
  AffineMap identity = context.b.getMultiDimIdentityMap(reduced.size());
  return context.reduce(like, reduced, value, identity,
                        neutral(context.b, kind, type, isUnsigned),
                        [&](ArrayRef<Scalar> x, Value total) {
                          ScalarMath math(context);
                          Value next = first(math, math.widen(x[0]));
                          return accumulate(math, kind, {total, isUnsigned},
                                            {next, isUnsigned});
                        });
}

Value Reductions::sumOfSquaredDistances(Value like, ArrayRef<bool> reduced,
                                        Value sums) {
  Type type = accumulatorType(context.elementOf(like));
  Value number = count(like, reduced);
  AffineMap identity = context.b.getMultiDimIdentityMap(reduced.size());
  return context.reduce(
      like, reduced, {context.lowered(like), sums},
      {identity, reducedMap(reduced)}, context.b.getFloatAttr(type, 0),
      [&](ArrayRef<Scalar> x, Value total) {
        ScalarMath math(context);
        Value mean = math.divide(x[1], {math.convert({number}, type)});
        Value distance = math.subtract(math.widen(x[0]), {mean});
        return math.add({total}, {math.multiply({distance}, {distance})});
      });
}

Value Reductions::sumOfExponentials(Value like, ArrayRef<bool> reduced,
                                    Value largest) {
  Type type = accumulatorType(context.elementOf(like));
  AffineMap identity = context.b.getMultiDimIdentityMap(reduced.size());
  return context.reduce(
      like, reduced, {context.lowered(like), largest},
      {identity, reducedMap(reduced)}, context.b.getFloatAttr(type, 0),
      [&](ArrayRef<Scalar> x, Value total) {
        ScalarMath math(context);
        Value distance = math.subtract(math.widen(x[0]), x[1]);
        return math.add({total}, {math.exp(distance)});
      });
}

Value Reductions::count(Value like, ArrayRef<bool> reduced) {
  Value product = context.index(1);
  for (auto [dim, gone] : llvm::enumerate(reduced))
    if (gone)
      product = context.b.createOrFold<arith::MulIOp>(
          context.loc, product, context.sizeValue(like, dim));
  return product;
}

SmallVector<OpFoldResult> Reductions::sizesOf(Value like,
                                              ArrayRef<bool> reduced) {
  SmallVector<OpFoldResult> sizes;
  for (auto [dim, gone] : llvm::enumerate(reduced))
    sizes.push_back(gone ? OpFoldResult(context.b.getIndexAttr(1))
                         : context.size(like, dim));
  return sizes;
}

AffineMap Reductions::reducedMap(ArrayRef<bool> reduced) {
  SmallVector<AffineExpr> exprs;
  for (auto [dim, gone] : llvm::enumerate(reduced))
    exprs.push_back(gone ? context.b.getAffineConstantExpr(0)
                         : context.b.getAffineDimExpr(dim));
  return AffineMap::get(reduced.size(), 0, exprs, context.b.getContext());
}

Value Reductions::elementwise(ValueRange inputs, ArrayRef<OpFoldResult> sizes,
                              Type type, LoweringContext::PointwiseBody body) {
  OpBuilder &b = context.b;
  Location loc = context.loc;
  Value init = tensor::EmptyOp::create(b, loc, sizes, type);
  AffineMap identity = b.getMultiDimIdentityMap(sizes.size());
  SmallVector<AffineMap> maps(inputs.size() + 1, identity);
  SmallVector<utils::IteratorType> kinds(sizes.size(),
                                         utils::IteratorType::parallel);
  auto op = linalg::GenericOp::create(b, loc, init.getType(), inputs, init,
                                      maps, kinds,
                                      [](OpBuilder &, Location, ValueRange) {});
  OpBuilder::InsertionGuard guard(b);
  b.setInsertionPointToStart(op.getBody());
  SmallVector<Scalar> elements;
  for (Value argument : op.getBody()->getArguments().drop_back())
    elements.push_back(context.load(argument));
  linalg::YieldOp::create(b, loc, context.store(body(elements).value, type));
  return op.getResult(0);
}

Value Reductions::map(Value value, ArrayRef<OpFoldResult> sizes, Type type,
                      llvm::function_ref<Value(Scalar)> body) {
  return elementwise(value, sizes, type,
                     [&](ArrayRef<Scalar> x) { return Scalar{body(x[0])}; });
}

Value Reductions::combine(Value a, Value b, ArrayRef<OpFoldResult> sizes,
                          Type type,
                          llvm::function_ref<Value(Scalar, Scalar)> body) {
  return elementwise({a, b}, sizes, type, [&](ArrayRef<Scalar> x) {
    return Scalar{body(x[0], x[1])};
  });
}
