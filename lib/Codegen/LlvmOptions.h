// LLVM's command-line options belong to the process, and lld gives all of them
// their default values at each link.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
#ifndef QOPT_LIB_CODEGEN_LLVMOPTIONS_H
#define QOPT_LIB_CODEGEN_LLVMOPTIONS_H

#include "qopt/Status.h"

#include "llvm/ADT/StringRef.h"

#include <mutex>

namespace qopt::codegen {

/// Held by who links, and by who sets an option until LLVM has read it.
class LlvmOptions {
public:
  LlvmOptions();

  /// Gives the option `name` the value `value`. Internal if LLVM has no such
  /// option or it takes no such value.
  Status set(llvm::StringRef name, llvm::StringRef value);

private:
  std::unique_lock<std::mutex> lock;
};

} // namespace qopt::codegen

#endif // QOPT_LIB_CODEGEN_LLVMOPTIONS_H
