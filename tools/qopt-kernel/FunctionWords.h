// The names of activation functions as words.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
#ifndef QOPT_TOOLS_QOPTKERNEL_FUNCTIONWORDS_H
#define QOPT_TOOLS_QOPTKERNEL_FUNCTIONWORDS_H

#include "lib/Kernels/Function.h"
#include "llvm/ADT/SmallVector.h"
#include "llvm/ADT/StringRef.h"

namespace qopt::kernel_tool {

/// In the order of the enumerators.
inline llvm::SmallVector<llvm::StringRef> functionNames() {
  using kernels::Function;
  llvm::SmallVector<llvm::StringRef> names;
  for (auto i = int(Function::Silu); i <= int(Function::Sigmoid); ++i)
    names.push_back(kernels::nameOf(Function(i)));
  return names;
}

} // namespace qopt::kernel_tool

#endif // QOPT_TOOLS_QOPTKERNEL_FUNCTIONWORDS_H
