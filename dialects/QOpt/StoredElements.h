// The bytes of a constant as an ONNX file stores them, whatever form MLIR has
// given them: a mapped resource, a dense attribute, or a splat that holds one
// element for all. Who reads bytes of constants reads them here, so that no
// reader takes one element for many. Numbers to compute with are HostTensor's.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
#ifndef QOPT_DIALECTS_QOPT_STOREDELEMENTS_H
#define QOPT_DIALECTS_QOPT_STOREDELEMENTS_H

#include "mlir/IR/BuiltinAttributes.h"
#include "llvm/ADT/ArrayRef.h"
#include "llvm/ADT/StringRef.h"
#include <optional>
#include <vector>

namespace qopt::ir {

/// All elements in row-major order, little-endian: a boolean is a byte, 2-bit
/// and 4-bit types are packed over the whole array, the first in the low bits.
class StoredElements {
public:
  /// Nothing where the IR does not hold the elements (a resource that was left
  /// out of its text or has another size) or their type has no such form.
  static std::optional<StoredElements> of(mlir::ElementsAttr attribute);

  llvm::ArrayRef<char> bytes() const {
    return owned.empty() ? referred : llvm::ArrayRef<char>(owned);
  }
  /// False where the bytes are the attribute's own and live as long as it.
  bool areCopied() const { return !owned.empty(); }

private:
  std::vector<char> owned;
  llvm::ArrayRef<char> referred;
};

/// Elements that the IR does not hold: those of a weight whose file was not
/// read. `name` becomes the resource's key, made unique when it is taken.
mlir::ElementsAttr absentElements(mlir::ShapedType type, llvm::StringRef name);
bool areAbsent(mlir::ElementsAttr attribute);

/// Bytes of all elements as a file stores them; 0 for types that none has.
uint64_t storedSize(mlir::ShapedType type);

} // namespace qopt::ir

#endif // QOPT_DIALECTS_QOPT_STOREDELEMENTS_H
