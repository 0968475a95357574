// Onnx reductions: a generic with reduction dimensions that keeps the reduced
// axes at size 1, an elementwise step where the formula has one, and a view
// where the axes go.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
#include "mlir/Dialect/Arith/IR/Arith.h"
#include "mlir/Dialect/Math/IR/Math.h"
#include "mlir/Dialect/SCF/IR/SCF.h"
#include "mlir/Dialect/Tensor/IR/Tensor.h"
#include "passes/Lower/OnnxLowering.h"
#include "passes/Lower/Reductions.h"

using namespace mlir;
using namespace qopt;

using Order = ScalarMath::Order;

static int64_t positiveAxis(int64_t axis, int64_t rank) {
  return axis < 0 ? axis + rank : axis;
}

/// Which axes a Reduce op reduces; nothing when they are computed.
template <typename OpTy>
static std::optional<SmallVector<bool>> reducedAxes(OpTy op,
                                                    LoweringContext &context) {
  int64_t rank = context.rankOf(op.getData());
  std::optional<SmallVector<int64_t>> axes = SmallVector<int64_t>();
  if (!onnx::isAbsent(op.getAxes()))
    axes = context.integers(op.getAxes());
  if (!axes)
    return std::nullopt;
  bool all = axes->empty() && !op.getNoopWithEmptyAxes();
  SmallVector<bool> reduced(rank, all);
  for (int64_t axis : *axes)
    reduced[positiveAxis(axis, rank)] = true;
  return reduced;
}

/// result = last(reduction of first(x)), where `last` also gets the number of
/// reduced elements.
template <typename OpTy>
static LogicalResult
lowerReduction(OpTy op, LoweringContext &context, Reduction kind,
               llvm::function_ref<Value(ScalarMath &, Scalar)> first,
               llvm::function_ref<Value(ScalarMath &, Value, Value)> last) {
  auto reduced = reducedAxes(op, context);
  if (!reduced)
    return context.fail("its axes are no constants");
  Value data = op.getData(), result = op.getReduced();
  bool isUnsigned = context.elementOf(data).isUnsignedInteger();
  Reductions reductions(context);
  Value total =
      reductions.along(data, *reduced, kind, context.lowered(data), first);
  if (!total)
    return context.fail("the size of its operand depends on data");
  Value count = reductions.count(data, *reduced);
  Type type = context.elementOf(result);
  auto sizes = reductions.sizesOf(data, *reduced);
  total = reductions.map(total, sizes, type, [&](Scalar x) {
    ScalarMath math(context);
    x.isUnsigned = isUnsigned;
    return math.convert(
        {last ? last(math, x.value, count) : x.value, isUnsigned}, type);
  });
  if (context.rankOf(result) != context.rankOf(data))
    total = context.view(total, result);
  return total ? context.finish(result, total)
               : context.fail("the size of its result depends on data");
}

static Value itself(ScalarMath &, Scalar x) { return x.value; }
static Value squared(ScalarMath &math, Scalar x) { return math.multiply(x, x); }

template <typename OpTy, Reduction kind>
static LogicalResult lowerPlain(OpTy op, LoweringContext &context) {
  return lowerReduction(op, context, kind, itself, nullptr);
}

static LogicalResult lowerMean(onnx::ReduceMeanOp op,
                               LoweringContext &context) {
  return lowerReduction(op, context, Reduction::Sum, itself,
                        [](ScalarMath &math, Value sum, Value count) {
                          Value divisor = math.convert({count}, sum.getType());
                          return math.divide({sum}, {divisor});
                        });
}

static LogicalResult lowerSumSquare(onnx::ReduceSumSquareOp op,
                                    LoweringContext &context) {
  return lowerReduction(op, context, Reduction::Sum, squared, nullptr);
}

static LogicalResult lowerL2(onnx::ReduceL2Op op, LoweringContext &context) {
  return lowerReduction(op, context, Reduction::Sum, squared,
                        [](ScalarMath &math, Value sum, Value) {
                          if (isa<FloatType>(sum.getType()))
                            return math.sqrt(sum);
                          Value wide = math.convert(
                              {sum}, Float64Type::get(sum.getContext()));
                          return math.convert({math.sqrt(wide)}, sum.getType());
                        });
}

static LogicalResult lowerL1(onnx::ReduceL1Op op, LoweringContext &context) {
  return lowerReduction(
      op, context, Reduction::Sum,
      [&](ScalarMath &math, Scalar x) -> Value {
        if (x.isFloat())
          return math::AbsFOp::create(context.b, context.loc, x.value);
        if (x.isUnsigned)
          return x.value;
        return math::AbsIOp::create(context.b, context.loc, x.value);
      },
      nullptr);
}

