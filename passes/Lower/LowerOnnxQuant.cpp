// Quantized onnx ops on activations, as the arithmetic they stand for.
// Quantized weights have been raised before.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
#include "mlir/Dialect/Arith/IR/Arith.h"
#include "mlir/Dialect/Math/IR/Math.h"
#include "passes/Lower/OnnxLowering.h"
#include "passes/Lower/ScalarMath.h"

using namespace mlir;
using namespace qopt;

/// The scale or the zero point of the element at `indices`: everywhere the
/// same, one along the axis, or one for each block of the axis.
static Value parameter(LoweringContext &context, Value values, int64_t axis,
                       int64_t block, ArrayRef<Value> indices) {
  if (context.rankOf(values) == 0)
    return context.element(values, {});
  if (block == 0)
    return context.element(
        values, {context.isOne(values, 0) ? context.index(0) : indices[axis]});
  SmallVector<Value> place(indices);
  place[axis] = arith::DivUIOp::create(context.b, context.loc, indices[axis],
                                       context.index(block));
  return context.element(values, place);
}

template <typename OpTy>
static int64_t axisOf(OpTy op, LoweringContext &context) {
  int64_t axis = op.getAxis();
  return axis < 0 ? axis + context.rankOf(op.getX()) : axis;
}

/// Floats are their own codes: their zero points, which are 0, only name them.
template <typename OpTy> static bool hasZeroPoint(OpTy op) {
  return !onnx::isAbsent(op.getZeroPoint()) &&
         !isa<FloatType>(getElementTypeOrSelf(op.getZeroPoint().getType()));
}

static LogicalResult lowerDequantize(onnx::DequantizeLinearOp op,
                                     LoweringContext &context) {
  Type codes = context.elementOf(op.getX());
  int64_t axis = axisOf(op, context);
  Type type = context.elementOf(op.getY());
  return context.generate(op.getY(), [&](ArrayRef<Value> indices) {
    ScalarMath math(context);
    bool isUnsigned = codes.isUnsignedInteger();
    Type wide = context.b.getF32Type();
    auto at = [&](Value values) {
      return parameter(context, values, axis, op.getBlockSize(), indices);
    };
    Value scale = math.convert({at(op.getScale())}, wide);
    Value x =
        math.convert({context.element(op.getX(), indices), isUnsigned}, wide);
    if (hasZeroPoint(op))
      x = math.subtract(
          {x}, {math.convert({at(op.getZeroPoint()), isUnsigned}, wide)});
    return math.convert({math.multiply({x}, {scale})}, type);
  });
}

/// The type that x, scale and their quotient are rounded to.
static Type divisionType(onnx::QuantizeLinearOp op, OpBuilder &b) {
  constexpr int64_t float16 = 10, bfloat16 = 16; // TensorProto.DataType
  if (op.getPrecision() == float16)
    return b.getF16Type();
  if (op.getPrecision() == bfloat16)
    return b.getBF16Type();
  return b.getF32Type();
}

/// round(ratio) + zero point, limited to the range of the codes.
static Value quantized(LoweringContext &context, Value ratio, Value zero,
                       Type codes) {
  ScalarMath math(context);
  Type wide = context.b.getF32Type();
  unsigned bits = codes.getIntOrFloatBitWidth();
  bool isUnsigned = codes.isUnsignedInteger();
  double low = isUnsigned ? 0 : -double(1ull << (bits - 1));
  double high = isUnsigned ? double((1ull << bits) - 1)
                           : double((1ull << (bits - 1)) - 1);
  Value rounded = math::RoundEvenOp::create(context.b, context.loc, ratio);
  if (zero)
    rounded = math.add({rounded}, {zero});
  Value limited =
      math.maximum({math.minimum({rounded}, {math.constant(wide, high)})},
                   {math.constant(wide, low)});
  return math.convert({limited}, codes);
}

static LogicalResult lowerQuantize(onnx::QuantizeLinearOp op,
                                   LoweringContext &context) {
  Type codes = context.elementOf(op.getY());
  if (codes.getIntOrFloatBitWidth() > 16)
    return context.fail("codes of more than 16 bits are not supported");
  int64_t axis = axisOf(op, context);
  return context.generate(op.getY(), [&](ArrayRef<Value> indices) {
    ScalarMath math(context);
    Type wide = context.b.getF32Type(), division = divisionType(op, context.b);
    auto at = [&](Value values) {
      return parameter(context, values, axis, op.getBlockSize(), indices);
    };
    Value scale = math.convert({at(op.getScale())}, division);
    Value x = math.convert({context.element(op.getX(), indices)}, division);
    Value ratio = math.convert({math.divide({x}, {scale})}, wide);
    if (isa<FloatType>(codes))
      return math.convert({ratio}, codes, {.saturate = op.getSaturate()});
    Value zero;
    if (hasZeroPoint(op))
      zero = math.convert({at(op.getZeroPoint()), codes.isUnsignedInteger()},
                          wide);
    return quantized(context, ratio, zero, codes);
  });
}

void qopt::addQuantLowerings(OnnxLoweringTable &table) {
  addLowering<onnx::DequantizeLinearOp, lowerDequantize>(table);
  addLowering<onnx::QuantizeLinearOp, lowerQuantize>(table);
}
