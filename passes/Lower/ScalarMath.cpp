// Element arithmetic in arith and math ops.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
#include "passes/Lower/ScalarMath.h"

#include "mlir/Dialect/Arith/IR/Arith.h"
#include "mlir/Dialect/Math/IR/Math.h"

using namespace mlir;
using namespace qopt;

Value ScalarMath::constant(Type type, double value) {
  if (isa<FloatType>(type))
    return arith::ConstantOp::create(b, loc, b.getFloatAttr(type, value));
  if (isa<IndexType>(type))
    return arith::ConstantIndexOp::create(b, loc, int64_t(value));
  return arith::ConstantOp::create(
      b, loc, b.getIntegerAttr(type, static_cast<int64_t>(value)));
}

Scalar ScalarMath::widen(Scalar x) {
  auto type = dyn_cast<FloatType>(x.value.getType());
  if (!type || type.getWidth() >= 32)
    return x;
  if (isMinifloat(type))
    return {extendMinifloat(b, loc, x.value)};
  return {arith::ExtFOp::create(b, loc, b.getF32Type(), x.value)};
}

static Value convertFloat(OpBuilder &b, Location loc, Value x, FloatType to) {
  auto from = cast<FloatType>(x.getType());
  if (from.getWidth() < to.getWidth())
    return arith::ExtFOp::create(b, loc, to, x);
  if (from.getWidth() > to.getWidth())
    return arith::TruncFOp::create(b, loc, to, x);
  // f16 and bf16 meet in f32.
  Value wide = arith::ExtFOp::create(b, loc, b.getF32Type(), x);
  return arith::TruncFOp::create(b, loc, to, wide);
}

static Value convertInteger(OpBuilder &b, Location loc, Scalar x, Type to) {
  unsigned from = x.value.getType().getIntOrFloatBitWidth();
  unsigned width = to.getIntOrFloatBitWidth();
  if (from > width)
    return arith::TruncIOp::create(b, loc, to, x.value);
  if (from == width)
    return x.value;
  if (x.isUnsigned || x.isBool())
    return arith::ExtUIOp::create(b, loc, to, x.value);
  return arith::ExtSIOp::create(b, loc, to, x.value);
}

Value ScalarMath::convert(Scalar x, Type type, MinifloatRounding rounding) {
  Type from = x.value.getType();
  bool toUnsigned = type.isUnsignedInteger();
  if (auto integer = dyn_cast<IntegerType>(type);
      integer && !integer.isSignless())
    type = IntegerType::get(b.getContext(), integer.getWidth());
  if (from == type)
    return x.value;
  if (isa<IndexType>(from)) {
    x = {arith::IndexCastOp::create(b, loc, b.getI64Type(), x.value), false};
    return convert(x, type, rounding);
  }
  if (isa<IndexType>(type)) {
    Value wide = convert(x, b.getI64Type());
    return arith::IndexCastOp::create(b, loc, type, wide);
  }
  if (isMinifloat(from))
    return convert(widen(x), type, rounding);
  if (isMinifloat(type)) {
    bool isWide = from.isF32() || from.isF64();
    Value wide = isWide ? x.value : convert(x, b.getF32Type());
    return roundToMinifloat(b, loc, wide, cast<FloatType>(type), rounding);
  }
  if (type.isInteger(1)) {
    Value zero = constant(from, 0);
    if (x.isFloat())
      return arith::CmpFOp::create(b, loc, arith::CmpFPredicate::UNE, x.value,
                                   zero);
    return arith::CmpIOp::create(b, loc, arith::CmpIPredicate::ne, x.value,
                                 zero);
  }
  if (x.isFloat() && isa<FloatType>(type))
    return convertFloat(b, loc, x.value, cast<FloatType>(type));
  if (x.isFloat()) {
    Value value = widen(x).value;
    // Through i64, so that what does not fit wraps instead of being undefined.
    Value wide =
        toUnsigned && type.isInteger(64)
            ? arith::FPToUIOp::create(b, loc, b.getI64Type(), value).getResult()
            : arith::FPToSIOp::create(b, loc, b.getI64Type(), value)
                  .getResult();
    return convertInteger(b, loc, {wide}, type);
  }
  if (auto to = dyn_cast<FloatType>(type)) {
    FloatType step = to.getWidth() < 32 ? cast<FloatType>(b.getF32Type()) : to;
    Value value =
        x.isUnsigned || x.isBool()
            ? arith::UIToFPOp::create(b, loc, step, x.value).getResult()
            : arith::SIToFPOp::create(b, loc, step, x.value).getResult();
    return step == to ? value : convertFloat(b, loc, value, to);
  }
  return convertInteger(b, loc, x, type);
}

