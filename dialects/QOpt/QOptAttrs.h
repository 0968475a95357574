// Attributes and enumerations of the qopt dialect, and the storage format as a
// parameter of attributes and types.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
#ifndef QOPT_DIALECTS_QOPT_QOPTATTRS_H
#define QOPT_DIALECTS_QOPT_QOPTATTRS_H

#include "lib/Quant/Format.h"
#include "mlir/IR/BuiltinAttributes.h"
#include "mlir/IR/OpImplementation.h"
#include "llvm/ADT/Hashing.h"

#include "dialects/QOpt/QOptEnums.h.inc"

namespace qopt::quant {
// NOLINTNEXTLINE(readability-identifier-naming): LLVM looks for this name.
inline llvm::hash_code hash_value(const Format &format) {
  return llvm::hash_combine(format.element, format.granularity,
                            format.groupSize, format.zero, format.scale);
}
} // namespace qopt::quant

namespace qopt::ir {
/// Reads a format's spelling, one keyword; emits lib/Quant's message where it
/// is none.
mlir::FailureOr<quant::Format> parseFormat(mlir::AsmParser &parser);
/// A format of all layers, or a list `[f16, int8]` with one of each.
mlir::FailureOr<llvm::SmallVector<quant::Format>>
parseLayerFormats(mlir::AsmParser &parser);
void printLayerFormats(mlir::AsmPrinter &printer,
                       llvm::ArrayRef<quant::Format> formats);
/// The same of counts: `32` or `[0, 32]`. A single 0 is none.
mlir::FailureOr<llvm::SmallVector<int64_t>>
parseLayerCounts(mlir::AsmParser &parser);
void printLayerCounts(mlir::AsmPrinter &printer,
                      llvm::ArrayRef<int64_t> counts);
/// Reads the name of an architecture, one keyword.
mlir::FailureOr<std::string> parseArchitecture(mlir::AsmParser &parser);

/// The list of #qopt.kernel that an op carries.
constexpr llvm::StringLiteral kernelsAttribute = "qopt.kernels";
/// The longest sequence of a decoder's function, i64.
constexpr llvm::StringLiteral contextAttribute = "qopt.context";
} // namespace qopt::ir

#define GET_ATTRDEF_CLASSES
#include "dialects/QOpt/QOptAttrs.h.inc"

#endif // QOPT_DIALECTS_QOPT_QOPTATTRS_H