/// log(sum(exp(x - max))) + max, which does not overflow.
static LogicalResult lowerLogSumExp(onnx::ReduceLogSumExpOp op,
                                    LoweringContext &context) {
  auto reduced = reducedAxes(op, context);
  if (!reduced)
    return context.fail("its axes are no constants");
  Value data = op.getData(), result = op.getReduced();
  if (!isa<FloatType>(context.elementOf(data)))
    return context.fail("its element type is no float");
  Reductions reductions(context);
  Value largest = reductions.along(data, *reduced, Reduction::Max,
                                   context.lowered(data), itself);
  if (!largest)
    return context.fail("the size of its operand depends on data");
  Value sum = reductions.sumOfExponentials(data, *reduced, largest);
  Type type = context.elementOf(result);
  Value value = reductions.combine(
      sum, largest, reductions.sizesOf(data, *reduced), type,
      [&](Scalar sum, Scalar largest) {
        ScalarMath math(context);
        return math.convert({math.add({math.log(sum.value)}, largest)}, type);
      });
  if (context.rankOf(result) != context.rankOf(data))
    value = context.view(value, result);
  return value ? context.finish(result, value)
               : context.fail("the size of its result depends on data");
}

/// The index of the best element: a loop along the axis for each result.
template <typename OpTy, Order better>
static LogicalResult lowerArg(OpTy op, LoweringContext &context) {
  Value data = op.getData();
  int64_t axis = positiveAxis(op.getAxis(), context.rankOf(data));
  Value size = context.sizeValue(data, axis);
  if (!size)
    return context.fail("the size of its operand depends on data");
  bool isUnsigned = context.elementOf(data).isUnsignedInteger();
  return context.generate(op.getReduced(), [&](ArrayRef<Value> indices) {
    OpBuilder &b = context.b;
    Location loc = context.loc;
    SmallVector<Value> from(indices);
    if (op.getKeepdims())
      from[axis] = context.index(0);
    else
      from.insert(from.begin() + axis, context.index(0));
    Value start = context.element(data, from);
    auto loop =
        scf::ForOp::create(b, loc, context.index(1), size, context.index(1),
                           ValueRange{start, context.index(0)});
    OpBuilder::InsertionGuard guard(b);
    b.setInsertionPointToStart(loop.getBody());
    from[axis] = loop.getInductionVar();
    ScalarMath math(context);
    Scalar element{context.element(data, from), isUnsigned};
    Scalar best{loop.getRegionIterArgs()[0], isUnsigned};
    Order order = better;
    if (op.getSelectLastIndex())
      order =
          better == Order::Greater ? Order::GreaterOrEqual : Order::LessOrEqual;
    Value wins = math.compare(order, element, best);
    scf::YieldOp::create(
        b, loc,
        ValueRange{math.select(wins, element.value, best.value),
                   math.select(wins, from[axis], loop.getRegionIterArgs()[1])});
    b.setInsertionPointAfter(loop);
    return math.convert({loop.getResult(1)}, b.getI64Type());
  });
}

/// Each result sums the elements up to its own: quadratic in the axis, which
/// models use on masks and positions.
static LogicalResult lowerCumSum(onnx::CumSumOp op, LoweringContext &context) {
  auto given = context.integers(op.getAxis());
  if (!given || given->size() != 1)
    return context.fail("its axis is no constant");
  Value data = op.getX();
  int64_t axis = positiveAxis(given->front(), context.rankOf(data));
  Value size = context.sizeValue(data, axis);
  if (!size)
    return context.fail("the size of its operand depends on data");
  Type type = context.elementOf(data);
  return context.generate(op.getY(), [&](ArrayRef<Value> indices) {
    OpBuilder &b = context.b;
    Location loc = context.loc;
    ScalarMath math(context);
    Value own = indices[axis], one = context.index(1);
    Value next = math.add({own}, {one});
    Value low =
        op.getReverse() ? (op.getExclusive() ? next : own) : context.index(0);
    Value high = op.getReverse() ? size : (op.getExclusive() ? own : next);
    Type sumType = type;
    if (auto narrow = dyn_cast<FloatType>(type);
        narrow && narrow.getWidth() < 32)
      sumType = b.getF32Type();
    if (auto integer = dyn_cast<IntegerType>(type))
      sumType = IntegerType::get(b.getContext(), integer.getWidth());
    auto loop = scf::ForOp::create(b, loc, low, high, one,
                                   ValueRange{math.constant(sumType, 0)});
    OpBuilder::InsertionGuard guard(b);
    b.setInsertionPointToStart(loop.getBody());
    SmallVector<Value> from(indices);
    from[axis] = loop.getInductionVar();
    Scalar element = math.widen({context.element(data, from)});
    scf::YieldOp::create(b, loc,
                         math.add({loop.getRegionIterArgs()[0]}, element));
    b.setInsertionPointAfter(loop);
    return math.convert({loop.getResult(0)}, type);
  });
}

