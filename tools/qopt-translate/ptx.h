// qopt-translate --qopt-to-ptx: a file of kernels as PTX text.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
#ifndef QOPT_TOOLS_QOPT_TRANSLATE_PTX_H
#define QOPT_TOOLS_QOPT_TRANSLATE_PTX_H

#include "llvm/ADT/StringRef.h"

/// Reads MLIR from `input` and writes the PTX of its gpu.modules for the
/// architecture `arch` to `output`. Returns the tool's exit status.
int translateToPtx(llvm::StringRef input, llvm::StringRef output,
                   llvm::StringRef arch);

#endif // QOPT_TOOLS_QOPT_TRANSLATE_PTX_H
