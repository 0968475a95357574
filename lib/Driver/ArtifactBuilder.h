// Puts the parts of an artifact together: weights and constants, machine code,
// the plan, the tokenizer and the manifest.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
#ifndef QOPT_LIB_DRIVER_ARTIFACTBUILDER_H
#define QOPT_LIB_DRIVER_ARTIFACTBUILDER_H

#include "lib/Driver/Companions.h"
#include "mlir/IR/BuiltinOps.h"
#include "qopt/Compiler.h"

namespace qopt::driver {

/// Writes the artifact of a module that consists of kernels. Fills what the
/// summary says of weights and sizes. Companions without a model are those of a
/// function that the compiler runs itself.
Status buildArtifact(mlir::ModuleOp module, const CompileOptions &options,
                     const Companions &companions, const Progress &progress,
                     CompileSummary &summary);

} // namespace qopt::driver

#endif // QOPT_LIB_DRIVER_ARTIFACTBUILDER_H
