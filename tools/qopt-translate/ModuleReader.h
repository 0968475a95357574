// An MLIR file as a module, and what MLIR says of it as text.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
#ifndef QOPT_TOOLS_QOPTTRANSLATE_MODULEREADER_H
#define QOPT_TOOLS_QOPTTRANSLATE_MODULEREADER_H

#include "mlir/IR/BuiltinOps.h"
#include "mlir/IR/Diagnostics.h"
#include "mlir/IR/MLIRContext.h"
#include "mlir/IR/OwningOpRef.h"
#include "qopt/Status.h"
#include "llvm/Support/SourceMgr.h"
#include "llvm/Support/raw_ostream.h"

#include <optional>
#include <string>

namespace qopt::translate {

class ModuleReader {
public:
  /// Of the file `path`; "-" is standard input.
  explicit ModuleReader(std::string path);

  /// NotFound, or BadModel with what the parser says.
  StatusOr<mlir::ModuleOp> read();

  /// BadModel: `what`, and what MLIR has said since.
  Status bad(const std::string &what);

  const std::string &name() const { return path; }

private:
  std::string path, diagnostics;
  llvm::raw_string_ostream stream;
  mlir::MLIRContext context;
  llvm::SourceMgr sources;
  std::optional<mlir::SourceMgrDiagnosticHandler> handler;
  mlir::OwningOpRef<mlir::ModuleOp> module;
};

} // namespace qopt::translate

#endif // QOPT_TOOLS_QOPTTRANSLATE_MODULEREADER_H
