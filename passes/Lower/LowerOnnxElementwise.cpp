// Elementwise onnx ops: one linalg.generic each, broadcasting through indexing
// maps.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
#include "mlir/Dialect/Arith/IR/Arith.h"
#include "mlir/Dialect/Math/IR/Math.h"
#include "passes/Lower/OnnxLowering.h"
#include "passes/Lower/ScalarMath.h"
#include "llvm/ADT/StringSwitch.h"

using namespace mlir;
using namespace qopt;

using Scalars = ArrayRef<Scalar>;
using Order = ScalarMath::Order;

/// All operands of `op` broadcast to its result.
static LogicalResult elementwise(Operation *op, LoweringContext &context,
                                 LoweringContext::PointwiseBody body) {
  Value result = op->getResult(0);
  SmallVector<Access> operands;
  for (Value operand : op->getOperands())
    if (!onnx::isAbsent(operand))
      operands.push_back({operand, context.broadcastMap(operand, result)});
  return context.pointwise(result, operands, body);
}

/// Ops that are the identity on integers and a math op on floats.
template <typename OpTy, typename MathOp>
static LogicalResult lowerFloatUnary(OpTy op, LoweringContext &context) {
  return elementwise(op, context, [&](Scalars x) -> Scalar {
    if (!x[0].isFloat())
      return x[0];
    ScalarMath math(context);
    Type type = x[0].value.getType();
    Value wide = math.widen(x[0]).value;
    return {math.convert({MathOp::create(context.b, context.loc, wide)}, type)};
  });
}

template <typename OpTy, Value (ScalarMath::*function)(Value)>
static LogicalResult lowerFunction(OpTy op, LoweringContext &context) {
  return elementwise(op, context, [&](Scalars x) -> Scalar {
    ScalarMath math(context);
    Type type = x[0].value.getType();
    return {math.convert({(math.*function)(math.widen(x[0]).value)}, type)};
  });
}

template <typename OpTy, Value (ScalarMath::*function)(Scalar, Scalar)>
static LogicalResult lowerBinary(OpTy op, LoweringContext &context) {
  return elementwise(op, context, [&](Scalars x) -> Scalar {
    return {(ScalarMath(context).*function)(x[0], x[1]), x[0].isUnsigned};
  });
}

template <typename OpTy, Value (ScalarMath::*function)(Scalar, Scalar)>
static LogicalResult lowerVariadic(OpTy op, LoweringContext &context) {
  return elementwise(op, context, [&](Scalars x) -> Scalar {
    Scalar total = x[0];
    for (Scalar next : x.drop_front())
      total.value = (ScalarMath(context).*function)(total, next);
    return total;
  });
}

template <typename OpTy, Order order>
static LogicalResult lowerCompare(OpTy op, LoweringContext &context) {
  return elementwise(op, context, [&](Scalars x) -> Scalar {
    return {ScalarMath(context).compare(order, x[0], x[1])};
  });
}

/// And, Or, Xor on booleans and integers alike.
template <typename OpTy, typename ArithOp>
static LogicalResult lowerBitwise(OpTy op, LoweringContext &context) {
  return elementwise(op, context, [&](Scalars x) -> Scalar {
    return {ArithOp::create(context.b, context.loc, x[0].value, x[1].value),
            x[0].isUnsigned};
  });
}

template <typename OpTy>
static LogicalResult lowerNot(OpTy op, LoweringContext &context) {
  return elementwise(op, context, [&](Scalars x) -> Scalar {
    Value ones = ScalarMath(context).constant(x[0].value.getType(), -1);
    return {arith::XOrIOp::create(context.b, context.loc, x[0].value, ones),
            x[0].isUnsigned};
  });
}

static LogicalResult lowerAbs(onnx::AbsOp op, LoweringContext &context) {
  return elementwise(op, context, [&](Scalars x) -> Scalar {
    OpBuilder &b = context.b;
    if (x[0].isFloat())
      return {math::AbsFOp::create(b, context.loc, x[0].value)};
    if (x[0].isUnsigned)
      return x[0];
    return {math::AbsIOp::create(b, context.loc, x[0].value)};
  });
}

static LogicalResult lowerNeg(onnx::NegOp op, LoweringContext &context) {
  return elementwise(op, context, [&](Scalars x) -> Scalar {
    if (x[0].isFloat())
      return {arith::NegFOp::create(context.b, context.loc, x[0].value)};
    ScalarMath math(context);
    return {math.subtract({math.constant(x[0].value.getType(), 0)}, x[0])};
  });
}

