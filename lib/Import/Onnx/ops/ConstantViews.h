// Parts and readings of a constant's bytes, without a copy of a file's.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
#ifndef QOPT_LIB_IMPORT_ONNX_OPS_CONSTANTVIEWS_H
#define QOPT_LIB_IMPORT_ONNX_OPS_CONSTANTVIEWS_H

#include "mlir/IR/BuiltinAttributes.h"

namespace qopt::import {

/// The bytes of `all` from `offset` on, as many as `type` has; a constant of a
/// small file is copied. Without bytes where `all` has none.
mlir::ElementsAttr viewOf(mlir::ElementsAttr all, mlir::RankedTensorType type,
                          size_t offset, llvm::StringRef name);

/// The key of a resource, else `otherwise`.
llvm::StringRef keyOf(mlir::ElementsAttr constant, llvm::StringRef otherwise);

} // namespace qopt::import

#endif // QOPT_LIB_IMPORT_ONNX_OPS_CONSTANTVIEWS_H
