// ONNX import: from a file to a module of the onnx dialect with one function.
//
// The model is not trusted. Every size, range, name and reference is checked;
// weights stay in the mapped file and are resources of the module, which the
// MLIR context owns. All operators and opsets that cannot be read are reported
// at once.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
#ifndef QOPT_LIB_IMPORT_ONNX_IMPORTER_H
#define QOPT_LIB_IMPORT_ONNX_IMPORTER_H

#include "mlir/IR/BuiltinOps.h"
#include "mlir/IR/OwningOpRef.h"
#include "qopt/Status.h"

namespace qopt::import {

struct ImportOptions {
  /// The name of the function that the graph becomes.
  std::string functionName = "main";
};

/// Reads `path`, a file or a folder with model.onnx. The function's arguments
/// are the graph's inputs without initializers; arguments and results carry
/// `qopt.name` and `onnx.dims` (a name, sum of names, or number per dimension).
/// All tensors have ranked types. Status codes: NotFound, BadModel,
/// Unsupported. The context must have the onnx and func dialects loaded or
/// registered.
StatusOr<mlir::OwningOpRef<mlir::ModuleOp>>
importOnnx(const std::string &path, const ImportOptions &options,
           mlir::MLIRContext &context);

} // namespace qopt::import

#endif // QOPT_LIB_IMPORT_ONNX_IMPORTER_H
