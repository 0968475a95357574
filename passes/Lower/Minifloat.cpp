// Integer arithmetic throughout: what later code may reassociate or flush to
// zero are sums and products of floats.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
#include "passes/Lower/Minifloat.h"

#include "mlir/Dialect/Arith/IR/Arith.h"
#include "mlir/IR/BuiltinTypes.h"

#include <cmath>

using namespace mlir;
using namespace qopt;

bool qopt::isMinifloat(Type type) {
  auto number = dyn_cast<FloatType>(type);
  return number && number.getWidth() < 16;
}

namespace {

/// The layout of a minifloat with a sign: 1 sign, exponent, `fraction` bits.
struct Layout {
  explicit Layout(FloatType type)
      : semantics(type.getFloatSemantics()), bits(type.getWidth()),
        fraction(APFloat::semanticsPrecision(semantics) - 1),
        // The number of a power of two, 1 for that of the smallest normal.
        bias(1 - APFloat::semanticsMinExponent(semantics)),
        sign(1u << (bits - 1)), largest(codeOf(APFloat::getLargest(semantics))),
        hasInfinity(APFloat::semanticsHasInf(semantics)),
        hasNaN(APFloat::semanticsHasNaN(semantics)) {
    if (hasNaN)
      nan = codeOf(APFloat::getNaN(semantics));
    if (hasInfinity)
      infinity = codeOf(APFloat::getInf(semantics));
  }
  /// The types without -0, whose code is that of NaN.
  bool isUnsignedZero() const { return hasNaN && nan == sign; }

  const llvm::fltSemantics &semantics;
  unsigned bits, fraction;
  int bias;
  uint64_t sign, largest, nan = 0, infinity = 0;
  bool hasInfinity, hasNaN;

private:
  static uint64_t codeOf(const APFloat &value) {
    return value.bitcastToAPInt().getZExtValue();
  }
};

/// Unsigned arithmetic on words of one width.
class Words {
public:
  Words(OpBuilder &b, Location loc, unsigned width)
      : b(b), loc(loc), type(b.getIntegerType(width)) {}

  Value constant(uint64_t value) {
    return arith::ConstantOp::create(
        b, loc, b.getIntegerAttr(type, APInt(type.getWidth(), value)));
  }
  Value add(Value x, Value y) { return arith::AddIOp::create(b, loc, x, y); }
  Value subtract(Value x, Value y) {
    return arith::SubIOp::create(b, loc, x, y);
  }
  Value both(Value x, Value y) { return arith::AndIOp::create(b, loc, x, y); }
  Value either(Value x, Value y) { return arith::OrIOp::create(b, loc, x, y); }
  Value differing(Value x, Value y) {
    return arith::XOrIOp::create(b, loc, x, y);
  }
  Value left(Value x, Value bits) {
    return arith::ShLIOp::create(b, loc, x, bits);
  }
  Value left(Value x, unsigned bits) { return left(x, constant(bits)); }
  Value right(Value x, Value bits) {
    return arith::ShRUIOp::create(b, loc, x, bits);
  }
  Value right(Value x, unsigned bits) { return right(x, constant(bits)); }
  Value smaller(Value x, Value y) {
    return arith::MinUIOp::create(b, loc, x, y);
  }
  Value larger(Value x, Value y) {
    return arith::MaxUIOp::create(b, loc, x, y);
  }
  Value less(Value x, Value y) {
    return compare(arith::CmpIPredicate::ult, x, y);
  }
  Value equal(Value x, Value y) {
    return compare(arith::CmpIPredicate::eq, x, y);
  }
  Value select(Value condition, Value x, Value y) {
    return arith::SelectOp::create(b, loc, condition, x, y);
  }
  Value bitsOf(Value number) {
    return arith::BitcastOp::create(b, loc, type, number);
  }
  /// The low bits as a number of type `to`.
  Value numberOf(Value word, FloatType to) {
    Type bits = b.getIntegerType(to.getWidth());
    if (bits != type)
      word = arith::TruncIOp::create(b, loc, bits, word);
    return arith::BitcastOp::create(b, loc, to, word);
  }

private:
  Value compare(arith::CmpIPredicate predicate, Value x, Value y) {
    return arith::CmpIOp::create(b, loc, predicate, x, y);
  }

