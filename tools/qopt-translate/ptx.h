// qopt-translate --qopt-to-ptx: a file of kernels as PTX text.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
#ifndef QOPT_TOOLS_QOPT_TRANSLATE_PTX_H
#define QOPT_TOOLS_QOPT_TRANSLATE_PTX_H

#include "llvm/ADT/StringRef.h"

/// Reads MLIR from `input` and writes PTX for the architecture `arch` to
/// `output`: of its gpu.modules, else of the kernels that OutlineKernels made
/// (the module `kernels`, or all functions), whose launches precede the text as
/// comments. Returns the tool's exit status.
int translateToPtx(llvm::StringRef input, llvm::StringRef output,
                   llvm::StringRef arch);

#endif // QOPT_TOOLS_QOPT_TRANSLATE_PTX_H
