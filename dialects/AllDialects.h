// The table of dialects that the compiler's tools and stages know. Nothing
// registers itself.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
#ifndef QOPT_DIALECTS_ALLDIALECTS_H
#define QOPT_DIALECTS_ALLDIALECTS_H

namespace mlir {
class DialectRegistry;
} // namespace mlir

namespace qopt {

/// Adds every dialect that may occur between an ONNX file and machine code, and
/// what makes them inlinable.
void registerAllDialects(mlir::DialectRegistry &registry);

} // namespace qopt

#endif // QOPT_DIALECTS_ALLDIALECTS_H
