// The values of a function's symbols for one call: what the inputs' sizes (or
// the batch) are makes every other size.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
#ifndef QOPT_RUNTIME_PLAN_SYMBOLVALUES_H
#define QOPT_RUNTIME_PLAN_SYMBOLVALUES_H

#include "qopt/Status.h"
#include "runtime/plan/Plan_generated.h"

#include <cstdint>
#include <optional>
#include <string>
#include <vector>

namespace qopt::runtime {

/// What symbols are made from. A graph has input shapes, a decoder the three
/// counts.
struct SymbolInputs {
  std::vector<std::vector<int64_t>> inputShapes;
  int64_t tokens = 0;
  int64_t sequences = 0;
  int64_t logitRows = 0;

  bool operator==(const SymbolInputs &) const = default;
};

/// All symbols in order. Fails with InvalidArgument on a division by zero or a
/// size beyond 64 bits.
StatusOr<std::vector<int64_t>> evaluateSymbols(const plan::Function &function,
                                               const SymbolInputs &inputs);

/// "batch", "2 * seq + 1", "64": for messages and signatures.
std::string spellSymbol(const plan::Function &function, uint32_t symbol);

/// Elements of a tensor: nullopt where a size is negative or the product
/// exceeds 63 bits.
std::optional<int64_t> tensorElements(const plan::Value &value,
                                      const std::vector<int64_t> &symbols);

} // namespace qopt::runtime

#endif // QOPT_RUNTIME_PLAN_SYMBOLVALUES_H
