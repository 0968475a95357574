// Quantized onnx ops on activations, as the arithmetic they stand for.
// Quantized weights have been raised before.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
#include "mlir/Dialect/Arith/IR/Arith.h"
#include "mlir/Dialect/Math/IR/Math.h"
#include "passes/Lower/OnnxLowering.h"
#include "passes/Lower/ScalarMath.h"

using namespace mlir;
using namespace qopt;

/// Where an element's scale lies: everywhere the same, along the axis, or one
/// for each block of the axis.
static SmallVector<Value> scalePlace(LoweringContext &context, Value scale,
                                     int64_t axis, int64_t block,
                                     ArrayRef<Value> indices) {
  int64_t rank = context.rankOf(scale);
  if (rank == 0)
    return {};
  if (block == 0)
    return {context.isOne(scale, 0) ? context.index(0) : indices[axis]};
  SmallVector<Value> place(indices);
  place[axis] = arith::DivUIOp::create(context.b, context.loc, indices[axis],
                                       context.index(block));
  return place;
}

template <typename OpTy>
static int64_t axisOf(OpTy op, LoweringContext &context) {
  int64_t axis = op.getAxis();
  return axis < 0 ? axis + context.rankOf(op.getX()) : axis;
}

static bool isCode(Type type) {
  return isa<IntegerType>(type) && type.getIntOrFloatBitWidth() >= 8;
}

static LogicalResult lowerDequantize(onnx::DequantizeLinearOp op,
                                     LoweringContext &context) {
  Type codes = context.elementOf(op.getX());
  if (!isCode(codes))
    return context.fail("codes of less than 8 bits and of 8-bit floats are "
                        "supported only in weights");
  int64_t axis = axisOf(op, context);
  Type type = context.elementOf(op.getY());
  return context.generate(op.getY(), [&](ArrayRef<Value> indices) {
    ScalarMath math(context);
    bool isUnsigned = codes.isUnsignedInteger();
    Type wide = context.b.getF32Type();
    auto place =
        scalePlace(context, op.getScale(), axis, op.getBlockSize(), indices);
    Value scale = math.convert({context.element(op.getScale(), place)}, wide);
    Value x =
        math.convert({context.element(op.getX(), indices), isUnsigned}, wide);
    if (!onnx::isAbsent(op.getZeroPoint())) {
      Value zero = context.element(op.getZeroPoint(), place);
      x = math.subtract({x}, {math.convert({zero, isUnsigned}, wide)});
    }
    return math.convert({math.multiply({x}, {scale})}, type);
  });
}

/// round(x / scale) + zero point, limited to the range of the codes.
static Value quantized(LoweringContext &context, Value x, Value scale,
                       Value zero, Type codes) {
  ScalarMath math(context);
  Type wide = context.b.getF32Type();
  unsigned bits = codes.getIntOrFloatBitWidth();
  bool isUnsigned = codes.isUnsignedInteger();
  double low = isUnsigned ? 0 : -double(1ull << (bits - 1));
  double high = isUnsigned ? double((1ull << bits) - 1)
                           : double((1ull << (bits - 1)) - 1);
  Value ratio = math.divide({x}, {scale});
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
  if (!isCode(codes) || codes.getIntOrFloatBitWidth() > 16)
    return context.fail("codes of less than 8 bits and 8-bit floats are not "
                        "supported on activations");
  int64_t axis = axisOf(op, context);
  return context.generate(op.getY(), [&](ArrayRef<Value> indices) {
    ScalarMath math(context);
    Type wide = context.b.getF32Type();
    auto place =
        scalePlace(context, op.getScale(), axis, op.getBlockSize(), indices);
    Value scale = math.convert({context.element(op.getScale(), place)}, wide);
    Value x = math.convert({context.element(op.getX(), indices)}, wide);
    Value zero;
    if (!onnx::isAbsent(op.getZeroPoint()))
      zero = math.convert({context.element(op.getZeroPoint(), place),
                           codes.isUnsignedInteger()},
                          wide);
    return quantized(context, x, scale, zero, codes);
  });
}

void qopt::addQuantLowerings(OnnxLoweringTable &table) {
  addLowering<onnx::DequantizeLinearOp, lowerDequantize>(table);
  addLowering<onnx::QuantizeLinearOp, lowerQuantize>(table);
}