/// Whether element `a` at place i comes before element `b` at place j.
static Value ranksBefore(ScalarMath &math, OpBuilder &b, Location loc,
                         Order better, Scalar a, Value i, Scalar c, Value j) {
  Value equal = math.compare(Order::Equal, a, c);
  Value earlier = math.compare(Order::Less, {i}, {j});
  return math.select(equal, earlier, math.compare(better, a, c));
}

/// The place along `axis` of the element that `rank` others come before.
static Value placeOfRank(LoweringContext &context, onnx::TopKOp op,
                         int64_t axis, Value size, ArrayRef<Value> indices) {
  OpBuilder &b = context.b;
  Location loc = context.loc;
  ScalarMath math(context);
  Value data = op.getX(), zero = context.index(0), one = context.index(1);
  bool isUnsigned = context.elementOf(data).isUnsignedInteger();
  Order better = op.getLargest() ? Order::Greater : Order::Less;
  auto candidates =
      scf::ForOp::create(b, loc, zero, size, one, ValueRange{zero});
  OpBuilder::InsertionGuard guard(b);
  b.setInsertionPointToStart(candidates.getBody());
  SmallVector<Value> from(indices);
  Value candidate = candidates.getInductionVar();
  from[axis] = candidate;
  Scalar own{context.element(data, from), isUnsigned};
  auto others = scf::ForOp::create(b, loc, zero, size, one, ValueRange{zero});
  b.setInsertionPointToStart(others.getBody());
  from[axis] = others.getInductionVar();
  Scalar other{context.element(data, from), isUnsigned};
  Value before = ranksBefore(math, b, loc, better, other,
                             others.getInductionVar(), own, candidate);
  Value counted = math.add({others.getRegionIterArgs()[0]}, {one});
  scf::YieldOp::create(
      b, loc, math.select(before, counted, others.getRegionIterArgs()[0]));
  b.setInsertionPointAfter(others);
  Value found =
      math.compare(Order::Equal, {others.getResult(0)}, {indices[axis]});
  scf::YieldOp::create(
      b, loc, math.select(found, candidate, candidates.getRegionIterArgs()[0]));
  return candidates.getResult(0);
}

/// Counts for every candidate the elements before it: quadratic in the axis,
/// meant for choosing experts, not tokens.
static LogicalResult lowerTopK(onnx::TopKOp op, LoweringContext &context) {
  int64_t axis = positiveAxis(op.getAxis(), context.rankOf(op.getX()));
  Value size = context.sizeValue(op.getX(), axis);
  if (!size)
    return context.fail("the size of its operand depends on data");
  LogicalResult places =
      context.generate(op.getIndices(), [&](ArrayRef<Value> indices) {
        Value place = placeOfRank(context, op, axis, size, indices);
        return ScalarMath(context).convert({place}, context.b.getI64Type());
      });
  if (failed(places))
    return failure();
  Value found = context.lowered(op.getIndices());
  return context.generate(op.getValues(), [&](ArrayRef<Value> indices) {
    SmallVector<Value> from(indices);
    Value place =
        tensor::ExtractOp::create(context.b, context.loc, found, indices);
    from[axis] = ScalarMath(context).convert({place}, context.b.getIndexType());
    return context.element(op.getX(), from);
  });
}

void qopt::addReduceLowerings(OnnxLoweringTable &table) {
  using namespace onnx;
  addLowering<ReduceSumOp, lowerPlain<ReduceSumOp, Reduction::Sum>>(table);
  addLowering<ReduceProdOp, lowerPlain<ReduceProdOp, Reduction::Product>>(
      table);
  addLowering<ReduceMaxOp, lowerPlain<ReduceMaxOp, Reduction::Max>>(table);
  addLowering<ReduceMinOp, lowerPlain<ReduceMinOp, Reduction::Min>>(table);
  addLowering<ReduceMeanOp, lowerMean>(table);
  addLowering<ReduceSumSquareOp, lowerSumSquare>(table);
  addLowering<ReduceL1Op, lowerL1>(table);
  addLowering<ReduceL2Op, lowerL2>(table);
  addLowering<ReduceLogSumExpOp, lowerLogSumExp>(table);
  addLowering<ArgMaxOp, lowerArg<ArgMaxOp, Order::Greater>>(table);
  addLowering<ArgMinOp, lowerArg<ArgMinOp, Order::Less>>(table);
  addLowering<CumSumOp, lowerCumSum>(table);
  addLowering<TopKOp, lowerTopK>(table);
}
