// One lock for all of the process's options.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
#include "lib/Codegen/LlvmOptions.h"

#include "llvm/Support/CommandLine.h"

using namespace qopt;
using namespace qopt::codegen;

static std::mutex options;

LlvmOptions::LlvmOptions() : lock(options) {}

Status LlvmOptions::set(llvm::StringRef name, llvm::StringRef value) {
  llvm::cl::Option *option = llvm::cl::getRegisteredOptions().lookup(name);
  if (!option)
    return Status(StatusCode::Internal,
                  "LLVM has no option \"" + name.str() + "\"");
  option->reset(); // else it would occur twice, which LLVM refuses
  if (option->addOccurrence(0, option->ArgStr, value))
    return Status(StatusCode::Internal, "LLVM's option \"" + name.str() +
                                            "\" does not take \"" +
                                            value.str() + "\"");
  return {};
}