static LogicalResult lowerSign(onnx::SignOp op, LoweringContext &context) {
  return elementwise(op, context, [&](Scalars x) -> Scalar {
    ScalarMath math(context);
    Type type = x[0].value.getType();
    Scalar zero{math.constant(type, 0), x[0].isUnsigned};
    Value one = math.constant(type, 1);
    Value positive =
        math.select(math.compare(Order::Greater, x[0], zero), one, zero.value);
    if (x[0].isUnsigned)
      return {positive, true};
    Value sign = math.select(math.compare(Order::Less, x[0], zero),
                             math.constant(type, -1), positive);
    if (!x[0].isFloat())
      return {sign};
    Value isNumber = math.compare(Order::Equal, x[0], x[0]);
    return {math.select(isNumber, sign, x[0].value)};
  });
}

static LogicalResult lowerRelu(onnx::ReluOp op, LoweringContext &context) {
  return elementwise(op, context, [&](Scalars x) -> Scalar {
    ScalarMath math(context);
    return {math.maximum(x[0], {math.constant(x[0].value.getType(), 0)})};
  });
}

static LogicalResult lowerIsNaN(onnx::IsNaNOp op, LoweringContext &context) {
  return elementwise(op, context, [&](Scalars x) -> Scalar {
    Value wide = ScalarMath(context).widen(x[0]).value;
    return {arith::CmpFOp::create(context.b, context.loc,
                                  arith::CmpFPredicate::UNO, wide, wide)};
  });
}

static LogicalResult lowerIsInf(onnx::IsInfOp op, LoweringContext &context) {
  return elementwise(op, context, [&](Scalars x) -> Scalar {
    ScalarMath math(context);
    Scalar wide = math.widen(x[0]);
    Type type = wide.value.getType();
    double infinity = std::numeric_limits<double>::infinity();
    Value result = math.constant(context.b.getI1Type(), 0);
    auto either = [&](double value) {
      Value equal =
          math.compare(Order::Equal, wide, {math.constant(type, value)});
      result = arith::OrIOp::create(context.b, context.loc, result, equal);
    };
    if (op.getDetectPositive())
      either(infinity);
    if (op.getDetectNegative())
      either(-infinity);
    return {result};
  });
}

/// log(exp(x) + 1) = max(x, 0) + log1p(exp(-|x|)), which does not overflow.
static LogicalResult lowerSoftplus(onnx::SoftplusOp op,
                                   LoweringContext &context) {
  return elementwise(op, context, [&](Scalars x) -> Scalar {
    ScalarMath math(context);
    OpBuilder &b = context.b;
    Location loc = context.loc;
    Scalar wide = math.widen(x[0]);
    Value magnitude = math::AbsFOp::create(b, loc, wide.value);
    Value decayed = math.exp(arith::NegFOp::create(b, loc, magnitude));
    Value tail = math::Log1pOp::create(b, loc, decayed);
    Value head = math.maximum(wide, {math.constant(wide.value.getType(), 0)});
    return {math.convert({math.add({head}, {tail})}, x[0].value.getType())};
  });
}

static LogicalResult lowerGelu(onnx::GeluOp op, LoweringContext &context) {
  return elementwise(op, context, [&](Scalars x) -> Scalar {
    ScalarMath math(context);
    Scalar wide = math.widen(x[0]);
    Type type = wide.value.getType();
    auto number = [&](double value) {
      return Scalar{math.constant(type, value)};
    };
    Value inner;
    if (op.getApproximate() == "tanh") {
      Value cube = math.multiply({math.multiply(wide, wide)}, wide);
      Value sum = math.add(wide, {math.multiply({cube}, number(0.044715))});
      inner = math.tanh(math.multiply({sum}, number(0.79788456080286535588)));
    } else {
      inner = math.erf(math.multiply(wide, number(0.70710678118654752440)));
    }
    Value half = math.multiply(wide, number(0.5));
    Value result = math.multiply({half}, {math.add(number(1), {inner})});
    return {math.convert({result}, x[0].value.getType())};
  });
}

/// x * sigmoid(alpha * x), f32 or f64.
static Value swish(ScalarMath &math, Scalar wide, double alpha) {
  Value scaled = wide.value;
  if (alpha != 1.0)
    scaled = math.multiply(wide, {math.constant(wide.value.getType(), alpha)});
  return math.multiply(wide, {math.sigmoid(scaled)});
}

