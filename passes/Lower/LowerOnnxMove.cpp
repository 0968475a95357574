// Onnx ops that move, repeat, cut, join or make elements by their place alone.
// Each is one generic that computes, for an index tuple of the result, where
// its element comes from.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
#include "mlir/Dialect/Arith/IR/Arith.h"
#include "mlir/Dialect/SCF/IR/SCF.h"
#include "mlir/Dialect/Tensor/IR/Tensor.h"
#include "passes/Lower/OnnxLowering.h"
#include "passes/Lower/ScalarMath.h"

using namespace mlir;
using namespace qopt;

using Order = ScalarMath::Order;

static int64_t positiveAxis(int64_t axis, int64_t rank) {
  return axis < 0 ? axis + rank : axis;
}

/// The integers of an operand as index values for use inside of regions: known
/// sizes, or read from the tensor when the kernel runs.
namespace {
class IndexOperand {
public:
  IndexOperand(LoweringContext &context, Value original)
      : context(context), original(original), known(context.content(original)) {
  }

  Value at(int64_t position) {
    if (known)
      return context.index((*known)[position]);
    SmallVector<Value> indices;
    if (context.rankOf(original) == 1)
      indices.push_back(context.index(position));
    return ScalarMath(context).convert({context.element(original, indices)},
                                       context.b.getIndexType());
  }

private:
  LoweringContext &context;
  Value original;
  std::optional<SmallVector<OpFoldResult>> known;
};
} // namespace

static LogicalResult lowerTranspose(onnx::TransposeOp op,
                                    LoweringContext &context) {
  // Axis i of the result is axis perm[i] of data: data's map is the inverse.
  SmallVector<unsigned> inverse(op.getPerm().size());
  for (auto [place, axis] : llvm::enumerate(op.getPerm()))
    inverse[axis] = place;
  AffineMap map = AffineMap::getPermutationMap(inverse, op.getContext());
  return context.pointwise(op.getResult(), {{op.getData(), map}},
                           [](ArrayRef<Scalar> x) { return x[0]; });
}

static LogicalResult lowerExpand(onnx::ExpandOp op, LoweringContext &context) {
  AffineMap map = context.broadcastMap(op.getData(), op.getResult());
  return context.pointwise(op.getResult(), {{op.getData(), map}},
                           [](ArrayRef<Scalar> x) { return x[0]; });
}

static LogicalResult lowerTile(onnx::TileOp op, LoweringContext &context) {
  Value data = op.getData();
  SmallVector<Value> bounds;
  for (int64_t dim = 0; dim < context.rankOf(data); ++dim) {
    bounds.push_back(context.sizeValue(data, dim));
    if (!bounds.back())
      return context.fail("the size of its operand depends on data");
  }
  return context.generate(op.getResult(), [&](ArrayRef<Value> indices) {
    SmallVector<Value> from;
    for (auto [dim, index] : llvm::enumerate(indices))
      from.push_back(context.isSame(data, dim, op.getResult(), dim)
                         ? index
                         : arith::RemUIOp::create(context.b, context.loc, index,
                                                  bounds[dim])
                               .getResult());
    return context.element(data, from);
  });
}

/// start clamped as Slice has it: counted from the end when negative, then
/// limited to [0, size], or [0, size - 1] for a negative step.
static Value clampedStart(LoweringContext &context, Value start, Value size,
                          Value step) {
  ScalarMath math(context);
  OpBuilder &b = context.b;
  Location loc = context.loc;
  Value zero = context.index(0);
  Value isNegative = math.compare(Order::Less, {start}, {zero});
  Value fromEnd = arith::AddIOp::create(b, loc, start, size);
  Value counted = math.select(isNegative, fromEnd, start);
  Value last = arith::SubIOp::create(b, loc, size, context.index(1));
  Value backwards = math.compare(Order::Less, {step}, {zero});
  Value limit = math.select(backwards, last, size);
  return math.maximum({math.minimum({counted}, {limit})}, {zero});
}

static LogicalResult lowerSlice(onnx::SliceOp op, LoweringContext &context) {
  Value data = op.getData();
  int64_t rank = context.rankOf(data);
  SmallVector<int64_t> axes;
  int64_t count = context.typeOf(op.getStarts()).getDimSize(0);
  if (onnx::isAbsent(op.getAxes())) {
    for (int64_t axis = 0; axis < count; ++axis)
      axes.push_back(axis);
  } else if (auto known = context.integers(op.getAxes())) {
    axes = *known;
  } else {
    return context.fail("its axes are no constants");
  }
  IndexOperand starts(context, op.getStarts());
  std::optional<IndexOperand> steps;
  if (!onnx::isAbsent(op.getSteps()))
    steps.emplace(context, op.getSteps());
  SmallVector<Value> bounds;
  for (int64_t axis : axes) {
    bounds.push_back(context.sizeValue(data, positiveAxis(axis, rank)));
    if (!bounds.back())
      return context.fail("the size of its operand depends on data");
  }
  return context.generate(op.getResult(), [&](ArrayRef<Value> indices) {
    SmallVector<Value> from(indices);
    for (auto [position, axis] : llvm::enumerate(axes)) {
      Value step = steps ? steps->at(position) : context.index(1);
      Value start =
          clampedStart(context, starts.at(position), bounds[position], step);
      Value &index = from[positiveAxis(axis, rank)];
      index = arith::MulIOp::create(context.b, context.loc, index, step);
      index = arith::AddIOp::create(context.b, context.loc, index, start);
    }
    return context.element(data, from);
  });
}

