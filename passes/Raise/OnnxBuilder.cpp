// Result types of the ops that patterns create. Shape inference of whole models
// is dialects/Onnx/SymbolicShapes' business; here every size is a static one or
// unknown.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
#include "passes/Raise/OnnxBuilder.h"

using namespace mlir;

namespace qopt::onnx {

RankedTensorType OnnxBuilder::typeOf(Value x) {
  return cast<RankedTensorType>(x.getType());
}

Type OnnxBuilder::elementOf(Value x) { return typeOf(x).getElementType(); }

Value OnnxBuilder::none() {
  return NoneOp::create(builder, loc, builder.getNoneType());
}

Value OnnxBuilder::integers(ArrayRef<int64_t> values) {
  auto type = RankedTensorType::get({static_cast<int64_t>(values.size())},
                                    builder.getI64Type());
  return ConstantOp::create(builder, loc, type,
                            DenseIntElementsAttr::get(type, values));
}

Value OnnxBuilder::integer(int64_t value) {
  auto type = RankedTensorType::get({}, builder.getI64Type());
  return ConstantOp::create(builder, loc, type,
                            DenseIntElementsAttr::get(type, value));
}

Value OnnxBuilder::number(double value, Type element) {
  auto type = RankedTensorType::get({}, element);
  auto attribute = builder.getFloatAttr(element, value);
  return ConstantOp::create(builder, loc, type,
                            DenseElementsAttr::get(type, attribute));
}

Value OnnxBuilder::cast(Value x, Type element) {
  if (elementOf(x) == element)
    return x;
  return CastOp::create(builder, loc, typeOf(x).clone(element), x);
}

Value OnnxBuilder::size(Value x, int64_t axis) {
  auto scalar = RankedTensorType::get({}, builder.getI64Type());
  return SqueezeOp::create(builder, loc, scalar, shape(x, axis, axis + 1),
                           integers({0}));
}

Value OnnxBuilder::shape(Value x, int64_t from, std::optional<int64_t> to) {
  int64_t end = to.value_or(typeOf(x).getRank());
  auto type = RankedTensorType::get({end - from}, builder.getI64Type());
  return ShapeOp::create(builder, loc, type, x, builder.getI64IntegerAttr(from),
                         builder.getI64IntegerAttr(end));
}

Value OnnxBuilder::meanOfLast(Value x) {
  SmallVector<int64_t> sizes(typeOf(x).getShape());
  sizes.back() = 1;
  return ReduceMeanOp::create(builder, loc, typeOf(x).clone(sizes), x,
                              integers({-1}), builder.getBoolAttr(true),
                              builder.getBoolAttr(false));
}

Value OnnxBuilder::scalar(Value x) {
  if (typeOf(x).getRank() == 0)
    return x;
  auto type = RankedTensorType::get({}, elementOf(x));
  return SqueezeOp::create(builder, loc, type, x, integers({0}));
}

Value OnnxBuilder::range(Value limit) {
  auto type =
      RankedTensorType::get({ShapedType::kDynamic}, builder.getI64Type());
  return RangeOp::create(builder, loc, type, integer(0), limit, integer(1));
}

Value OnnxBuilder::unsqueeze(Value x, ArrayRef<int64_t> axes) {
  SmallVector<int64_t> shape(typeOf(x).getShape());
  for (int64_t axis : axes)
    shape.insert(shape.begin() + axis, 1);
  auto type = RankedTensorType::get(shape, elementOf(x));
  return UnsqueezeOp::create(builder, loc, type, x, integers(axes));
}

Value OnnxBuilder::reshape(Value x, ArrayRef<int64_t> shape) {
  SmallVector<int64_t> sizes;
  for (auto [i, size] : llvm::enumerate(shape))
    sizes.push_back(size == 0    ? typeOf(x).getDimSize(i)
                    : size == -1 ? ShapedType::kDynamic
                                 : size);
  auto type = RankedTensorType::get(sizes, elementOf(x));
  return ReshapeOp::create(builder, loc, type, x, integers(shape),
                           builder.getBoolAttr(false));
}

Value OnnxBuilder::transpose(Value x, ArrayRef<int64_t> perm) {
  SmallVector<int64_t> shape;
  for (int64_t axis : perm)
    shape.push_back(typeOf(x).getDimSize(axis));
  auto type = RankedTensorType::get(shape, elementOf(x));
  return TransposeOp::create(builder, loc, type, x,
                             builder.getDenseI64ArrayAttr(perm));
}

Value OnnxBuilder::splitHeads(Value x, int64_t heads) {
  int64_t size = typeOf(x).getDimSize(2) / heads;
  return transpose(reshape(x, {0, 0, heads, size}), {0, 2, 1, 3});
}

Value OnnxBuilder::concat(ArrayRef<Value> parts, int64_t axis) {
  SmallVector<int64_t> shape(typeOf(parts.front()).getShape());
  int64_t total = 0;
  for (Value part : parts) {
    int64_t size = typeOf(part).getDimSize(axis);
    total = ShapedType::isDynamic(size) || ShapedType::isDynamic(total)
                ? ShapedType::kDynamic
                : total + size;
    for (auto [i, known] : llvm::enumerate(typeOf(part).getShape()))
      if (!ShapedType::isDynamic(known))
        shape[i] = known;
  }
  shape[axis] = total;
  auto type = RankedTensorType::get(shape, elementOf(parts.front()));
  return ConcatOp::create(builder, loc, type, parts,
                          builder.getI64IntegerAttr(axis));
}

SmallVector<Value> OnnxBuilder::split(Value x, int64_t axis,
                                      ArrayRef<int64_t> sizes) {
  SmallVector<Type> types;
  for (int64_t size : sizes) {
    SmallVector<int64_t> shape(typeOf(x).getShape());
    shape[axis] = size;
    types.push_back(RankedTensorType::get(shape, elementOf(x)));
  }
  auto op = SplitOp::create(builder, loc, types, x, integers(sizes),
                            builder.getI64IntegerAttr(axis));
  return SmallVector<Value>(op.getResults());
}

Value OnnxBuilder::gatherRows(Value x, Value rows) {
  SmallVector<int64_t> shapeOfRows(typeOf(x).getShape());
  shapeOfRows[2] = typeOf(rows).getDimSize(1);
  Value sizes = concat({shape(x, 0, 2), shape(rows, 1, 2), shape(x, 3, 4)}, 0);
  Value indices = ExpandOp::create(
      builder, loc, RankedTensorType::get(shapeOfRows, builder.getI64Type()),
      unsqueeze(rows, {1, 3}), sizes);
  return GatherElementsOp::create(builder, loc, typeOf(x).clone(shapeOfRows), x,
                                  indices, builder.getI64IntegerAttr(2));
}

Value OnnxBuilder::where(Value condition, Value a, Value b) {
  return WhereOp::create(builder, loc,
                         broadcastType({condition, a, b}, elementOf(a)),
                         condition, a, b);
}

RankedTensorType OnnxBuilder::broadcastType(ArrayRef<Value> values,
                                            Type element) {
  int64_t rank = 0;
  for (Value value : values)
    rank = std::max(rank, typeOf(value).getRank());
  SmallVector<int64_t> shape(rank, 1);
  for (Value value : values) {
    ArrayRef<int64_t> sizes = typeOf(value).getShape();
    for (auto [i, size] : llvm::enumerate(sizes)) {
      int64_t &known = shape[rank - sizes.size() + i];
      // A static size other than 1 wins; an unknown one may still be 1.
      if (known == 1 || (ShapedType::isDynamic(known) && size != 1))
        known = size;
    }
  }
  return RankedTensorType::get(shape, element);
}

void returnWhatIsThere(func::FuncOp function) {
  if (function.isExternal())
    return;
  Operation *end = function.getBody().front().getTerminator();
  function.setFunctionType(FunctionType::get(function.getContext(),
                                             function.getArgumentTypes(),
                                             end->getOperandTypes()));
}

} // namespace qopt::onnx
