// Arithmetic on symbolic sizes: parsing of dimension names, simplification,
// exact division by cancelling factors, decisions that only need signs.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
#include "dialects/Onnx/SymbolicDims.h"
#include "llvm/ADT/StringExtras.h"
#include "llvm/Support/MathExtras.h"
#include <numeric>

using namespace mlir;

namespace qopt::onnx {

/// A recursive descent over sums of products; gives up by returning null.
class DimParser {
public:
  DimParser(StringRef text, SymbolicDims &dims) : rest(text), dims(dims) {}

  AffineExpr parse() {
    AffineExpr expr = sum();
    return rest.ltrim().empty() ? expr : AffineExpr();
  }

private:
  bool eat(StringRef token) {
    rest = rest.ltrim();
    return rest.consume_front(token);
  }

  AffineExpr sum() {
    AffineExpr left = product();
    while (left) {
      bool plus = eat("+");
      if (!plus && !eat("-"))
        break;
      AffineExpr right = product();
      if (!right)
        return {};
      left = plus ? dims.add(left, right) : dims.subtract(left, right);
    }
    return left;
  }

  AffineExpr product() {
    AffineExpr left = atom();
    while (left) {
      if (eat("*")) {
        AffineExpr right = atom();
        left = right ? dims.multiply(left, right) : AffineExpr();
      } else if (eat("//") || eat("/")) {
        std::optional<int64_t> divisor = constantValue(atom());
        if (!divisor || *divisor <= 0)
          return {};
        left = dims.simplify(left.floorDiv(*divisor));
      } else {
        break;
      }
    }
    return left;
  }

  AffineExpr atom() {
    if (++depth > 64)
      return {};
    rest = rest.ltrim();
    if (eat("(")) {
      AffineExpr inner = sum();
      return inner && eat(")") ? inner : AffineExpr();
    }
    int64_t number;
    if (!rest.empty() && llvm::isDigit(rest.front())) {
      if (rest.consumeInteger(10, number))
        return {};
      return dims.constant(number);
    }
    StringRef name = rest.take_while([](char c) {
      return llvm::isAlnum(c) || c == '_' || c == '.' || c == ':';
    });
    rest = rest.drop_front(name.size());
    return name.empty() ? AffineExpr() : dims.named(name);
  }

