// Text from a decoder artifact.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
#ifndef QOPT_TOOLS_QOPTRUN_GENERATETEXT_H
#define QOPT_TOOLS_QOPTRUN_GENERATETEXT_H

#include "qopt/Artifact.h"
#include "tools/qopt-run/RunOptions.h"

#include <memory>

namespace qopt::run {

/// Prints prompt and continuation as the tokens come, or JSON at the end. With
/// `compare`, prints instead how far the logits of the prompt are from the
/// other artifact's or from those in a .npz file.
Status generateText(std::shared_ptr<const Artifact> artifact,
                    const RunOptions &options);

} // namespace qopt::run

#endif // QOPT_TOOLS_QOPTRUN_GENERATETEXT_H
