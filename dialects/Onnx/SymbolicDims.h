// Arithmetic on sizes that are not known at compile time. A size is an affine
// (or semi-affine) expression over symbols that stand for non-negative
// integers; simplification gives equal sizes equal expressions, so that
// comparing pointers answers "the same size?". What cannot be decided, such as
// the smaller of two unrelated sizes, becomes a symbol with a definition, and
// the same question always gives the same symbol.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
#ifndef QOPT_DIALECTS_ONNX_SYMBOLICDIMS_H
#define QOPT_DIALECTS_ONNX_SYMBOLICDIMS_H

#include "mlir/IR/AffineExpr.h"
#include "llvm/ADT/DenseMap.h"
#include "llvm/ADT/StringMap.h"
#include <map>
#include <optional>
#include <string>
#include <tuple>
#include <vector>

namespace qopt::onnx {

/// What a symbol stands for.
struct DimSymbol {
  enum class Kind {
    Named,    ///< a dimension name of the model's inputs
    Minimum,  ///< the smaller of `lhs` and `rhs`
    Maximum,  ///< the larger of `lhs` and `rhs`
    Quotient, ///< `lhs` divided by `rhs` without remainder
    Data,     ///< depends on the values of tensors
  };
  Kind kind;
  std::string name; ///< as in the model, or "min(a, b)", or a made-up name
  mlir::AffineExpr lhs, rhs;
};

/// The symbols of one function and the arithmetic on them.
class SymbolicDims {
public:
  explicit SymbolicDims(mlir::MLIRContext *context) : context(context) {}

  mlir::AffineExpr constant(int64_t value) const;
  /// The size that a dimension name of the model stands for: a name, or sums,
  /// differences, products and quotients of names and numbers
  /// ("past_sequence_length + 1"). Other text is one name as a whole.
  mlir::AffineExpr parse(llvm::StringRef text);
  /// A new symbol for a size that depends on data; `hint` is part of its name.
  mlir::AffineExpr fresh(llvm::StringRef hint);

  /// No size is as large as this; expressions with larger numbers, like very
  /// long ones, are not followed.
  static constexpr int64_t largestNumber = int64_t(1) << 48;

  /// The operations below give null where an operand is null or the result
  /// would be too long to follow.
  mlir::AffineExpr add(mlir::AffineExpr a, mlir::AffineExpr b) const;
  mlir::AffineExpr subtract(mlir::AffineExpr a, mlir::AffineExpr b) const;
  mlir::AffineExpr multiply(mlir::AffineExpr a, mlir::AffineExpr b) const;
  /// A non-negative size divided by a positive number, rounded down.
  mlir::AffineExpr floorQuotient(mlir::AffineExpr a, int64_t divisor) const;
  /// Null where the result could be negative: every symbol is >= 0.
  mlir::AffineExpr minimum(mlir::AffineExpr a, mlir::AffineExpr b);
  mlir::AffineExpr maximum(mlir::AffineExpr a, mlir::AffineExpr b);
  /// The product of `numerator` divided by that of `denominator`, known to
  /// leave no remainder. Factors that occur in both cancel. Null when a
  /// constant denominator cannot divide a constant numerator.
  mlir::AffineExpr exactQuotient(llvm::ArrayRef<mlir::AffineExpr> numerator,
                                 llvm::ArrayRef<mlir::AffineExpr> denominator);
  /// The size of an axis after broadcasting; null when 1, a and b disagree.
  mlir::AffineExpr broadcast(mlir::AffineExpr a, mlir::AffineExpr b);

  /// Whether a <= b for certain.
  bool isAtMost(mlir::AffineExpr a, mlir::AffineExpr b,
                unsigned depth = 8) const;
  /// Whether the expression is certainly >= 0. False means "not known".
  bool isNonNegative(mlir::AffineExpr expr) const;

  unsigned size() const { return symbols.size(); }
  const DimSymbol &symbol(unsigned position) const { return symbols[position]; }
  /// "past_sequence_length + sequence_length", "512", "?" for null.
  std::string spell(mlir::AffineExpr expr) const;

private:
  friend class DimParser;
  mlir::AffineExpr named(llvm::StringRef name);
  mlir::AffineExpr defined(DimSymbol::Kind kind, mlir::AffineExpr lhs,
                           mlir::AffineExpr rhs);
  mlir::AffineExpr simplify(mlir::AffineExpr expr) const;
  static bool canFollow(mlir::AffineExpr a, mlir::AffineExpr b);

  mlir::MLIRContext *context;
  std::vector<DimSymbol> symbols;
  llvm::StringMap<unsigned> byName;
  llvm::StringMap<unsigned> freshNames;
  std::map<std::tuple<DimSymbol::Kind, const void *, const void *>, unsigned>
      definitions;
};

/// The value of a constant expression; nothing for null and for symbols.
inline std::optional<int64_t> constantValue(mlir::AffineExpr expr) {
  if (auto constant = llvm::dyn_cast_if_present<mlir::AffineConstantExpr>(expr))
    return constant.getValue();
  return std::nullopt;
}

} // namespace qopt::onnx

#endif // QOPT_DIALECTS_ONNX_SYMBOLICDIMS_H
