// What a decode step is predicted to take on the host: kernel by kernel, from
// rates that were measured on a machine (HostRates.h). A linear takes what its
// weights take from memory, or what they take from the cache, whichever is
// longer; attention what its keys and values take; all else is a time a call
// and a time an element.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
#ifndef QOPT_LIB_DRIVER_HOSTSTEPS_H
#define QOPT_LIB_DRIVER_HOSTSTEPS_H

#include "mlir/IR/BuiltinOps.h"
#include "qopt/Compiler.h"

namespace qopt::driver {

/// Adds to `summary` what a step of a decoder, as the stage kernels leaves it,
/// takes up to its logits; nothing of a graph. Unsupported where a format has
/// no rates.
Status predictHost(mlir::ModuleOp module, const CompileOptions &options,
                   CompileSummary &summary);

} // namespace qopt::driver

#endif // QOPT_LIB_DRIVER_HOSTSTEPS_H
