// Errors of passes that are of another kind than their stage's: what was asked
// for cannot be had of this model, or a disk is full. Who called the compiler
// branches on that, so a diagnostic can carry the code of its status.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
#ifndef QOPT_DIALECTS_QOPT_ERRORCODE_H
#define QOPT_DIALECTS_QOPT_ERRORCODE_H

#include "mlir/IR/BuiltinAttributes.h"
#include "mlir/IR/Diagnostics.h"
#include "qopt/Status.h"

namespace qopt::ir {

inline constexpr const char *errorCodeKey = "qopt.status";

/// Gives the error a code, behind its key in the metadata.
inline mlir::InFlightDiagnostic withCode(mlir::InFlightDiagnostic error,
                                         mlir::MLIRContext *context,
                                         StatusCode code) {
  auto &metadata = error.getUnderlyingDiagnostic()->getMetadata();
  metadata.emplace_back(mlir::StringAttr::get(context, errorCodeKey));
  metadata.emplace_back(int64_t(code));
  return error;
}

/// The code that the diagnostic was given; Ok: none.
inline StatusCode codeOf(mlir::Diagnostic &diagnostic) {
  using Kind = mlir::DiagnosticArgument::DiagnosticArgumentKind;
  auto &metadata = diagnostic.getMetadata();
  for (size_t i = 0; i + 1 < metadata.size(); ++i) {
    if (metadata[i].getKind() != Kind::Attribute ||
        metadata[i + 1].getKind() != Kind::Integer)
      continue;
    auto key = llvm::dyn_cast<mlir::StringAttr>(metadata[i].getAsAttribute());
    if (key && key.getValue() == errorCodeKey)
      return StatusCode(metadata[i + 1].getAsInteger());
  }
  return StatusCode::Ok;
}

} // namespace qopt::ir

#endif // QOPT_DIALECTS_QOPT_ERRORCODE_H
