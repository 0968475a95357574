// What can be seen of the kernels of a GPU artifact without writing it: their
// IR, PTX, machine code, and what is predicted. No weight is read for it.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
#ifndef QOPT_LIB_DRIVER_CUDAEMISSION_H
#define QOPT_LIB_DRIVER_CUDAEMISSION_H

#include "mlir/Dialect/Func/IR/FuncOps.h"
#include "qopt/Compiler.h"

namespace qopt::driver {

/// As many threads as were asked for, else as the machine has.
unsigned threadsOf(const CompileOptions &options);

/// Positions that the prediction of a decode step is made for: those of
/// --context, else at most 1024; 0 for a graph.
int64_t predictedContextOf(mlir::func::FuncOp func,
                           const CompileOptions &options);

/// The text of Stage::Gpu, Stage::Ptx or Stage::Sass, and of a module that
/// consists of kernels all that is known of them, but for Stage::Gpu; the text
/// of other stages is empty.
StatusOr<std::string> emitCuda(mlir::ModuleOp module, Stage stage,
                               const CompileOptions &options,
                               CompileSummary &summary);

/// What a decode step of a module that consists of kernels is predicted to
/// take on each architecture; no code is made.
Status predictCuda(mlir::ModuleOp module, const CompileOptions &options,
                   CompileSummary &summary);

} // namespace qopt::driver

#endif // QOPT_LIB_DRIVER_CUDAEMISSION_H
