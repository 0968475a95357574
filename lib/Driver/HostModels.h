// Models that the compiler itself runs, on this machine, to measure what a
// choice does: the model as the file has it, and what stands for an artifact.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
#ifndef QOPT_LIB_DRIVER_HOSTMODELS_H
#define QOPT_LIB_DRIVER_HOSTMODELS_H

#include "lib/Driver/Companions.h"
#include "mlir/IR/BuiltinOps.h"
#include "mlir/IR/OwningOpRef.h"
#include "passes/Pipelines.h"
#include "qopt/CompileOptions.h"
#include "qopt/Engine.h"
#include "qopt/Session.h"
#include <memory>
#include <string>

namespace qopt::driver {

/// As the file has it, computed in f32.
passes::AskedFormats unquantizedFormats();

/// The same formats, where a host is to run them.
CompileOptions onHost(CompileOptions options);

/// What the figures of such an artifact are measured on, for people.
std::string measuredOn(const CompileOptions &options);

/// A copy of `raised` behind the stage quantize. Errors of passes are the
/// context's diagnostics, and Unsupported.
StatusOr<mlir::OwningOpRef<mlir::ModuleOp>>
quantizedModel(mlir::ModuleOp raised, const passes::AskedFormats &formats);

/// The engine of an artifact that this process has written.
StatusOr<std::unique_ptr<Engine>> openEngine(const std::string &path,
                                             const CompileOptions &options);

/// The engine of a module that the stage quantize has left, which is consumed;
/// it has its context.
StatusOr<std::unique_ptr<Engine>> engineOf(mlir::ModuleOp module,
                                           const CompileOptions &options,
                                           const Companions &companions);

/// The same of graphs.
StatusOr<std::unique_ptr<Session>> openSession(const std::string &path,
                                               const CompileOptions &options);
StatusOr<std::unique_ptr<Session>> sessionOf(mlir::ModuleOp module,
                                             const CompileOptions &options,
                                             const Companions &companions);

} // namespace qopt::driver

#endif // QOPT_LIB_DRIVER_HOSTMODELS_H
