// LLVM's optimiser and code generator for modules that have no C library
// beneath them, on a GPU or in an object without imports: no loop may become a
// call of memset.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
#ifndef QOPT_LIB_CODEGEN_EMITTER_H
#define QOPT_LIB_CODEGEN_EMITTER_H

#include "qopt/Status.h"

#include "llvm/Passes/PassBuilder.h"
#include "llvm/Support/CodeGen.h"

#include <string>

namespace qopt::codegen {

/// Gives `module` a neutral name and the machine's triple and data layout.
void prepare(llvm::Module &module, const llvm::TargetMachine &machine);

/// A pass of -O3 that functions do not get, by the name of its class.
struct LeftOutPass {
  static constexpr int everyTurn = -1;
  llvm::StringRef name;
  int turn = everyTurn; ///< of its runs on a function, from 0
};

/// Optimises `module` at -O3, but for the passes of `leftOut`, for `machine`.
void optimise(llvm::Module &module, llvm::TargetMachine &machine,
              const llvm::PipelineTuningOptions &tuning = {},
              llvm::ArrayRef<LeftOutPass> leftOut = {});

/// The bytes of an assembly or object file.
StatusOr<std::string> emit(llvm::Module &module, llvm::TargetMachine &machine,
                           llvm::CodeGenFileType file);

} // namespace qopt::codegen

#endif // QOPT_LIB_CODEGEN_EMITTER_H
