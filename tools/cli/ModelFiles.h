// Finds and opens what a tool is given: an artifact, a model that is not
// compiled yet, or the folder that holds one, and the tokenizer that belongs to
// it.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
#ifndef QOPT_TOOLS_CLI_MODELFILES_H
#define QOPT_TOOLS_CLI_MODELFILES_H

#include "qopt/Artifact.h"
#include "qopt/Tokenizer.h"

#include <memory>
#include <optional>
#include <string>

namespace qopt::cli {

/// The artifact at `path`, or the only *.qopt in the folder `path`. A model
/// file, and a folder with a model but no artifact, is compiled for this run,
/// for the kind of `device` (EngineOptions::device).
StatusOr<std::shared_ptr<const Artifact>>
openArtifact(const std::string &path, const OpenOptions &options = {},
             const std::string &device = "");

/// The tokenizer of the file or folder `override`, else the artifact's, else
/// none. It fits the artifact's vocabulary.
StatusOr<std::optional<Tokenizer>> openTokenizer(const Artifact &artifact,
                                                 const std::string &override);

} // namespace qopt::cli

#endif // QOPT_TOOLS_CLI_MODELFILES_H