static LogicalResult lowerSwish(onnx::SwishOp op, LoweringContext &context) {
  return elementwise(op, context, [&](Scalars x) -> Scalar {
    ScalarMath math(context);
    Value result =
        swish(math, math.widen(x[0]), op.getAlpha().convertToFloat());
    return {math.convert({result}, x[0].value.getType())};
  });
}

static LogicalResult lowerSwiGLU(onnx::SwiGLUOp op, LoweringContext &context) {
  return elementwise(op, context, [&](Scalars x) -> Scalar {
    ScalarMath math(context);
    Value gate = swish(math, math.widen(x[0]), op.getAlpha().convertToFloat());
    Value result = math.multiply({gate}, math.widen(x[1]));
    return {math.convert({result}, x[0].value.getType())};
  });
}

static LogicalResult lowerMod(onnx::ModOp op, LoweringContext &context) {
  return elementwise(op, context, [&](Scalars x) -> Scalar {
    return {ScalarMath(context).remainder(x[0], x[1], op.getFmod()),
            x[0].isUnsigned};
  });
}

/// A shift by the width or more, or by a negative number, shifts all bits out.
static LogicalResult lowerBitShift(onnx::BitShiftOp op,
                                   LoweringContext &context) {
  return elementwise(op, context, [&](Scalars x) -> Scalar {
    ScalarMath math(context);
    OpBuilder &b = context.b;
    Location loc = context.loc;
    Type type = x[0].value.getType();
    unsigned bits = type.getIntOrFloatBitWidth();
    bool isLeft = op.getDirection() == "LEFT";
    // A signed number shifted right keeps its sign, so all bits out is one less
    // than its width.
    bool keepsSign = !isLeft && !x[0].isUnsigned;
    Value fits = math.compare(Order::Less, {x[1].value, true},
                              {math.constant(type, bits), true});
    Value most = math.constant(type, keepsSign ? bits - 1 : 0);
    Value amount = math.select(fits, x[1].value, most);
    if (keepsSign)
      return {arith::ShRSIOp::create(b, loc, x[0].value, amount)};
    Value shifted =
        isLeft ? arith::ShLIOp::create(b, loc, x[0].value, amount).getResult()
               : arith::ShRUIOp::create(b, loc, x[0].value, amount).getResult();
    return {math.select(fits, shifted, math.constant(type, 0)),
            x[0].isUnsigned};
  });
}

static LogicalResult lowerPow(onnx::PowOp op, LoweringContext &context) {
  return elementwise(op, context, [&](Scalars x) -> Scalar {
    return {ScalarMath(context).power(x[0], x[1]), x[0].isUnsigned};
  });
}

static LogicalResult lowerClip(onnx::ClipOp op, LoweringContext &context) {
  bool hasMin = !onnx::isAbsent(op.getMin());
  bool hasMax = !onnx::isAbsent(op.getMax());
  return elementwise(op, context, [&](Scalars x) -> Scalar {
    ScalarMath math(context);
    Scalar value = x[0];
    if (hasMin)
      value.value = math.maximum(value, x[1]);
    if (hasMax)
      value.value = math.minimum(value, x.back());
    return value;
  });
}

static LogicalResult lowerWhere(onnx::WhereOp op, LoweringContext &context) {
  return elementwise(op, context, [&](Scalars x) -> Scalar {
    return {ScalarMath(context).select(x[0].value, x[1].value, x[2].value),
            x[1].isUnsigned};
  });
}

static LogicalResult lowerCast(onnx::CastOp op, LoweringContext &context) {
  Type to = context.elementOf(op.getY());
  using Power = MinifloatRounding::Power;
  MinifloatRounding rounding{op.getSaturate(),
                             llvm::StringSwitch<Power>(op.getRoundMode())
                                 .Case("down", Power::Down)
                                 .Case("nearest", Power::Nearest)
                                 .Default(Power::Up)};
  return elementwise(op, context, [&](Scalars x) -> Scalar {
    return {ScalarMath(context).convert(x[0], to, rounding)};
  });
}