  OpBuilder &b;
  Location loc;
  IntegerType type;
};

constexpr uint64_t quietNaN = 0x7fc00000;
constexpr unsigned fractionOfF32 = 23, biasOfF32 = 127;

} // namespace

/// 2^(code - 127); 255 is the NaN, and 2^-127 a subnormal.
static Value powerBits(Words &w, Value code) {
  Value power = w.select(w.equal(code, w.constant(0)), w.constant(1u << 22),
                         w.left(code, fractionOfF32));
  return w.select(w.equal(code, w.constant(255)), w.constant(quietNaN), power);
}

Value qopt::extendMinifloat(OpBuilder &b, Location loc, Value x) {
  auto type = cast<FloatType>(x.getType());
  FloatType f32 = b.getF32Type();
  Words w(b, loc, 32);
  Value bits =
      arith::BitcastOp::create(b, loc, b.getIntegerType(type.getWidth()), x);
  Value code = arith::ExtUIOp::create(b, loc, b.getI32Type(), bits);
  if (isa<Float8E8M0FNUType>(type))
    return w.numberOf(powerBits(w, code), f32);
  Layout from(type);
  Value magnitude = w.both(code, w.constant(from.sign - 1));
  Value sign = w.left(w.both(code, w.constant(from.sign)), 32 - from.bits);
  // A normal number is moved and its exponent counted from f32's bias; a
  // subnormal one is a whole number of the smallest.
  Value normal =
      w.add(w.left(magnitude, fractionOfF32 - from.fraction),
            w.constant(uint64_t(biasOfF32 - from.bias) << fractionOfF32));
  Value units = arith::UIToFPOp::create(b, loc, f32, magnitude);
  Value unit = arith::ConstantOp::create(
      b, loc,
      b.getFloatAttr(f32, std::ldexp(1.0, 1 - from.bias - int(from.fraction))));
  Value subnormal = w.bitsOf(arith::MulFOp::create(b, loc, units, unit));
  Value isSubnormal = w.less(magnitude, w.constant(1u << from.fraction));
  Value result = w.either(sign, w.select(isSubnormal, subnormal, normal));
  if (from.hasInfinity) {
    Value infinite = w.either(sign, w.constant(0x7f800000));
    result = w.select(w.equal(magnitude, w.constant(from.infinity)), infinite,
                      result);
    Value isNaN = w.less(w.constant(from.infinity), magnitude);
    result = w.select(isNaN, w.either(sign, w.constant(quietNaN)), result);
  } else if (from.hasNaN) {
    Value whole = from.isUnsignedZero() ? code : magnitude;
    result = w.select(w.equal(whole, w.constant(from.nan)),
                      w.either(sign, w.constant(quietNaN)), result);
  }
  return w.numberOf(result, f32);
}

/// The magnitude's bits as those of a power of two, in f32's exponents.
static Value roundToPower(Words &w, Value magnitude, FloatType to,
                          MinifloatRounding rounding) {
  using Power = MinifloatRounding::Power;
  Power power = rounding.power;
  // Added to the fraction it carries into the exponent what rounds up.
  uint64_t half = 1u << (fractionOfF32 - 1), all = (1u << fractionOfF32) - 1;
  uint64_t carry = power == Power::Up        ? all
                   : power == Power::Nearest ? half
                                             : 0;
  Value code = w.right(w.add(magnitude, w.constant(carry)), fractionOfF32);
  // Below the smallest normal f32, 2^-126, lies one power, 2^-127: half of it.
  uint64_t last = power == Power::Up        ? half
                  : power == Power::Nearest ? half + half / 2 - 1
                                            : all;
  Value isSubnormal = w.less(magnitude, w.constant(1u << fractionOfF32));
  Value above = w.select(w.less(w.constant(last), magnitude), w.constant(1),
                         w.constant(0));
  code = w.select(isSubnormal, above, code);
  uint64_t largest = 254, nan = 255;
  // Infinity and all beyond the largest, 2^127.
  Value isTooLarge =
      w.either(w.less(w.constant(largest), code),
               w.less(w.constant(largest), w.right(magnitude, fractionOfF32)));
  code =
      w.select(isTooLarge, w.constant(rounding.saturate ? largest : nan), code);
  if (!rounding.saturate)
    code = w.select(w.less(magnitude, w.constant(half)), w.constant(nan), code);
  Value isNaN = w.less(w.constant(0x7f800000), magnitude);
  return w.numberOf(w.select(isNaN, w.constant(nan), code), to);
}

