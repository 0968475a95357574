// What a check says of a model beside the summary of its compilation: operators
// and what became of them, problems, memory.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
#ifndef QOPT_LIB_DRIVER_MODELCHECK_H
#define QOPT_LIB_DRIVER_MODELCHECK_H

#include "lib/Calibrate/CalibrationSamples.h"
#include "lib/Driver/DiagnosticCollector.h"
#include "lib/Import/Onnx/Importer.h"
#include "mlir/IR/BuiltinOps.h"
#include "qopt/CheckSummary.h"

namespace qopt::driver {

/// Operators of the file and files of weights that are missing. With `module`,
/// which may be null, as the stage kernels leaves it: what became of the nodes.
void describeImport(const import::ImportReport &report, mlir::ModuleOp module,
                    CheckSummary &summary);

/// The problems for which a compilation ended with `failure`: what the importer
/// does not know, else the errors of passes, else the failure itself.
void addProblems(const Status &failure, const import::ImportReport &report,
                 const std::vector<DiagnosticCollector::Error> &errors,
                 CheckSummary &summary);

/// What serving takes, of an artifact that was written for its sizes; of a
/// graph beside its weights only where `samples`, which may be null, say how
/// large its inputs are.
Status describeServing(const std::string &artifact,
                       const CompileOptions &options,
                       const calibrate::CalibrationSamples *samples,
                       CheckSummary &summary);

/// Options of which nothing is known without the weights.
std::vector<std::string> uncheckedOptions(const CompileOptions &options);

/// Of this process so far, the most bytes that it had in memory at a time.
uint64_t peakBytes();

} // namespace qopt::driver

#endif // QOPT_LIB_DRIVER_MODELCHECK_H
