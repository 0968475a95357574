// Arrays through a graph artifact.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
#ifndef QOPT_TOOLS_QOPTRUN_RUNGRAPH_H
#define QOPT_TOOLS_QOPTRUN_RUNGRAPH_H

#include "qopt/Artifact.h"
#include "tools/qopt-run/RunOptions.h"

#include <memory>

namespace qopt::run {

/// The inputs of the artifact, or of a decoder's encoder, by name from the
/// arrays of the file `path`.
StatusOr<std::vector<TensorView>>
chooseInputs(const Artifact &artifact, const std::vector<Tensor> &arrays,
             const std::string &path);

/// Reads the inputs, runs, writes the outputs; prints their shapes and ranges,
/// or with `compare` their distance from expected arrays or another artifact's.
Status runGraph(const std::shared_ptr<const Artifact> &whole,
                const RunOptions &options);

} // namespace qopt::run

#endif // QOPT_TOOLS_QOPTRUN_RUNGRAPH_H