  StringRef rest;
  SymbolicDims &dims;
  unsigned depth = 0;
};

AffineExpr SymbolicDims::constant(int64_t value) const {
  return getAffineConstantExpr(value, context);
}

AffineExpr SymbolicDims::simplify(AffineExpr expr) const {
  return simplifyAffineExpr(expr, /*numDims=*/0, symbols.size());
}

AffineExpr SymbolicDims::named(StringRef name) {
  auto [entry, inserted] = byName.try_emplace(name, symbols.size());
  if (inserted)
    symbols.push_back({DimSymbol::Kind::Named, name.str(), {}, {}});
  return getAffineSymbolExpr(entry->second, context);
}

AffineExpr SymbolicDims::parse(StringRef text) {
  if (AffineExpr expr = DimParser(text, *this).parse())
    return expr;
  return named(text);
}

AffineExpr SymbolicDims::fresh(StringRef hint) {
  unsigned count = freshNames[hint]++;
  std::string name = count ? (hint + "_" + Twine(count)).str() : hint.str();
  symbols.push_back({DimSymbol::Kind::Data, name, {}, {}});
  return getAffineSymbolExpr(symbols.size() - 1, context);
}

constexpr size_t longestName = 256;

AffineExpr SymbolicDims::defined(DimSymbol::Kind kind, AffineExpr lhs,
                                 AffineExpr rhs) {
  auto key =
      std::make_tuple(kind, lhs.getAsOpaquePointer(), rhs.getAsOpaquePointer());
  auto [entry, inserted] = definitions.try_emplace(key, symbols.size());
  if (inserted) {
    std::string name;
    switch (kind) {
    case DimSymbol::Kind::Minimum:
      name = "min(" + spell(lhs) + ", " + spell(rhs) + ")";
      break;
    case DimSymbol::Kind::Maximum:
      name = "max(" + spell(lhs) + ", " + spell(rhs) + ")";
      break;
    default:
      name = "(" + spell(lhs) + ") / (" + spell(rhs) + ")";
    }
    // Names of names would grow without end.
    if (name.size() > longestName)
      name = "size_" + std::to_string(symbols.size());
    symbols.push_back({kind, std::move(name), lhs, rhs});
  }
  return getAffineSymbolExpr(entry->second, context);
}

/// Expressions are trees that share branches; a hostile model could make one
/// whose walk never ends. Larger ones are not followed.
constexpr unsigned largestExpr = 128;

/// Takes the operands of an expression off the budget; false when it is spent
/// or a number is beyond any size.
static bool fits(AffineExpr expr, unsigned &budget) {
  if (!expr || budget == 0)
    return false;
  --budget;
  if (auto value = constantValue(expr))
    return *value < SymbolicDims::largestNumber &&
           *value > -SymbolicDims::largestNumber;
  auto binary = dyn_cast<AffineBinaryOpExpr>(expr);
  return !binary ||
         (fits(binary.getLHS(), budget) && fits(binary.getRHS(), budget));
}

bool SymbolicDims::canFollow(AffineExpr a, AffineExpr b) {
  unsigned budget = largestExpr;
  return fits(a, budget) && fits(b, budget);
}

AffineExpr SymbolicDims::add(AffineExpr a, AffineExpr b) const {
  return canFollow(a, b) ? simplify(a + b) : AffineExpr();
}

AffineExpr SymbolicDims::subtract(AffineExpr a, AffineExpr b) const {
  if (a && a == b)
    return constant(0);
  return canFollow(a, b) ? simplify(a + b * -1) : AffineExpr();
}

AffineExpr SymbolicDims::multiply(AffineExpr a, AffineExpr b) const {
  return canFollow(a, b) ? simplify(a * b) : AffineExpr();
}

AffineExpr SymbolicDims::floorQuotient(AffineExpr a, int64_t divisor) const {
  return a ? simplify(a.floorDiv(divisor)) : a;
}

bool SymbolicDims::isNonNegative(AffineExpr expr) const {
  if (!expr)
    return false;
  if (auto value = constantValue(expr))
    return *value >= 0;
  if (isa<AffineSymbolExpr>(expr))
    return true;
  auto binary = dyn_cast<AffineBinaryOpExpr>(expr);
  if (!binary)
    return false;
  if (binary.getKind() == AffineExprKind::Mod)
    return true;
  if (binary.getKind() == AffineExprKind::FloorDiv ||
      binary.getKind() == AffineExprKind::CeilDiv) {
    auto divisor = constantValue(binary.getRHS());
    return divisor && *divisor > 0 && isNonNegative(binary.getLHS());
  }
  return isNonNegative(binary.getLHS()) && isNonNegative(binary.getRHS());
}

bool SymbolicDims::isAtMost(AffineExpr a, AffineExpr b, unsigned depth) const {
  if (isNonNegative(subtract(b, a)))
    return true;
  // Choices among choices double the questions; the deepest stay open.
  if (!a || !b || depth == 0)
    return false;
  auto isChoice = [&](AffineExpr expr, DimSymbol::Kind kind) {
    auto symbol = dyn_cast<AffineSymbolExpr>(expr);
    return symbol && symbols[symbol.getPosition()].kind == kind
               ? &symbols[symbol.getPosition()]
               : nullptr;
  };
  if (const DimSymbol *smaller = isChoice(a, DimSymbol::Kind::Minimum))
    return isAtMost(smaller->lhs, b, depth - 1) ||
           isAtMost(smaller->rhs, b, depth - 1);
  if (const DimSymbol *larger = isChoice(b, DimSymbol::Kind::Maximum))
    return isAtMost(a, larger->lhs, depth - 1) ||
           isAtMost(a, larger->rhs, depth - 1);
  return false;
}

AffineExpr SymbolicDims::minimum(AffineExpr a, AffineExpr b) {
  if (!a || !b)
    return {};
  if (isAtMost(a, b))
    return a;
  if (isAtMost(b, a))
    return b;
  if (!isNonNegative(a) || !isNonNegative(b))
    return {};
  return defined(DimSymbol::Kind::Minimum, a, b);
}

AffineExpr SymbolicDims::maximum(AffineExpr a, AffineExpr b) {
  if (!a || !b)
    return {};
  if (isAtMost(b, a))
    return a;
  if (isAtMost(a, b))
    return b;
  if (!isNonNegative(a) && !isNonNegative(b))
    return {};
  return defined(DimSymbol::Kind::Maximum, a, b);
}

AffineExpr SymbolicDims::broadcast(AffineExpr a, AffineExpr b) {
  auto constantA = constantValue(a), constantB = constantValue(b);
  if (a == b || constantB == 1)
    return a;
  if (constantA == 1)
    return b;
  if (constantA && constantB)
    return {};
  // A known size other than 1 decides: the other one is equal to it or 1.
  if (constantA)
    return a;
  if (constantB)
    return b;
  return maximum(a, b);
}

/// Splits a product into a constant and the rest; sums are one factor.
static void collectFactors(AffineExpr expr, int64_t &scale,
                           SmallVectorImpl<AffineExpr> &factors) {
  if (auto value = constantValue(expr)) {
    if (llvm::MulOverflow(scale, *value, scale))
      scale = 0;
    return;
  }
  auto binary = dyn_cast<AffineBinaryOpExpr>(expr);
  if (binary && binary.getKind() == AffineExprKind::Mul) {
    collectFactors(binary.getLHS(), scale, factors);
    collectFactors(binary.getRHS(), scale, factors);
    return;
  }
  factors.push_back(expr);
}

AffineExpr SymbolicDims::exactQuotient(ArrayRef<AffineExpr> numerator,
                                       ArrayRef<AffineExpr> denominator) {
  int64_t scale = 1, divisor = 1;
  SmallVector<AffineExpr> above, below;
  unsigned budget = 4 * largestExpr;
  for (ArrayRef<AffineExpr> exprs : {numerator, denominator})
    for (AffineExpr expr : exprs)
      if (!fits(expr, budget))
        return fresh("size");
  for (AffineExpr expr : numerator)
    collectFactors(expr, scale, above);
  for (AffineExpr expr : denominator)
    collectFactors(expr, divisor, below);
  SmallVector<AffineExpr> candidates(below);
  for (AffineExpr expr : candidates) {
    auto same = llvm::find(above, expr);
    if (same == above.end())
      continue;
    above.erase(same);
    below.erase(llvm::find(below, expr));
  }
  if (divisor == 0)
    return {};
  if (above.empty() && below.empty() && scale % divisor != 0)
    return {};
  int64_t common = std::gcd(scale, divisor);
  if (common > 1) {
    scale /= common;
    divisor /= common;
  }
  AffineExpr top = constant(scale), bottom = constant(divisor);
  for (AffineExpr expr : above)
    top = multiply(top, expr);
  for (AffineExpr expr : below)
    bottom = multiply(bottom, expr);
  if (!top || !bottom)
    return fresh("size");
  if (constantValue(bottom) == 1)
    return top;
  if (auto value = constantValue(bottom))
    if (*value > 0 && top.isMultipleOf(*value))
      return simplify(top.floorDiv(*value));
  return defined(DimSymbol::Kind::Quotient, top, bottom);
}

static void spellInto(AffineExpr expr, const SymbolicDims &dims,
                      std::string &text, bool nested) {
  if (auto value = constantValue(expr)) {
    text += std::to_string(*value);
    return;
  }
  if (auto symbol = dyn_cast<AffineSymbolExpr>(expr)) {
    text += dims.symbol(symbol.getPosition()).name;
    return;
  }
  auto binary = cast<AffineBinaryOpExpr>(expr);
  StringRef sign = " * ";
  bool sum = binary.getKind() == AffineExprKind::Add;
  if (sum)
    sign = " + ";
  else if (binary.getKind() == AffineExprKind::FloorDiv)
    sign = " // ";
  else if (binary.getKind() == AffineExprKind::CeilDiv)
    sign = " ceildiv ";
  else if (binary.getKind() == AffineExprKind::Mod)
    sign = " % ";
  if (sum && nested)
    text += "(";
  spellInto(binary.getLHS(), dims, text, !sum);
  AffineExpr right = binary.getRHS();
  auto rightConstant = constantValue(right);
  if (sum && rightConstant && *rightConstant < 0) {
    text += " - " + std::to_string(-*rightConstant);
  } else {
    text += sign;
    spellInto(right, dims, text, !sum);
  }
  if (sum && nested)
    text += ")";
}

std::string SymbolicDims::spell(AffineExpr expr) const {
  if (!expr)
    return "?";
  std::string text;
  spellInto(expr, *this, text, /*nested=*/false);
  return text;
}

} // namespace qopt::onnx
