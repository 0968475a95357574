// Evaluates and spells the integer expressions of a plan.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
#include "runtime/plan/SymbolValues.h"

#include <algorithm>

namespace qopt::runtime {
namespace {

int64_t floorDiv(int64_t a, int64_t b) {
  int64_t quotient = a / b;
  return quotient - (a % b != 0 && (a < 0) != (b < 0));
}

/// Not a - floorDiv(a, b) * b, whose product may be below the smallest number.
int64_t floorMod(int64_t a, int64_t b) {
  int64_t remainder = a % b;
  return remainder != 0 && (remainder < 0) != (b < 0) ? remainder + b
                                                      : remainder;
}

bool divides(plan::SymbolKind kind) {
  return kind == plan::SymbolKind::FloorDiv ||
         kind == plan::SymbolKind::CeilDiv || kind == plan::SymbolKind::Mod;
}

/// nullopt: overflow or division by zero.
std::optional<int64_t> apply(plan::SymbolKind kind, int64_t a, int64_t b) {
  int64_t result = 0;
  if (divides(kind) && (b == 0 || (a == INT64_MIN && b == -1)))
    return std::nullopt;
  switch (kind) {
  case plan::SymbolKind::Add:
    return __builtin_add_overflow(a, b, &result) ? std::nullopt
                                                 : std::optional(result);
  case plan::SymbolKind::Sub:
    return __builtin_sub_overflow(a, b, &result) ? std::nullopt
                                                 : std::optional(result);
  case plan::SymbolKind::Mul:
    return __builtin_mul_overflow(a, b, &result) ? std::nullopt
                                                 : std::optional(result);
  case plan::SymbolKind::FloorDiv:
    return floorDiv(a, b);
  case plan::SymbolKind::CeilDiv:
    return floorDiv(a, b) + (a % b != 0);
  case plan::SymbolKind::Mod:
    return floorMod(a, b);
  case plan::SymbolKind::Min:
    return std::min(a, b);
  case plan::SymbolKind::Max:
    return std::max(a, b);
  default:
    return std::nullopt;
  }
}

const char *operatorOf(plan::SymbolKind kind) {
  switch (kind) {
  case plan::SymbolKind::Add:
    return " + ";
  case plan::SymbolKind::Sub:
    return " - ";
  case plan::SymbolKind::Mul:
    return " * ";
  case plan::SymbolKind::FloorDiv:
    return " / ";
  case plan::SymbolKind::CeilDiv:
    return " ceildiv ";
  case plan::SymbolKind::Mod:
    return " mod ";
  case plan::SymbolKind::Min:
    return " min ";
  default:
    return " max ";
  }
}

std::string spell(const plan::Function &function, uint32_t id, int depth) {
  const plan::Symbol &symbol = *function.symbols()->Get(id);
  if (symbol.name() && symbol.name()->size() > 0)
    return symbol.name()->str();
  switch (symbol.kind()) {
  case plan::SymbolKind::Const:
    return std::to_string(symbol.value());
  case plan::SymbolKind::InputDim:
    return "dim" + std::to_string(symbol.lhs()) + "_" +
           std::to_string(symbol.rhs());
  case plan::SymbolKind::Tokens:
    return "tokens";
  case plan::SymbolKind::Sequences:
    return "sequences";
  case plan::SymbolKind::LogitRows:
    return "logit_rows";
  default:
    break;
  }
  if (depth > 8)
    return "…";
  std::string text = spell(function, symbol.lhs(), depth + 1) +
                     operatorOf(symbol.kind()) +
                     spell(function, symbol.rhs(), depth + 1);
  return depth > 0 ? "(" + text + ")" : text;
}

/// Of an expression that `apply` has no value for. A size is inferred by
/// dividing by others; of nothing any size would do.
Status noValue(const plan::Function &function, uint32_t id,
               const std::vector<int64_t> &values) {
  const plan::Symbol &symbol = *function.symbols()->Get(id);
  if (divides(symbol.kind()) && values[symbol.rhs()] == 0)
    return Status(StatusCode::InvalidArgument,
                  "a size is inferred by dividing by '" +
                      spellSymbol(function, symbol.rhs()) +
                      "', which is 0; expected 1 or more");
  return Status(StatusCode::InvalidArgument,
                "the size '" + spellSymbol(function, id) +
                    "' is too large for these input shapes");
}

} // namespace

StatusOr<std::vector<int64_t>> evaluateSymbols(const plan::Function &function,
                                               const SymbolInputs &inputs) {
  std::vector<int64_t> values(function.symbols() ? function.symbols()->size()
                                                 : 0);
  for (uint32_t id = 0; id < values.size(); ++id) {
    const plan::Symbol &symbol = *function.symbols()->Get(id);
    switch (symbol.kind()) {
    case plan::SymbolKind::Const:
      values[id] = symbol.value();
      break;
    case plan::SymbolKind::InputDim:
      values[id] = inputs.inputShapes[symbol.lhs()][symbol.rhs()];
      break;
    case plan::SymbolKind::Tokens:
      values[id] = inputs.tokens;
      break;
    case plan::SymbolKind::Sequences:
      values[id] = inputs.sequences;
      break;
    case plan::SymbolKind::LogitRows:
      values[id] = inputs.logitRows;
      break;
    default: {
      std::optional<int64_t> value =
          apply(symbol.kind(), values[symbol.lhs()], values[symbol.rhs()]);
      if (!value)
        return noValue(function, id, values);
      values[id] = *value;
    }
    }
  }
  return values;
}

std::string spellSymbol(const plan::Function &function, uint32_t symbol) {
  return spell(function, symbol, 0);
}

std::optional<int64_t> tensorElements(const plan::Value &value,
                                      const std::vector<int64_t> &symbols) {
  int64_t elements = 1;
  if (value.shape())
    for (uint32_t id : *value.shape())
      if (symbols[id] < 0 ||
          __builtin_mul_overflow(elements, symbols[id], &elements))
        return std::nullopt;
  return elements;
}

} // namespace qopt::runtime