static void addUnary(OnnxLoweringTable &table) {
  using namespace onnx;
  addLowering<CeilOp, lowerFloatUnary<CeilOp, math::CeilOp>>(table);
  addLowering<FloorOp, lowerFloatUnary<FloorOp, math::FloorOp>>(table);
  addLowering<RoundOp, lowerFloatUnary<RoundOp, math::RoundEvenOp>>(table);
  addLowering<CosOp, lowerFloatUnary<CosOp, math::CosOp>>(table);
  addLowering<SinOp, lowerFloatUnary<SinOp, math::SinOp>>(table);
  addLowering<ErfOp, lowerFunction<ErfOp, &ScalarMath::erf>>(table);
  addLowering<ExpOp, lowerFunction<ExpOp, &ScalarMath::exp>>(table);
  addLowering<LogOp, lowerFunction<LogOp, &ScalarMath::log>>(table);
  addLowering<ReciprocalOp,
              lowerFunction<ReciprocalOp, &ScalarMath::reciprocal>>(table);
  addLowering<SigmoidOp, lowerFunction<SigmoidOp, &ScalarMath::sigmoid>>(table);
  addLowering<SqrtOp, lowerFunction<SqrtOp, &ScalarMath::sqrt>>(table);
  addLowering<TanhOp, lowerFunction<TanhOp, &ScalarMath::tanh>>(table);
  addLowering<AbsOp, lowerAbs>(table);
  addLowering<NegOp, lowerNeg>(table);
  addLowering<SignOp, lowerSign>(table);
  addLowering<ReluOp, lowerRelu>(table);
  addLowering<NotOp, lowerNot<NotOp>>(table);
  addLowering<BitwiseNotOp, lowerNot<BitwiseNotOp>>(table);
  addLowering<IsNaNOp, lowerIsNaN>(table);
  addLowering<IsInfOp, lowerIsInf>(table);
  addLowering<SoftplusOp, lowerSoftplus>(table);
  addLowering<GeluOp, lowerGelu>(table);
  addLowering<SwishOp, lowerSwish>(table);
  addLowering<CastOp, lowerCast>(table);
}

static void addBinary(OnnxLoweringTable &table) {
  using namespace onnx;
  addLowering<AddOp, lowerBinary<AddOp, &ScalarMath::add>>(table);
  addLowering<SubOp, lowerBinary<SubOp, &ScalarMath::subtract>>(table);
  addLowering<MulOp, lowerBinary<MulOp, &ScalarMath::multiply>>(table);
  addLowering<DivOp, lowerBinary<DivOp, &ScalarMath::divide>>(table);
  addLowering<PowOp, lowerPow>(table);
  addLowering<ModOp, lowerMod>(table);
  addLowering<BitShiftOp, lowerBitShift>(table);
  addLowering<SwiGLUOp, lowerSwiGLU>(table);
  addLowering<MaxOp, lowerVariadic<MaxOp, &ScalarMath::maximum>>(table);
  addLowering<MinOp, lowerVariadic<MinOp, &ScalarMath::minimum>>(table);
  addLowering<SumOp, lowerVariadic<SumOp, &ScalarMath::add>>(table);
  addLowering<AndOp, lowerBitwise<AndOp, arith::AndIOp>>(table);
  addLowering<OrOp, lowerBitwise<OrOp, arith::OrIOp>>(table);
  addLowering<XorOp, lowerBitwise<XorOp, arith::XOrIOp>>(table);
  addLowering<BitwiseAndOp, lowerBitwise<BitwiseAndOp, arith::AndIOp>>(table);
  addLowering<BitwiseOrOp, lowerBitwise<BitwiseOrOp, arith::OrIOp>>(table);
  addLowering<BitwiseXorOp, lowerBitwise<BitwiseXorOp, arith::XOrIOp>>(table);
  addLowering<EqualOp, lowerCompare<EqualOp, Order::Equal>>(table);
  addLowering<LessOp, lowerCompare<LessOp, Order::Less>>(table);
  addLowering<LessOrEqualOp, lowerCompare<LessOrEqualOp, Order::LessOrEqual>>(
      table);
  addLowering<GreaterOp, lowerCompare<GreaterOp, Order::Greater>>(table);
  addLowering<GreaterOrEqualOp,
              lowerCompare<GreaterOrEqualOp, Order::GreaterOrEqual>>(table);
}

void qopt::addElementwiseLowerings(OnnxLoweringTable &table) {
  addUnary(table);
  addBinary(table);
  addLowering<onnx::ClipOp, lowerClip>(table);
  addLowering<onnx::WhereOp, lowerWhere>(table);
}
