// Softmax and the normalisations that raising left: reductions for the moments,
// then one elementwise generic.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
#include "mlir/Dialect/Arith/IR/Arith.h"
#include "passes/Lower/OnnxLowering.h"
#include "passes/Lower/Reductions.h"

using namespace mlir;
using namespace qopt;

static int64_t positiveAxis(int64_t axis, int64_t rank) {
  return axis < 0 ? axis + rank : axis;
}

static Value itself(ScalarMath &, Scalar x) { return x.value; }

static SmallVector<bool> marks(int64_t rank, int64_t first, int64_t last) {
  SmallVector<bool> reduced(rank, false);
  for (int64_t dim = first; dim <= last; ++dim)
    reduced[dim] = true;
  return reduced;
}

static LogicalResult dataDependent(LoweringContext &context) {
  return context.fail("the size of its operand depends on data");
}

/// exp(x - max) is stored once, summed, and divided.
static LogicalResult lowerSoftmax(onnx::SoftmaxOp op,
                                  LoweringContext &context) {
  Value x = op.getX();
  int64_t rank = context.rankOf(x), axis = positiveAxis(op.getAxis(), rank);
  SmallVector<bool> reduced = marks(rank, axis, axis);
  Reductions reductions(context);
  Value largest =
      reductions.along(x, reduced, Reduction::Max, context.lowered(x), itself);
  if (!largest)
    return dataDependent(context);
  AffineMap identity = context.b.getMultiDimIdentityMap(rank);
  AffineMap row = reductions.reducedMap(reduced);
  Type wide = accumulatorType(context.elementOf(x));
  Value raised = context.compute(
      x, {context.lowered(x), largest}, {identity, row}, wide,
      [&](ArrayRef<Scalar> e) -> Scalar {
        ScalarMath math(context);
        return {math.exp(math.subtract(math.widen(e[0]), e[1]))};
      });
  Value sum = reductions.along(x, reduced, Reduction::Sum, raised, itself);
  Value y = context.compute(
      x, {raised, sum}, {identity, row}, context.elementOf(x),
      [&](ArrayRef<Scalar> e) -> Scalar {
        ScalarMath math(context);
        return {math.convert({math.divide(e[0], e[1])}, context.elementOf(x))};
      });
  return context.finish(op.getY(), y);
}

static LogicalResult lowerLogSoftmax(onnx::LogSoftmaxOp op,
                                     LoweringContext &context) {
  Value x = op.getX();
  int64_t rank = context.rankOf(x), axis = positiveAxis(op.getAxis(), rank);
  SmallVector<bool> reduced = marks(rank, axis, axis);
  Reductions reductions(context);
  Value largest =
      reductions.along(x, reduced, Reduction::Max, context.lowered(x), itself);
  if (!largest)
    return dataDependent(context);
  Value sum = reductions.sumOfExponentials(x, reduced, largest);
  AffineMap identity = context.b.getMultiDimIdentityMap(rank);
  AffineMap row = reductions.reducedMap(reduced);
  Value y = context.compute(
      x, {context.lowered(x), largest, sum}, {identity, row, row},
      context.elementOf(x), [&](ArrayRef<Scalar> e) -> Scalar {
        ScalarMath math(context);
        Value distance = math.subtract(math.widen(e[0]), e[1]);
        Value log = math.log(e[2].value);
        return {math.convert({math.subtract({distance}, {log})},
                             context.elementOf(x))};
      });
  return context.finish(op.getY(), y);
}

/// 1 / sqrt(sum / count + epsilon).
static Value inverseDeviation(ScalarMath &math, Scalar sum, Value count,
                              double epsilon) {
  Type type = sum.value.getType();
  Value mean = math.divide(sum, {math.convert({count}, type)});
  Value shifted = math.add({mean}, {math.constant(type, epsilon)});
  return math.reciprocal(math.sqrt(shifted));
}

/// The optional results of LayerNormalization, if anyone asks.
static LogicalResult finishMoments(onnx::LayerNormalizationOp op,
                                   LoweringContext &context,
                                   ArrayRef<bool> reduced, Value sums,
                                   Value squares) {
  Reductions reductions(context);
  Value count = reductions.count(op.getX(), reduced);
  auto sizes = reductions.sizesOf(op.getX(), reduced);
  double epsilon = op.getEpsilon().convertToFloat();
  for (bool isMean : {true, false}) {
    Value result = isMean ? op.getMean() : op.getInvStdDev();
    if (onnx::isAbsent(result) || result.use_empty())
      continue;
    Type type = context.elementOf(result);
    Value value =
        reductions.map(isMean ? sums : squares, sizes, type, [&](Scalar x) {
          ScalarMath math(context);
          Type wide = x.value.getType();
          Value moment = isMean ? math.divide(x, {math.convert({count}, wide)})
                                : inverseDeviation(math, x, count, epsilon);
          return math.convert({moment}, type);
        });
    if (failed(context.finish(result, value)))
      return failure();
  }
  return success();
}

