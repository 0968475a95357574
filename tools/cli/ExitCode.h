// The exit codes of the tools: what a script can branch on. Every tool ends
// with one of these, whatever happens.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
#ifndef QOPT_TOOLS_CLI_EXITCODE_H
#define QOPT_TOOLS_CLI_EXITCODE_H

#include "qopt/Status.h"

namespace qopt::cli {

enum class ExitCode : int {
  Ok = 0,
  Usage = 2,    ///< an option, name or value on the command line
  BadInput = 3, ///< a model, artifact or data file that is missing or damaged
  Unsupported = 4, ///< valid, but this build cannot do it
  Infeasible = 5,  ///< a budget, format or context that cannot be met
  GateFailed = 6,  ///< a quality limit that was asked for is not met
  Resources = 7,   ///< memory or disk space
  Internal = 70,   ///< a defect of qopt
  Cancelled = 130, ///< stopped by the user
};

inline ExitCode exitCodeOf(StatusCode code) {
  switch (code) {
  case StatusCode::Ok:
    return ExitCode::Ok;
  case StatusCode::InvalidArgument:
    return ExitCode::Usage;
  case StatusCode::NotFound:
  case StatusCode::BadModel:
  case StatusCode::BadArtifact:
    return ExitCode::BadInput;
  case StatusCode::Unsupported:
    return ExitCode::Unsupported;
  case StatusCode::Infeasible:
    return ExitCode::Infeasible;
  case StatusCode::OutOfResources:
    return ExitCode::Resources;
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
