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
#include <string>
#include <vector>

namespace qopt::import {

/// Nodes of one operator in a model, its subgraphs and functions.
struct OperatorUse {
  std::string op, domain; ///< `domain` is empty for ONNX's own operators
  int64_t opset = 0;      ///< 0: the model names none of that domain
  bool isKnown = true;    ///< to the importer
  std::string reason;     ///< what is known of one that is not; may be empty
  std::vector<std::string> nodes; ///< their names, or those of their results
};

/// A file of external data that could not be opened.
struct MissingFile {
  std::string file;   ///< as the model names it
  std::string reason; ///< of the first tensor that asked for it
  uint64_t bytes = 0; ///< that the model's tensors need of it
  int64_t tensors = 0;
};

/// What is known of a model of which no weight is read.
struct ImportReport {
  std::vector<OperatorUse> operators; ///< by domain and name
  std::vector<std::string> opsets;    ///< versions that cannot be read, and why
  std::vector<MissingFile> missing;
};

struct ImportOptions {
  /// The name of the function that the graph becomes.
  std::string functionName = "main";
  /// "NAME=VALUE": inputs that are constants (FixedInputs.h). With one, inputs
  /// that nothing reads are no arguments either.
  std::vector<std::string> fixedInputs = {};
  /// Where it is given it is filled, also where the import fails, and no weight
  /// is read: elements of resources of more than `mostReadBytes`, and of files
  /// that are missing, are absent (StoredElements.h).
  ImportReport *report = nullptr;
};

/// Of a tensor that is read all the same. Tables of positions, which decide
/// what a model means, are smaller.
constexpr uint64_t mostReadBytes = uint64_t(32) << 20;

/// Reads `path`, a file or a folder with model.onnx. The function's arguments
/// are the graph's inputs without initializers and fixed values; arguments and
/// results carry `qopt.name` and `onnx.dims` (a name, sum of names, or number
/// per dimension). All tensors have ranked types. Status codes: NotFound,
/// BadModel, Unsupported. The context must have the onnx and func dialects
/// loaded or registered.
StatusOr<mlir::OwningOpRef<mlir::ModuleOp>>
importOnnx(const std::string &path, const ImportOptions &options,
           mlir::MLIRContext &context);

} // namespace qopt::import

#endif // QOPT_LIB_IMPORT_ONNX_IMPORTER_H