/// Runs `body` on widened floats and rounds back to a's type.
template <typename Body>
static Value inWide(ScalarMath &math, Scalar a, Scalar b, Body body) {
  Type type = a.value.getType();
  Value value = body(math.widen(a).value, math.widen(b).value);
  return math.convert({value}, type);
}

Value ScalarMath::add(Scalar x, Scalar y) {
  if (x.isFloat())
    return inWide(*this, x, y, [&](Value p, Value q) -> Value {
      return arith::AddFOp::create(b, loc, p, q);
    });
  return arith::AddIOp::create(b, loc, x.value, y.value);
}

Value ScalarMath::subtract(Scalar x, Scalar y) {
  if (x.isFloat())
    return inWide(*this, x, y, [&](Value p, Value q) -> Value {
      return arith::SubFOp::create(b, loc, p, q);
    });
  return arith::SubIOp::create(b, loc, x.value, y.value);
}

Value ScalarMath::multiply(Scalar x, Scalar y) {
  if (x.isFloat())
    return inWide(*this, x, y, [&](Value p, Value q) -> Value {
      return arith::MulFOp::create(b, loc, p, q);
    });
  return arith::MulIOp::create(b, loc, x.value, y.value);
}

/// The divisor with 0 replaced by 1: an integer division must not trap.
static Value safeDivisor(ScalarMath &math, Scalar y) {
  Value isZero = math.compare(ScalarMath::Order::Equal, y,
                              {math.constant(y.value.getType(), 0)});
  return math.select(isZero, math.constant(y.value.getType(), 1), y.value);
}

/// x / y towards zero with y != 0; the smallest integer by -1 wraps as
/// subtraction from 0 does.
static Value quotient(ScalarMath &math, OpBuilder &b, Location loc, Scalar x,
                      Value y) {
  if (x.isUnsigned)
    return arith::DivUIOp::create(b, loc, x.value, y);
  Type type = x.value.getType();
  Value isMinusOne =
      math.compare(ScalarMath::Order::Equal, {y}, {math.constant(type, -1)});
  Value divisor = math.select(isMinusOne, math.constant(type, 1), y);
  Value divided = arith::DivSIOp::create(b, loc, x.value, divisor);
  Value negated =
      arith::SubIOp::create(b, loc, math.constant(type, 0), x.value);
  return math.select(isMinusOne, negated, divided);
}

Value ScalarMath::divide(Scalar x, Scalar y) {
  if (x.isFloat())
    return inWide(*this, x, y, [&](Value p, Value q) -> Value {
      return arith::DivFOp::create(b, loc, p, q);
    });
  Value isZero = compare(Order::Equal, y, {constant(y.value.getType(), 0)});
  Value divided = quotient(*this, b, loc, x, safeDivisor(*this, y));
  return select(isZero, constant(x.value.getType(), 0), divided);
}

Value ScalarMath::maximum(Scalar x, Scalar y) {
  if (x.isFloat())
    return arith::MaximumFOp::create(b, loc, x.value, y.value);
  if (x.isUnsigned || x.isBool())
    return arith::MaxUIOp::create(b, loc, x.value, y.value);
  return arith::MaxSIOp::create(b, loc, x.value, y.value);
}

Value ScalarMath::minimum(Scalar x, Scalar y) {
  if (x.isFloat())
    return arith::MinimumFOp::create(b, loc, x.value, y.value);
  if (x.isUnsigned || x.isBool())
    return arith::MinUIOp::create(b, loc, x.value, y.value);
  return arith::MinSIOp::create(b, loc, x.value, y.value);
}

/// The value of a float or integer constant.
static std::optional<double> constantOf(Value value) {
  Attribute attribute;
  if (!matchPattern(value, m_Constant(&attribute)))
    return std::nullopt;
  if (auto number = dyn_cast<FloatAttr>(attribute))
    return number.getValueAsDouble();
  if (auto number = dyn_cast<IntegerAttr>(attribute))
    return double(number.getValue().getSExtValue());
  return std::nullopt;
}

