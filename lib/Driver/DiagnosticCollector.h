// The translation of MLIR's diagnostics into what a caller of the library gets.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
#ifndef QOPT_LIB_DRIVER_DIAGNOSTICCOLLECTOR_H
#define QOPT_LIB_DRIVER_DIAGNOSTICCOLLECTOR_H

#include "dialects/Onnx/NodeLocation.h"
#include "mlir/IR/Diagnostics.h"
#include "mlir/IR/MLIRContext.h"
#include "qopt/Compiler.h"
#include <optional>
#include <string>
#include <vector>

namespace qopt::driver {

/// Collects errors as one message, warnings and remarks one by one. A
/// diagnostic at an ONNX node names it.
class DiagnosticCollector {
public:
  struct Error {
    std::string text;
    std::optional<onnx::NodeOrigin> origin;
    StatusCode code; ///< Ok: that of the stage
  };

  DiagnosticCollector(mlir::MLIRContext &context, CompileSummary &summary);

  /// The errors so far, and reasons below them. The code is that of the errors
  /// where they have one, all the same.
  Status status(StatusCode code, const std::string &fallback,
                const std::vector<std::string> &reasons = {}) const;

  const std::vector<Error> &all() const { return errors; }

private:
  std::vector<Error> errors;
  mlir::ScopedDiagnosticHandler handler;
};

} // namespace qopt::driver

#endif // QOPT_LIB_DRIVER_DIAGNOSTICCOLLECTOR_H