static LogicalResult lowerSplit(onnx::SplitOp op, LoweringContext &context) {
  Value data = op.getData();
  int64_t axis = positiveAxis(op.getAxis(), context.rankOf(data));
  Value offset = context.index(0);
  for (Value piece : op.getPieces()) {
    LogicalResult made = context.generate(piece, [&](ArrayRef<Value> indices) {
      SmallVector<Value> from(indices);
      from[axis] =
          arith::AddIOp::create(context.b, context.loc, indices[axis], offset);
      return context.element(data, from);
    });
    if (failed(made))
      return failure();
    offset = context.b.createOrFold<arith::AddIOp>(
        context.loc, offset, context.sizeValue(piece, axis));
  }
  return success();
}

static LogicalResult lowerConcat(onnx::ConcatOp op, LoweringContext &context) {
  int64_t axis = positiveAxis(op.getAxis(), context.rankOf(op.getResult()));
  OpBuilder &b = context.b;
  Location loc = context.loc;
  SmallVector<Value> ends;
  Value end = context.index(0);
  for (Value input : op.getInputs()) {
    Value size = context.sizeValue(input, axis);
    if (!size)
      return context.fail("the size of an operand depends on data");
    end = b.createOrFold<arith::AddIOp>(loc, end, size);
    ends.push_back(end);
  }
  return context.generate(op.getResult(), [&](ArrayRef<Value> indices) {
    // The first operand whose end lies beyond the index.
    std::function<Value(unsigned)> pick = [&](unsigned input) -> Value {
      auto read = [&] {
        SmallVector<Value> from(indices);
        if (input > 0)
          from[axis] =
              arith::SubIOp::create(b, loc, indices[axis], ends[input - 1]);
        return context.element(op.getInputs()[input], from);
      };
      if (input + 1 == ends.size())
        return read();
      Value inside = arith::CmpIOp::create(b, loc, arith::CmpIPredicate::ult,
                                           indices[axis], ends[input]);
      Type type = context.elementOf(op.getResult());
      if (auto integer = dyn_cast<IntegerType>(type))
        type = IntegerType::get(b.getContext(), integer.getWidth());
      auto choice = scf::IfOp::create(b, loc, type, inside, true);
      OpBuilder::InsertionGuard guard(b);
      b.setInsertionPointToStart(choice.thenBlock());
      scf::YieldOp::create(b, loc, read());
      b.setInsertionPointToStart(choice.elseBlock());
      scf::YieldOp::create(b, loc, pick(input + 1));
      return choice.getResult(0);
    };
    return pick(0);
  });
}

/// Where Pad's element at `index` (counted from the data's first element) comes
/// from, for the modes that repeat data.
static Value paddedIndex(LoweringContext &context, StringRef mode, Value index,
                         Value size) {
  ScalarMath math(context);
  Value zero = context.index(0), one = context.index(1);
  Value last = math.subtract({size}, {one});
  if (mode == "edge")
    return math.maximum({math.minimum({index}, {last})}, {zero});
  if (mode == "wrap")
    return math.remainder({index}, {size}, /*truncated=*/false);
  Value period = math.maximum({math.add({last}, {last})}, {one});
  Value place = math.remainder({index}, {period}, /*truncated=*/false);
  return math.minimum({place}, {math.subtract({period}, {place})});
}

/// The element at `from` where `inside` holds, else the padding.
static Value elementOrPadding(LoweringContext &context, onnx::PadOp op,
                              Value inside, ArrayRef<Value> from) {
  OpBuilder &b = context.b;
  Location loc = context.loc;
  ScalarMath math(context);
  Type type = context.elementOf(op.getData());
  Type signless = type;
  if (auto integer = dyn_cast<IntegerType>(type))
    signless = IntegerType::get(b.getContext(), integer.getWidth());
  auto choice = scf::IfOp::create(b, loc, signless, inside, true);
  OpBuilder::InsertionGuard guard(b);
  b.setInsertionPointToStart(choice.thenBlock());
  scf::YieldOp::create(b, loc, context.element(op.getData(), from));
  b.setInsertionPointToStart(choice.elseBlock());
  Value padding;
  if (onnx::isAbsent(op.getConstantValue())) {
    padding = math.constant(signless, 0);
  } else {
    int64_t rank = context.rankOf(op.getConstantValue());
    SmallVector<Value> zeros(rank, context.index(0));
    padding = context.element(op.getConstantValue(), zeros);
  }
  scf::YieldOp::create(b, loc, padding);
  return choice.getResult(0);
}

