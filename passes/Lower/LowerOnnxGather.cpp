// Onnx ops whose elements come from places that another tensor names. Indices
// count from the end when negative; one out of range is an error, which
// qopt.check_indices reports before a kernel reads at any of them.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
#include "mlir/Dialect/Arith/IR/Arith.h"
#include "mlir/Dialect/SCF/IR/SCF.h"
#include "passes/Lower/OnnxLowering.h"
#include "passes/Lower/ScalarMath.h"

using namespace mlir;
using namespace qopt;

using Order = ScalarMath::Order;

static int64_t positiveAxis(int64_t axis, int64_t rank) {
  return axis < 0 ? axis + rank : axis;
}

static LogicalResult lowerGather(onnx::GatherOp op, LoweringContext &context) {
  int64_t axis = positiveAxis(op.getAxis(), context.rankOf(op.getData()));
  int64_t count = context.rankOf(op.getIndices());
  Value size = context.sizeValue(op.getData(), axis);
  if (!size)
    return context.fail("the size of its operand depends on data");
  Value places = context.checkedIndices(op.getIndices(), size);
  return context.generate(op.getResult(), [&](ArrayRef<Value> indices) {
    SmallVector<Value> from(indices.take_front(axis));
    from.push_back(context.placeOf(places, indices.slice(axis, count), size));
    llvm::append_range(from, indices.drop_front(axis + count));
    return context.element(op.getData(), from);
  });
}

static LogicalResult lowerGatherElements(onnx::GatherElementsOp op,
                                         LoweringContext &context) {
  int64_t axis = positiveAxis(op.getAxis(), context.rankOf(op.getData()));
  Value size = context.sizeValue(op.getData(), axis);
  if (!size)
    return context.fail("the size of its operand depends on data");
  Value places = context.checkedIndices(op.getIndices(), size);
  return context.generate(op.getResult(), [&](ArrayRef<Value> indices) {
    SmallVector<Value> from(indices);
    from[axis] = context.placeOf(places, indices, size);
    return context.element(op.getData(), from);
  });
}

static LogicalResult lowerGatherND(onnx::GatherNDOp op,
                                   LoweringContext &context) {
  Value data = op.getData(), indices = op.getIndices();
  int64_t rank = context.rankOf(indices), batch = op.getBatchDims();
  int64_t tuple = context.typeOf(indices).getDimSize(rank - 1);
  if (ShapedType::isDynamic(tuple))
    return context.fail("the length of its index tuples is not known");
  SmallVector<Value> sizes;
  for (int64_t dim = 0; dim < tuple; ++dim) {
    sizes.push_back(context.sizeValue(data, batch + dim));
    if (!sizes.back())
      return context.fail("the size of its operand depends on data");
  }
  Value tuples = context.checkedIndices(indices, sizes);
  return context.generate(op.getResult(), [&](ArrayRef<Value> place) {
    SmallVector<Value> from(place.take_front(batch));
    SmallVector<Value> at(place.take_front(rank - 1));
    at.push_back({});
    for (int64_t dim = 0; dim < tuple; ++dim) {
      at.back() = context.index(dim);
      from.push_back(context.placeOf(tuples, at, sizes[dim]));
    }
    llvm::append_range(from, place.drop_front(rank - 1));
    return context.element(data, from);
  });
}

static LogicalResult lowerOneHot(onnx::OneHotOp op, LoweringContext &context) {
  Value result = op.getResult();
  int64_t axis = positiveAxis(op.getAxis(), context.rankOf(result));
  Value depth = context.sizeValue(result, axis);
  if (!depth)
    return context.fail("its depth depends on the contents of a tensor");
  return context.generate(result, [&](ArrayRef<Value> indices) {
    ScalarMath math(context);
    SmallVector<Value> at(indices.take_front(axis));
    llvm::append_range(at, indices.drop_front(axis + 1));
    Value raw = math.convert({context.element(op.getIndices(), at)},
                             context.b.getIndexType());
    Value negative = math.compare(Order::Less, {raw}, {context.index(0)});
    Value place = math.select(negative, math.add({raw}, {depth}), raw);
    Value isOn = math.compare(Order::Equal, {place}, {indices[axis]});
    Value off = context.element(op.getValues(), context.index(0));
    Value on = context.element(op.getValues(), context.index(1));
    return math.select(isOn, on, off);
  });
}

/// The new entries where a sequence's window covers the place, else the cache.
static LogicalResult lowerTensorScatter(onnx::TensorScatterOp op,
                                        LoweringContext &context) {
  Value cache = op.getPastCache(), update = op.getUpdate();
  int64_t axis = positiveAxis(op.getAxis(), context.rankOf(cache));
  Value length = context.sizeValue(update, axis);
  Value capacity = context.sizeValue(cache, axis);
  if (!length || !capacity)
    return context.fail("the size of an operand depends on data");
  bool isCircular = op.getMode() == "circular";
  Value starts = op.getWriteIndices();
  if (!onnx::isAbsent(starts) && !isCircular) {
    Value last =
        context.b.createOrFold<arith::SubIOp>(context.loc, capacity, length);
    starts =
        context.checkedStarts(starts, context.b.createOrFold<arith::AddIOp>(
                                          context.loc, last, context.index(1)));
  }
  return context.generate(op.getPresentCache(), [&](ArrayRef<Value> indices) {
    ScalarMath math(context);
    OpBuilder &b = context.b;
    Value first = context.index(0);
    if (!onnx::isAbsent(starts))
      first = math.convert({context.element(starts, indices.front())},
                           b.getIndexType());
    Value entry = math.subtract({indices[axis]}, {first});
    if (isCircular)
      entry = math.remainder({entry}, {capacity}, /*truncated=*/false);
    Value isNew = math.compare(Order::Less, {entry, true}, {length, true});
    SmallVector<Value> from(indices);
    from[axis] = math.select(isNew, entry, context.index(0));
    Type type = context.elementOf(cache);
    if (auto integer = dyn_cast<IntegerType>(type))
      type = IntegerType::get(b.getContext(), integer.getWidth());
    auto choice = scf::IfOp::create(b, context.loc, type, isNew, true);
    OpBuilder::InsertionGuard guard(b);
    b.setInsertionPointToStart(choice.thenBlock());
    scf::YieldOp::create(b, context.loc, context.element(update, from));
    b.setInsertionPointToStart(choice.elseBlock());
    scf::YieldOp::create(b, context.loc, context.element(cache, indices));
    return choice.getResult(0);
  });
}

void qopt::addGatherLowerings(OnnxLoweringTable &table) {
  using namespace onnx;
  addLowering<GatherOp, lowerGather>(table);
  addLowering<GatherElementsOp, lowerGatherElements>(table);
  addLowering<GatherNDOp, lowerGatherND>(table);
  addLowering<OneHotOp, lowerOneHot>(table);
  addLowering<TensorScatterOp, lowerTensorScatter>(table);
}
