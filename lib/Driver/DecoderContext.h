// Writes the longest sequence of a decoder into the IR (`qopt.context`), where
// the choice of kernels and the artifact find it.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
#ifndef QOPT_LIB_DRIVER_DECODERCONTEXT_H
#define QOPT_LIB_DRIVER_DECODERCONTEXT_H

#include "lib/Driver/Companions.h"
#include "mlir/Dialect/Func/IR/FuncOps.h"
#include "mlir/IR/BuiltinOps.h"
#include "qopt/CompileOptions.h"

namespace qopt::driver {

/// The function of a decoder's step; null where the model is none.
mlir::func::FuncOp decoderStep(mlir::ModuleOp module);

/// The longest sequence of a decoder; errors as of setContext.
StatusOr<int64_t> contextOf(mlir::func::FuncOp step,
                            const CompileOptions &options,
                            const Companions &companions);

/// Infeasible where more was asked for than the model allows; a graph has none.
Status setContext(mlir::ModuleOp module, const CompileOptions &options,
                  const Companions &companions);

} // namespace qopt::driver

#endif // QOPT_LIB_DRIVER_DECODERCONTEXT_H
