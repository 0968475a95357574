// From the texts or token files that the command line names to windows.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
#ifndef QOPT_TOOLS_QOPTEVAL_READWINDOWS_H
#define QOPT_TOOLS_QOPTEVAL_READWINDOWS_H

#include "lib/Tokens/TokenWindows.h"
#include "qopt/Artifact.h"
#include "qopt/Tokenizer.h"
#include "tools/qopt-eval/EvalOptions.h"

namespace qopt::eval {

/// The tokenizer asked for, or the artifact's; `instead` names the way without
/// one, for the error.
StatusOr<Tokenizer> needTokenizer(const Artifact &artifact,
                                  const EvalOptions &options,
                                  const std::string &instead);

/// Windows of every text, a domain each. Infeasible where they are longer than
/// the model's context.
StatusOr<TokenWindows> readWindows(const Artifact &artifact,
                                   const EvalOptions &options);

} // namespace qopt::eval

#endif // QOPT_TOOLS_QOPTEVAL_READWINDOWS_H