static LogicalResult lowerLayerNorm(onnx::LayerNormalizationOp op,
                                    LoweringContext &context) {
  Value x = op.getX();
  int64_t rank = context.rankOf(x), axis = positiveAxis(op.getAxis(), rank);
  SmallVector<bool> reduced = marks(rank, axis, rank - 1);
  Reductions reductions(context);
  Value sums =
      reductions.along(x, reduced, Reduction::Sum, context.lowered(x), itself);
  if (!sums)
    return dataDependent(context);
  Value squares = reductions.sumOfSquaredDistances(x, reduced, sums);
  Value count = reductions.count(x, reduced);
  AffineMap row = reductions.reducedMap(reduced);
  SmallVector<Value> operands{context.lowered(x), sums, squares,
                              context.lowered(op.getScale())};
  SmallVector<AffineMap> maps{context.b.getMultiDimIdentityMap(rank), row, row,
                              context.broadcastMap(op.getScale(), x)};
  if (!onnx::isAbsent(op.getBias())) {
    operands.push_back(context.lowered(op.getBias()));
    maps.push_back(context.broadcastMap(op.getBias(), x));
  }
  if (llvm::is_contained(maps, AffineMap()))
    return context.fail("the shape of its scale or bias is not known");
  double epsilon = op.getEpsilon().convertToFloat();
  Value y = context.compute(
      x, operands, maps, context.elementOf(x),
      [&](ArrayRef<Scalar> e) -> Scalar {
        ScalarMath math(context);
        Value number = math.convert({count}, e[1].value.getType());
        Value mean = math.divide(e[1], {number});
        Value distance = math.subtract(math.widen(e[0]), {mean});
        Value inverse = inverseDeviation(math, e[2], count, epsilon);
        Value value = math.multiply({distance}, {inverse});
        value = math.multiply({value}, math.widen(e[3]));
        if (e.size() > 4)
          value = math.add({value}, math.widen(e[4]));
        return {math.convert({value}, context.elementOf(x))};
      });
  if (failed(context.finish(op.getY(), y)))
    return failure();
  return finishMoments(op, context, reduced, sums, squares);
}

static LogicalResult lowerRMSNorm(onnx::RMSNormalizationOp op,
                                  LoweringContext &context) {
  Value x = op.getX();
  int64_t rank = context.rankOf(x), axis = positiveAxis(op.getAxis(), rank);
  SmallVector<bool> reduced = marks(rank, axis, rank - 1);
  Reductions reductions(context);
  Value squares = reductions.along(
      x, reduced, Reduction::Sum, context.lowered(x),
      [](ScalarMath &math, Scalar e) { return math.multiply(e, e); });
  if (!squares)
    return dataDependent(context);
  Value count = reductions.count(x, reduced);
  AffineMap scaleMap = context.broadcastMap(op.getScale(), x);
  if (!scaleMap)
    return context.fail("the shape of its scale is not known");
  double epsilon = op.getEpsilon().convertToFloat();
  Value y = context.compute(
      x, {context.lowered(x), squares, context.lowered(op.getScale())},
      {context.b.getMultiDimIdentityMap(rank), reductions.reducedMap(reduced),
       scaleMap},
      context.elementOf(x), [&](ArrayRef<Scalar> e) -> Scalar {
        ScalarMath math(context);
        Value inverse = inverseDeviation(math, e[1], count, epsilon);
        Value value = math.multiply(math.widen(e[0]), {inverse});
        value = math.multiply({value}, math.widen(e[2]));
        return {math.convert({value}, context.elementOf(x))};
      });
  return context.finish(op.getY(), y);
}

static LogicalResult lowerLpNorm(onnx::LpNormalizationOp op,
                                 LoweringContext &context) {
  Value x = op.getX();
  int64_t rank = context.rankOf(x), axis = positiveAxis(op.getAxis(), rank);
  if (op.getP() != 1 && op.getP() != 2)
    return context.fail("p is " + Twine(op.getP()) + "; expected 1 or 2");
  SmallVector<bool> reduced = marks(rank, axis, axis);
  Reductions reductions(context);
  bool squared = op.getP() == 2;
  Value norm =
      reductions.along(x, reduced, Reduction::Sum, context.lowered(x),
                       [&](ScalarMath &math, Scalar e) {
                         if (squared)
                           return math.multiply(e, e);
                         Value zero = math.constant(e.value.getType(), 0);
                         return math.maximum(e, {math.subtract({zero}, e)});
                       });
  if (!norm)
    return dataDependent(context);
  Value y = context.compute(
      x, {context.lowered(x), norm},
      {context.b.getMultiDimIdentityMap(rank), reductions.reducedMap(reduced)},
      context.elementOf(x), [&](ArrayRef<Scalar> e) -> Scalar {
        ScalarMath math(context);
        Value divisor = squared ? math.sqrt(e[1].value) : e[1].value;
        Value zero = math.constant(divisor.getType(), 0);
        Value isZero =
            math.compare(ScalarMath::Order::Equal, {divisor}, {zero});
        Value quotient = math.divide(math.widen(e[0]), {divisor});
        return {math.convert({math.select(isZero, zero, quotient)},
                             context.elementOf(x))};
      });
  return context.finish(op.getY(), y);
}

void qopt::addNormLowerings(OnnxLoweringTable &table) {
  using namespace onnx;
  addLowering<SoftmaxOp, lowerSoftmax>(table);
  addLowering<LogSoftmaxOp, lowerLogSoftmax>(table);
  addLowering<LayerNormalizationOp, lowerLayerNorm>(table);
  addLowering<RMSNormalizationOp, lowerRMSNorm>(table);
  addLowering<LpNormalizationOp, lowerLpNorm>(table);
}