Value ScalarMath::power(Scalar x, Scalar y) {
  Type type = x.value.getType();
  Type wide = x.isFloat() ? widen(x).value.getType() : b.getF64Type();
  std::optional<double> exponent = constantOf(y.value);
  if (exponent == 2.0 || exponent == 3.0) {
    Value square = multiply(x, x);
    return exponent == 2.0 ? square : multiply({square, x.isUnsigned}, x);
  }
  Value base = convert(x, wide);
  if (exponent == 0.5)
    return convert({sqrt(base)}, type);
  Value raised = math::PowFOp::create(b, loc, base, convert(y, wide));
  if (!x.isFloat()) {
    // The last digits of pow must not take a whole power below itself.
    Value whole = math::RoundEvenOp::create(b, loc, raised);
    Value error = math::AbsFOp::create(
        b, loc, arith::SubFOp::create(b, loc, raised, whole));
    Value allowed = multiply({math::AbsFOp::create(b, loc, whole)},
                             {constant(wide, 1e-12)});
    Value isWhole = compare(Order::LessOrEqual, {error}, {allowed});
    raised = select(isWhole, whole, raised);
  }
  return convert({raised, x.isUnsigned}, type);
}

Value ScalarMath::remainder(Scalar x, Scalar y, bool truncated) {
  Value result;
  if (x.isFloat()) {
    result = inWide(*this, x, y, [&](Value p, Value q) -> Value {
      return arith::RemFOp::create(b, loc, p, q);
    });
  } else {
    Value divisor = safeDivisor(*this, y);
    Value whole = quotient(*this, b, loc, x, divisor);
    Value multiple = arith::MulIOp::create(b, loc, whole, divisor);
    result = arith::SubIOp::create(b, loc, x.value, multiple);
  }
  if (truncated || x.isUnsigned)
    return result;
  Value zero = constant(result.getType(), 0);
  Value nonZero = arith::XOrIOp::create(
      b, loc, compare(Order::Equal, {result}, {zero}),
      arith::ConstantOp::create(b, loc, b.getBoolAttr(true)));
  Value signs =
      arith::XOrIOp::create(b, loc, compare(Order::Less, {result}, {zero}),
                            compare(Order::Less, y, {zero}));
  Value wrong = arith::AndIOp::create(b, loc, nonZero, signs);
  return select(wrong, add({result}, y), result);
}

Value ScalarMath::compare(Order order, Scalar x, Scalar y) {
  using F = arith::CmpFPredicate;
  using I = arith::CmpIPredicate;
  static constexpr F floats[] = {F::OEQ, F::OLT, F::OLE, F::OGT, F::OGE};
  static constexpr I integers[] = {I::eq, I::slt, I::sle, I::sgt, I::sge};
  static constexpr I naturals[] = {I::eq, I::ult, I::ule, I::ugt, I::uge};
  unsigned index = static_cast<unsigned>(order);
  if (x.isFloat())
    return arith::CmpFOp::create(b, loc, floats[index], widen(x).value,
                                 widen(y).value);
  bool isUnsigned = x.isUnsigned || x.isBool();
  return arith::CmpIOp::create(
      b, loc, isUnsigned ? naturals[index] : integers[index], x.value, y.value);
}

Value ScalarMath::select(Value condition, Value x, Value y) {
  return arith::SelectOp::create(b, loc, condition, x, y);
}

Value ScalarMath::exp(Value x) { return math::ExpOp::create(b, loc, x); }
Value ScalarMath::log(Value x) { return math::LogOp::create(b, loc, x); }
Value ScalarMath::sqrt(Value x) { return math::SqrtOp::create(b, loc, x); }
Value ScalarMath::tanh(Value x) { return math::TanhOp::create(b, loc, x); }
Value ScalarMath::erf(Value x) { return math::ErfOp::create(b, loc, x); }

Value ScalarMath::reciprocal(Value x) {
  return arith::DivFOp::create(b, loc, constant(x.getType(), 1), x);
}

Value ScalarMath::sigmoid(Value x) {
  Value decayed = exp(arith::NegFOp::create(b, loc, x));
  return reciprocal(
      arith::AddFOp::create(b, loc, constant(x.getType(), 1), decayed));
}
