// Measures the artifact that was made beside the unquantized model, on this
// machine: both run as artifacts on the runtime's engine. An artifact for GPUs
// is stood for by one for the host with the same codes and formats.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
#ifndef QOPT_LIB_DRIVER_VALIDATION_H
#define QOPT_LIB_DRIVER_VALIDATION_H

#include "lib/Driver/ValidationSamples.h"
#include "lib/Driver/ValidationTexts.h"
#include "mlir/IR/OwningOpRef.h"
#include "qopt/Compiler.h"

namespace qopt::driver {

class Validation {
public:
  /// Of a decoder, or of a graph.
  Validation(ValidationWindows inputs, const Companions &companions)
      : inputs(std::move(inputs)), companions(companions) {}
  Validation(ValidationSamples samples, const Companions &companions)
      : samples(std::move(samples)), companions(companions) {}

  /// Makes of `raised`, which has its context, the unquantized model and, for a
  /// GPU, the one that stands for the artifact. `options` have the formats that
  /// were chosen. Errors of passes are the context's diagnostics.
  Status prepare(mlir::ModuleOp raised, const CompileOptions &options);

  /// What stands for the artifact, whose weights are to get the same codes;
  /// null where the artifact itself runs here.
  mlir::ModuleOp substitute() { return standIn ? *standIn : mlir::ModuleOp(); }

  /// Of the artifact at `path`. Consumes what was prepared.
  StatusOr<ValidationSummary> measure(const std::string &path,
                                      const Progress &progress);

private:
  StatusOr<ValidationSummary> measureGraph(const std::string &path,
                                           const Progress &progress);

  ValidationWindows inputs;
  std::optional<ValidationSamples> samples; ///< of a graph
  const Companions &companions;
  CompileOptions options; ///< of the artifact
  mlir::OwningOpRef<mlir::ModuleOp> reference, standIn;
};

/// GateFailed with the table where a limit is missed.
Status checkGates(const ValidationSummary &found,
                  const CompileOptions &options);

} // namespace qopt::driver

#endif // QOPT_LIB_DRIVER_VALIDATION_H
