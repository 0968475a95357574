// The sizes of a plan. An index value of the IR (sums and products of
// dimensions of arguments) becomes a symbol: an expression that the runtime
// evaluates once for each call.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
#ifndef QOPT_LIB_DRIVER_SIZESYMBOLS_H
#define QOPT_LIB_DRIVER_SIZESYMBOLS_H

#include "mlir/IR/AffineMap.h"
#include "mlir/IR/Value.h"
#include "runtime/plan/Plan_generated.h"
#include <functional>
#include <map>
#include <memory>
#include <tuple>
#include <vector>

namespace qopt::driver {

class SizeSymbols {
public:
  using DimOf = std::function<mlir::FailureOr<uint32_t>(mlir::Value tensor,
                                                        int64_t axis)>;
  /// `dimOf` gives the symbol of a tensor's dimension.
  explicit SizeSymbols(DimOf dimOf) : dimOf(std::move(dimOf)) {}

  uint32_t constant(int64_t value);
  uint32_t inputDim(uint32_t input, uint32_t axis, llvm::StringRef name);
  /// Tokens, Sequences or LogitRows.
  uint32_t batchSize(plan::SymbolKind kind);
  /// A binary expression; constants are folded.
  uint32_t binary(plan::SymbolKind kind, uint32_t lhs, uint32_t rhs);

  /// The symbol of an index value; fails where it is no expression of sizes.
  mlir::FailureOr<uint32_t> of(mlir::Value index);
  /// The symbol of an affine expression whose symbols (and dims) are
  /// `operands`.
  mlir::FailureOr<uint32_t> of(mlir::AffineExpr expression,
                               llvm::ArrayRef<uint32_t> operands,
                               unsigned dims);

  /// The value of a constant symbol.
  std::optional<int64_t> constantValue(uint32_t symbol) const;
  std::vector<std::unique_ptr<plan::SymbolT>> take() {
    return std::move(symbols);
  }

private:
  using Key = std::tuple<plan::SymbolKind, uint32_t, uint32_t, int64_t>;
  uint32_t intern(const Key &key, llvm::StringRef name = {});

  DimOf dimOf;
  std::map<Key, uint32_t> known;
  std::vector<std::unique_ptr<plan::SymbolT>> symbols;
};

} // namespace qopt::driver

#endif // QOPT_LIB_DRIVER_SIZESYMBOLS_H
