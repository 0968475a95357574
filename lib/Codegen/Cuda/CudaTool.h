// Programs of the CUDA toolkit (ptxas, nvdisasm): where they are, and how they
// are run. None is needed to build qopt or to make PTX.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
#ifndef QOPT_LIB_CODEGEN_CUDA_CUDATOOL_H
#define QOPT_LIB_CODEGEN_CUDA_CUDATOOL_H

#include "qopt/Status.h"
#include "llvm/ADT/ArrayRef.h"
#include "llvm/ADT/StringRef.h"

#include <string>

namespace qopt::codegen {

/// The path of the program `name`: what the environment variable `variable`
/// says (an error when that cannot be run), else the first on PATH, in
/// /usr/local/cuda/bin, and in the Python package beside this program. NotFound
/// with the places that were searched when there is none.
StatusOr<std::string> findCudaTool(llvm::StringRef name,
                                   llvm::StringRef variable);

/// What a program wrote to stdout and stderr together, and its exit status.
struct ToolOutput {
  int status;
  std::string text;
};

/// Runs `program` with `arguments` (the program's own name left out).
StatusOr<ToolOutput> runCudaTool(llvm::StringRef program,
                                 llvm::ArrayRef<llvm::StringRef> arguments);

} // namespace qopt::codegen

#endif // QOPT_LIB_CODEGEN_CUDA_CUDATOOL_H