/// The code of the magnitude, without its sign, rounded to even; it goes on
/// beyond the largest as if exponents had no end.
static Value roundMagnitude(Words &w, Value magnitude, FloatType from,
                            const Layout &to) {
  const llvm::fltSemantics &semantics = from.getFloatSemantics();
  unsigned fraction = APFloat::semanticsPrecision(semantics) - 1;
  int bias = 1 - APFloat::semanticsMinExponent(semantics);
  uint64_t one = uint64_t(1) << fraction;
  Value exponent = w.right(magnitude, fraction);
  // A subnormal of the wide type is far below all of the narrow one, with the
  // leading one that it lacks, too.
  Value significand =
      w.either(w.both(magnitude, w.constant(one - 1)), w.constant(one));
  // Of numbers below the smallest normal one, more bits are left out.
  Value normal = w.constant(uint64_t(bias - to.bias + 1));
  Value raised = w.larger(exponent, normal);
  Value shift =
      w.add(w.subtract(raised, exponent), w.constant(fraction - to.fraction));
  shift = w.smaller(shift, w.constant(from.getWidth() - 1));
  Value odd = w.both(w.right(significand, shift), w.constant(1));
  Value half = w.left(w.constant(1), w.subtract(shift, w.constant(1)));
  Value rounded = w.right(
      w.add(significand, w.add(w.subtract(half, w.constant(1)), odd)), shift);
  // The leading one of a normal number counts as one exponent.
  return w.add(w.left(w.subtract(raised, normal), to.fraction), rounded);
}

Value qopt::roundToMinifloat(OpBuilder &b, Location loc, Value x, FloatType to,
                             MinifloatRounding rounding) {
  auto from = cast<FloatType>(x.getType());
  if (isa<Float8E8M0FNUType>(to) && from.getWidth() > 32) {
    from = b.getF32Type();
    x = arith::TruncFOp::create(b, loc, from, x);
  }
  unsigned width = from.getWidth();
  Words w(b, loc, width);
  Value bits = w.bitsOf(x);
  uint64_t sign = uint64_t(1) << (width - 1);
  Value magnitude = w.both(bits, w.constant(sign - 1));
  if (isa<Float8E8M0FNUType>(to))
    return roundToPower(w, magnitude, to, rounding);
  Layout narrow(to);
  Value code = roundMagnitude(w, magnitude, from, narrow);
  bool saturate = rounding.saturate || !narrow.hasNaN;
  uint64_t beyond = saturate             ? narrow.largest
                    : narrow.hasInfinity ? narrow.infinity
                                         : narrow.nan;
  Value isTooLarge = w.less(w.constant(narrow.largest), code);
  code = w.select(isTooLarge, w.constant(beyond), code);
  uint64_t infinity =
      APFloat::getInf(from.getFloatSemantics()).bitcastToAPInt().getZExtValue();
  Value isNaN = w.less(w.constant(infinity), magnitude);
  code = w.select(isNaN, w.constant(narrow.hasNaN ? narrow.nan : narrow.sign),
                  code);
  Value moved =
      w.both(w.right(bits, width - narrow.bits), w.constant(narrow.sign));
  if (narrow.isUnsignedZero())
    moved = w.select(
        w.equal(code, w.constant(0)), w.constant(0),
        w.select(w.equal(code, w.constant(narrow.nan)), w.constant(0), moved));
  return w.numberOf(w.differing(code, moved), to);
}
