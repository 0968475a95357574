// Which layers of the artifact lose most: the compiler makes its model again by
// the plan that the artifact has, and restores one layer after the other.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
#ifndef QOPT_TOOLS_QOPTEVAL_BLAME_H
#define QOPT_TOOLS_QOPTEVAL_BLAME_H

#include "tools/qopt-eval/EvalRun.h"
#include "tools/qopt-eval/GraphRun.h"

#include <nlohmann/json.hpp>

namespace qopt::eval {

/// On the windows of `run`, which has an evaluation; as cli::describeBlame has
/// it. InvalidArgument where `options.blame` is another model than the
/// artifact's or the text of calibration is missing or another; else fails as
/// qopt-compile does.
StatusOr<nlohmann::ordered_json> blame(const Run &run);
StatusOr<nlohmann::ordered_json> blame(const GraphRun &run);

} // namespace qopt::eval

#endif // QOPT_TOOLS_QOPTEVAL_BLAME_H