static LogicalResult lowerPad(onnx::PadOp op, LoweringContext &context) {
  Value data = op.getData();
  int64_t rank = context.rankOf(data);
  SmallVector<int64_t> axes;
  if (onnx::isAbsent(op.getAxes())) {
    for (int64_t axis = 0; axis < rank; ++axis)
      axes.push_back(axis);
  } else if (auto known = context.integers(op.getAxes())) {
    axes = *known;
  } else {
    return context.fail("its axes are no constants");
  }
  IndexOperand pads(context, op.getPads());
  SmallVector<Value> bounds;
  for (int64_t axis : axes) {
    bounds.push_back(context.sizeValue(data, positiveAxis(axis, rank)));
    if (!bounds.back())
      return context.fail("the size of its operand depends on data");
  }
  return context.generate(op.getResult(), [&](ArrayRef<Value> indices) {
    ScalarMath math(context);
    SmallVector<Value> from(indices);
    Value inside = math.constant(context.b.getI1Type(), 1);
    for (auto [position, axis] : llvm::enumerate(axes)) {
      Value &index = from[positiveAxis(axis, rank)];
      index = math.subtract({index}, {pads.at(position)});
      if (op.getMode() != "constant") {
        index = paddedIndex(context, op.getMode(), index, bounds[position]);
        continue;
      }
      // One unsigned comparison asks both ends.
      Value fits =
          math.compare(Order::Less, {index, true}, {bounds[position], true});
      inside = arith::AndIOp::create(context.b, context.loc, inside, fits);
    }
    if (op.getMode() != "constant")
      return context.element(data, from);
    return elementOrPadding(context, op, inside, from);
  });
}

static LogicalResult lowerTrilu(onnx::TriluOp op, LoweringContext &context) {
  std::optional<IndexOperand> shift;
  if (!onnx::isAbsent(op.getK()))
    shift.emplace(context, op.getK());
  return context.generate(op.getResult(), [&](ArrayRef<Value> indices) {
    ScalarMath math(context);
    Value row = indices[indices.size() - 2], column = indices.back();
    Value diagonal = math.subtract({column}, {row});
    Value k = shift ? shift->at(0) : context.index(0);
    Value kept =
        math.compare(op.getUpper() ? Order::GreaterOrEqual : Order::LessOrEqual,
                     {diagonal}, {k});
    Value element = context.element(op.getData(), indices);
    return math.select(kept, element, math.constant(element.getType(), 0));
  });
}

static LogicalResult lowerRange(onnx::RangeOp op, LoweringContext &context) {
  Type type = context.elementOf(op.getResult());
  IndexOperand start(context, op.getStart()), delta(context, op.getDelta());
  return context.generate(op.getResult(), [&](ArrayRef<Value> indices) {
    ScalarMath math(context);
    Value place = math.convert({indices[0]}, type);
    Value first, step;
    if (isa<FloatType>(type)) {
      first = context.element(op.getStart(), {});
      step = context.element(op.getDelta(), {});
    } else {
      first = math.convert({start.at(0)}, type);
      step = math.convert({delta.at(0)}, type);
    }
    return math.add({first}, {math.multiply({place}, {step})});
  });
}

static LogicalResult lowerConstantOfShape(onnx::ConstantOfShapeOp op,
                                          LoweringContext &context) {
  auto value = dyn_cast<DenseElementsAttr>(op.getValue());
  if (!value || value.getNumElements() != 1)
    return context.fail("its value is not one element");
  return context.generate(op.getResult(), [&](ArrayRef<Value>) -> Value {
    ScalarMath math(context);
    Type type = value.getElementType();
    if (isa<FloatType>(type))
      return arith::ConstantOp::create(context.b, context.loc,
                                       value.getSplatValue<FloatAttr>());
    return arith::ConstantOp::create(
        context.b, context.loc,
        IntegerAttr::get(
            IntegerType::get(op.getContext(), type.getIntOrFloatBitWidth()),
            value.getSplatValue<APInt>()));
  });
}

void qopt::addMoveLowerings(OnnxLoweringTable &table) {
  using namespace onnx;
  addLowering<TransposeOp, lowerTranspose>(table);
  addLowering<ExpandOp, lowerExpand>(table);
  addLowering<TileOp, lowerTile>(table);
  addLowering<SliceOp, lowerSlice>(table);
  addLowering<SplitOp, lowerSplit>(table);
  addLowering<ConcatOp, lowerConcat>(table);
  addLowering<PadOp, lowerPad>(table);
  addLowering<TriluOp, lowerTrilu>(table);
  addLowering<RangeOp, lowerRange>(table);
  addLowering<ConstantOfShapeOp, lowerConstantOfShape>(table);
}
