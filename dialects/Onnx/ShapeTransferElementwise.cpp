// Shapes, element types and small contents of elementwise operators.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
#include "dialects/Onnx/OnnxOps.h"
#include "dialects/Onnx/ShapeTransfer.h"
#include "llvm/ADT/TypeSwitch.h"

using namespace mlir;

namespace qopt::onnx {

/// Constants beyond this are sentinels (a slice's "to the end"), not sizes.
constexpr int64_t largestExact = int64_t(1) << 40;

static bool isExact(AffineExpr expr) {
  std::optional<int64_t> value = constantValue(expr);
  return !value || std::abs(*value) <= largestExact;
}

/// Element of a tensor with `from` shape that a place of a broadcast result
/// reads; both shapes are static.
static int64_t broadcastIndex(ArrayRef<AffineExpr> from,
                              ArrayRef<AffineExpr> to, int64_t place) {
  int64_t index = 0, stride = 1;
  for (size_t i = 0; i < to.size(); ++i) {
    int64_t size = *constantValue(to[to.size() - 1 - i]);
    int64_t coordinate = place % size;
    place /= size;
    if (i >= from.size())
      continue;
    int64_t own = *constantValue(from[from.size() - 1 - i]);
    if (own != 1)
      index += coordinate * stride;
    stride *= own;
  }
  return index;
}

/// The sign of a - b where it is certain.
static std::optional<int> compare(AffineExpr a, AffineExpr b,
                                  SymbolicDims &dims) {
  if (a == b)
    return 0;
  AffineExpr difference = dims.subtract(a, b);
  if (auto value = constantValue(difference))
    return *value < 0 ? -1 : *value > 0;
  if (dims.isNonNegative(dims.subtract(difference, dims.constant(1))))
    return 1;
  AffineExpr opposite = dims.subtract(b, a);
  if (dims.isNonNegative(dims.subtract(opposite, dims.constant(1))))
    return -1;
  return std::nullopt;
}

static AffineExpr evaluateDivision(AffineExpr a, AffineExpr b,
                                   SymbolicDims &dims) {
  std::optional<int64_t> left = constantValue(a), right = constantValue(b);
  if (!right || *right == 0)
    return {};
  if (left)
    return dims.constant(*left / *right);
  // For sizes rounding towards zero is rounding down.
  if (*right < 0 || !dims.isNonNegative(a))
    return {};
  return dims.floorQuotient(a, *right);
}

/// One element of a binary integer op; null when it is not known.
static AffineExpr evaluate(Operation *op, AffineExpr a, AffineExpr b,
                           SymbolicDims &dims) {
  if (!a || !b || !isExact(a) || !isExact(b))
    return {};
  auto flag = [&](std::optional<bool> value) {
    return value ? dims.constant(*value) : AffineExpr();
  };
  std::optional<int> sign = compare(a, b, dims);
  std::optional<int64_t> left = constantValue(a), right = constantValue(b);
  return TypeSwitch<Operation *, AffineExpr>(op)
      .Case([&](AddOp) { return dims.add(a, b); })
      .Case([&](SubOp) { return dims.subtract(a, b); })
      .Case([&](MulOp) { return dims.multiply(a, b); })
      .Case([&](DivOp) { return evaluateDivision(a, b, dims); })
      .Case([&](MaxOp) { return dims.maximum(a, b); })
      .Case([&](MinOp) { return dims.minimum(a, b); })
      .Case([&](SumOp) { return dims.add(a, b); })
      .Case([&](ModOp) {
        bool plain = left && right && *left >= 0 && *right > 0;
        return plain ? dims.constant(*left % *right) : AffineExpr();
      })
      .Case([&](EqualOp) {
        return sign ? dims.constant(*sign == 0) : AffineExpr();
      })
      .Case([&](LessOp) {
        return sign ? dims.constant(*sign < 0) : AffineExpr();
      })
      .Case([&](LessOrEqualOp) {
        return sign ? dims.constant(*sign <= 0) : AffineExpr();
      })
      .Case([&](GreaterOp) {
        return sign ? dims.constant(*sign > 0) : AffineExpr();
      })
      .Case([&](GreaterOrEqualOp) {
        return sign ? dims.constant(*sign >= 0) : AffineExpr();
      })
      .Case([&](AndOp) {
        return flag(left && right ? std::optional(*left && *right)
                                  : std::nullopt);
      })
      .Case([&](OrOp) {
        return flag(left && right ? std::optional(*left || *right)
                                  : std::nullopt);
      })
      .Default([](Operation *) { return AffineExpr(); });
}

static AffineExpr evaluateUnary(Operation *op, AffineExpr x,
                                SymbolicDims &dims) {
  if (!x || !isExact(x))
    return {};
  std::optional<int64_t> value = constantValue(x);
  return TypeSwitch<Operation *, AffineExpr>(op)
      .Case([&](NegOp) { return dims.subtract(dims.constant(0), x); })
      .Case(
          [&](NotOp) { return value ? dims.constant(!*value) : AffineExpr(); })
      .Case([&](AbsOp) { return dims.isNonNegative(x) ? x : AffineExpr(); })
      .Default([](Operation *) { return AffineExpr(); });
}

/// Elements of operand `index` as a place of the result sees them.
static AffineExpr elementFor(const TensorFacts &facts,
                             ArrayRef<AffineExpr> sizes, int64_t place) {
  if (!facts.content)
    return {};
  return (*facts.content)[broadcastIndex(facts.dims, sizes, place)];
}

static bool isKnownAnywhere(const Dims &content) {
  return llvm::any_of(content, [](AffineExpr element) { return !!element; });
}

/// Content of an op over `operands` (folded from the left when more than two).
static std::optional<Dims> evaluateAll(ShapeTransfer &transfer,
                                       ArrayRef<AffineExpr> sizes) {
  std::optional<int64_t> count = smallCount(sizes);
  Operation *op = transfer.op;
  if (!count || !transfer.facts(0).elementType.isSignlessInteger())
    return std::nullopt;
  Dims content;
  for (int64_t place = 0; place < *count; ++place) {
    AffineExpr element = elementFor(transfer.facts(0), sizes, place);
    if (op->getNumOperands() == 1 && !isa<MaxOp, MinOp, SumOp>(op))
      element = evaluateUnary(op, element, transfer.dims);
    for (unsigned i = 1; i < op->getNumOperands(); ++i)
      element =
          evaluate(op, element, elementFor(transfer.facts(i), sizes, place),
                   transfer.dims);
    content.push_back(element);
  }
  return isKnownAnywhere(content) ? std::optional(content) : std::nullopt;
}

static std::optional<Dims> selectContent(ShapeTransfer &transfer,
                                         ArrayRef<AffineExpr> sizes) {
  std::optional<int64_t> count = smallCount(sizes);
  if (!count || !transfer.facts(1).elementType.isSignlessInteger())
    return std::nullopt;
  Dims content;
  for (int64_t place = 0; place < *count; ++place) {
    auto condition = constantValue(elementFor(transfer.facts(0), sizes, place));
    AffineExpr x = elementFor(transfer.facts(1), sizes, place);
    AffineExpr y = elementFor(transfer.facts(2), sizes, place);
    if (condition)
      content.push_back(*condition ? x : y);
    else
      content.push_back(x == y ? x : AffineExpr());
  }
  return isKnownAnywhere(content) ? std::optional(content) : std::nullopt;
}

static std::optional<Dims> castContent(ShapeTransfer &transfer, Type to) {
  const TensorFacts &from = transfer.facts(0);
  auto integer = dyn_cast<IntegerType>(to);
  if (!from.content || !integer || integer.getWidth() < 32) {
    // To boolean only what is certainly zero or not.
    if (!from.content || !integer || !integer.isInteger(1))
      return std::nullopt;
    Dims content;
    for (AffineExpr element : *from.content) {
      auto value = constantValue(element);
      content.push_back(value ? transfer.constant(*value != 0) : AffineExpr());
    }
    return content;
  }
  // An i32 would wrap a sentinel; leave such elements unknown.
  Dims content;
  for (AffineExpr element : *from.content)
    content.push_back(element && (integer.getWidth() == 64 || isExact(element))
                          ? element
                          : AffineExpr());
  return content;
}

/// Broadcasts the operands one after the other and checks that their element
/// types agree, from operand `firstTyped` on.
static StatusOr<Dims> broadcastOperands(ShapeTransfer &transfer,
                                        unsigned firstTyped) {
  Operation *op = transfer.op;
  Dims sizes = transfer.facts(0).dims;
  for (unsigned i = 1; i < op->getNumOperands(); ++i) {
    if (!transfer.present(i))
      continue;
    StatusOr<Dims> joined = transfer.broadcast(sizes, transfer.facts(i).dims);
    if (!joined)
      return joined.status();
    sizes = *joined;
    Type first = transfer.facts(firstTyped).elementType;
    Type type = transfer.facts(i).elementType;
    if (i > firstTyped && type != first && !isa<PowOp, BitShiftOp>(op)) {
      std::string message;
      llvm::raw_string_ostream(message)
          << "the operands have different element types, " << first << " and "
          << type;
      return transfer.error(message);
    }
  }
  return sizes;
}

std::optional<Status> inferElementwise(ShapeTransfer &transfer) {
  Operation *op = transfer.op;
  if (!op->hasTrait<Broadcasts>())
    return std::nullopt;
  if (op->getNumOperands() == 0)
    return transfer.error("there is no operand; expected at least one");
  unsigned firstTyped = isa<WhereOp>(op) ? 1 : 0;
  StatusOr<Dims> sizes = broadcastOperands(transfer, firstTyped);
  if (!sizes)
    return sizes.status();
  Type type = transfer.facts(firstTyped).elementType;
  if (op->hasTrait<YieldsBool>())
    type = IntegerType::get(op->getContext(), 1);
  if (isa<CastOp>(op)) {
    type = cast<ShapedType>(op->getResult(0).getType()).getElementType();
    return transfer.result(0, type, *sizes, castContent(transfer, type));
  }
  if (isa<WhereOp>(op))
    return transfer.result(0, type, *sizes, selectContent(transfer, *sizes));
  if (isa<ClipOp, GeluOp, SwishOp, SwiGLUOp>(op))
    return transfer.result(0, type, *sizes);
  return transfer.result(0, type, *sizes, evaluateAll(transfer, *sizes));
}

} // namespace qopt::onnx
