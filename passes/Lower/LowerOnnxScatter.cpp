// Onnx scatters: a loop over the updates, in their order, that carries the
// result. Indices count from the end when negative; one out of range is an
// error, which qopt.check_indices reports.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
#include "mlir/Dialect/Tensor/IR/Tensor.h"
#include "passes/Lower/CarriedLoops.h"
#include "passes/Lower/ScalarMath.h"

using namespace mlir;
using namespace qopt;

using Order = ScalarMath::Order;

/// What an update makes of the present element.
static Value combined(LoweringContext &context, StringRef reduction,
                      Scalar present, Scalar update) {
  ScalarMath math(context);
  return reduction == "none"  ? update.value
         : reduction == "add" ? math.add(present, update)
         : reduction == "mul" ? math.multiply(present, update)
         : reduction == "max" ? math.maximum(present, update)
                              : math.minimum(present, update);
}

/// One element of the updates, and where it goes.
struct Update {
  Scalar value;
  SmallVector<Value> place;
};
using UpdateAt = llvm::function_ref<Update(ArrayRef<Value> indices)>;

/// With a single update no order matters: every element is what was there or,
/// at its place, what the update makes of it. (A loop of one trip would not
/// stay a loop.)
static LogicalResult scatterOne(LoweringContext &context, Value result,
                                Value data, Value updates, StringRef reduction,
                                UpdateAt updateAt) {
  return context.generate(result, [&](ArrayRef<Value> indices) {
    ScalarMath math(context);
    SmallVector<Value> zeros(context.rankOf(updates), context.index(0));
    auto [update, place] = updateAt(zeros);
    Scalar present{context.element(data, indices), update.isUnsigned};
    Value isThere = arith::ConstantOp::create(context.b, context.loc,
                                              context.b.getBoolAttr(true));
    for (auto [index, at] : llvm::zip_equal(indices, place))
      isThere =
          arith::AndIOp::create(context.b, context.loc, isThere,
                                math.compare(Order::Equal, {index}, {at}));
    return math.select(isThere, combined(context, reduction, present, update),
                       present.value);
  });
}

/// `update` combined with what lies at its place of `data`, inserted there.
static Value insertUpdate(LoweringContext &context, StringRef reduction,
                          Value data, const Update &update) {
  OpBuilder &b = context.b;
  ArrayRef<Value> place = update.place;
  Value value = update.value.value;
  if (reduction != "none") {
    Scalar present =
        context.load(tensor::ExtractOp::create(b, context.loc, data, place));
    value = combined(context, reduction, present, update.value);
  }
  Type element = cast<RankedTensorType>(data.getType()).getElementType();
  return tensor::InsertOp::create(b, context.loc, context.store(value, element),
                                  data, place);
}

static std::optional<SmallVector<Value>> sizesOf(LoweringContext &context,
                                                 Value tensor) {
  SmallVector<Value> sizes;
  for (int64_t dim = 0; dim < context.rankOf(tensor); ++dim) {
    sizes.push_back(context.sizeValue(tensor, dim));
    if (!sizes.back())
      return std::nullopt;
  }
  return sizes;
}

static bool hasOneElement(LoweringContext &context, Value tensor) {
  RankedTensorType type = context.typeOf(tensor);
  return type.hasStaticShape() && type.getNumElements() == 1;
}

static LogicalResult dataDependent(LoweringContext &context) {
  return context.fail("the size of an operand depends on data");
}

static LogicalResult lowerScatterElements(onnx::ScatterElementsOp op,
                                          LoweringContext &context) {
  Value data = op.getData(), updates = op.getUpdates();
  int64_t axis = op.getAxis();
  axis += axis < 0 ? context.rankOf(data) : 0;
  Value size = context.sizeValue(data, axis);
  auto sizes = sizesOf(context, op.getIndices());
  if (!size || !sizes)
    return dataDependent(context);
  Value places = context.checkedIndices(op.getIndices(), size);
  bool isUnsigned = context.elementOf(data).isUnsignedInteger();
  auto updateAt = [&](ArrayRef<Value> indices) {
    SmallVector<Value> place(indices);
    place[axis] = context.placeOf(places, indices, size);
    return Update{{context.element(updates, indices), isUnsigned}, place};
  };
  if (hasOneElement(context, updates))
    return scatterOne(context, op.getResult(), data, updates, op.getReduction(),
                      updateAt);
  Value result = buildLoops(context, *sizes, context.lowered(data),
                            [&](ArrayRef<Value> indices, Value present) {
                              return insertUpdate(context, op.getReduction(),
                                                  present, updateAt(indices));
                            });
  return context.finish(op.getResult(), result);
}

static LogicalResult lowerScatterND(onnx::ScatterNDOp op,
                                    LoweringContext &context) {
  Value data = op.getData(), tuples = op.getIndices();
  int64_t rank = context.rankOf(tuples);
  int64_t length = context.typeOf(tuples).getDimSize(rank - 1);
  if (ShapedType::isDynamic(length))
    return context.fail("the length of its index tuples is not known");
  auto sizes = sizesOf(context, op.getUpdates());
  auto dataSizes = sizesOf(context, data);
  if (!sizes || !dataSizes)
    return dataDependent(context);
  Value places =
      context.checkedIndices(tuples, ArrayRef(*dataSizes).take_front(length));
  bool isUnsigned = context.elementOf(data).isUnsignedInteger();
  auto updateAt = [&](ArrayRef<Value> indices) {
    SmallVector<Value> at(indices.take_front(rank - 1)), place;
    at.push_back({});
    for (int64_t dim = 0; dim < length; ++dim) {
      at.back() = context.index(dim);
      place.push_back(context.placeOf(places, at, (*dataSizes)[dim]));
    }
    llvm::append_range(place, indices.drop_front(rank - 1));
    return Update{{context.element(op.getUpdates(), indices), isUnsigned},
                  place};
  };
  if (hasOneElement(context, op.getUpdates()))
    return scatterOne(context, op.getResult(), data, op.getUpdates(),
                      op.getReduction(), updateAt);
  Value result = buildLoops(context, *sizes, context.lowered(data),
                            [&](ArrayRef<Value> indices, Value present) {
                              return insertUpdate(context, op.getReduction(),
                                                  present, updateAt(indices));
                            });
  return context.finish(op.getResult(), result);
}

void qopt::addScatterLowerings(OnnxLoweringTable &table) {
  addLowering<onnx::ScatterElementsOp, lowerScatterElements>(table);
  addLowering<onnx::ScatterNDOp, lowerScatterND>(table);
}
