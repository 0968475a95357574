// Types of the qopt dialect.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
#ifndef QOPT_DIALECTS_QOPT_QOPTTYPES_H
#define QOPT_DIALECTS_QOPT_QOPTTYPES_H

#include "dialects/QOpt/QOptAttrs.h"
#include "mlir/IR/BuiltinTypes.h"

namespace qopt::ir {

/// Neighbouring rows of a weight that are stored in one format.
struct RowRange {
  int64_t rows;
  quant::Format format;
  bool operator==(const RowRange &) const = default;
};

inline llvm::hash_code hash_value(const RowRange &range) {
  return llvm::hash_combine(range.rows, range.format);
}

/// Of a list with the format of all layers, or of each.
inline quant::Format formatOf(llvm::ArrayRef<quant::Format> formats,
                              int64_t layer) {
  return formats.size() == 1 ? formats.front() : formats[layer];
}

/// The same of counts, which are 0 where there is no list.
inline int64_t countOf(llvm::ArrayRef<int64_t> counts, int64_t layer) {
  if (counts.empty())
    return 0;
  return counts.size() == 1 ? counts.front() : counts[layer];
}

} // namespace qopt::ir

#define GET_TYPEDEF_CLASSES
#include "dialects/QOpt/QOptTypes.h.inc"

#endif // QOPT_DIALECTS_QOPT_QOPTTYPES_H
