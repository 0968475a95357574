// The exit codes of the tools: what a script can branch on. Every tool ends
// with one of these, whatever happens.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
#ifndef QOPT_TOOLS_CLI_EXITCODE_H
#define QOPT_TOOLS_CLI_EXITCODE_H

#include "qopt/Status.h"

namespace qopt::cli {

enum class ExitCode : int {
  Ok = 0,
  Usage = 2,       ///< an option, name or value on the command line
  BadModel = 3,    ///< a model, tokenizer or array file that is damaged
  Unsupported = 4, ///< valid, but this build cannot do it
  Infeasible = 5,  ///< a budget, format or context that cannot be met
  GateFailed = 6,  ///< a quality limit that was asked for is not met
  Resources = 7,   ///< memory or disk space
  BadArtifact = 8, ///< an artifact that is damaged or of another version
  NotFound = 9,    ///< a file or folder that does not exist or cannot be read
  Unwritable = 10, ///< an output that cannot be made where it was asked for
  Device = 11,     ///< a GPU that is busy or has failed
  Internal = 70,   ///< a defect of qopt, or a kernel that failed on a GPU
  Cancelled = 130, ///< stopped by the user
};

inline ExitCode exitCodeOf(StatusCode code) {
  switch (code) {
  case StatusCode::Ok:
    return ExitCode::Ok;
  case StatusCode::InvalidArgument:
    return ExitCode::Usage;
  case StatusCode::NotFound:
    return ExitCode::NotFound;
  case StatusCode::BadModel:
    return ExitCode::BadModel;
  case StatusCode::BadArtifact:
    return ExitCode::BadArtifact;
  case StatusCode::Unsupported:
    return ExitCode::Unsupported;
  case StatusCode::Infeasible:
    return ExitCode::Infeasible;
  case StatusCode::OutOfResources:
    return ExitCode::Resources;
  case StatusCode::Unwritable:
    return ExitCode::Unwritable;
  case StatusCode::DeviceFailed:
    return ExitCode::Device;
  case StatusCode::GateFailed:
    return ExitCode::GateFailed;
  case StatusCode::Cancelled:
    return ExitCode::Cancelled;
  case StatusCode::Internal:
    return ExitCode::Internal;
  }
  return ExitCode::Internal;
}

} // namespace qopt::cli

#endif // QOPT_TOOLS_CLI_EXITCODE_H
