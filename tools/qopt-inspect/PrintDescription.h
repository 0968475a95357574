// The description of an artifact as text for people.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
#ifndef QOPT_TOOLS_QOPTINSPECT_PRINTDESCRIPTION_H
#define QOPT_TOOLS_QOPTINSPECT_PRINTDESCRIPTION_H

#include "tools/qopt-inspect/DescribeArtifact.h"

namespace qopt::inspect {

enum class Detail : unsigned {
  Weights = 1,
  Plan = 2,
  Segments = 4,
  Kernels = 8
};

/// Prints to standard output: always the summary, and the lists that `details`
/// (bits of Detail) asks for.
void print(const Json &description, unsigned details);

} // namespace qopt::inspect

#endif // QOPT_TOOLS_QOPTINSPECT_PRINTDESCRIPTION_H
