// What an artifact says of its quality: what was measured when it was compiled,
// what it was calibrated on, and the plan of its formats.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
#ifndef QOPT_TOOLS_QOPTINSPECT_EVIDENCE_H
#define QOPT_TOOLS_QOPTINSPECT_EVIDENCE_H

#include "tools/qopt-inspect/DescribeArtifact.h"

namespace qopt::inspect {

/// "precision_plan" and "validation"; null where the artifact has none.
void describeEvidence(const plan::Plan &plan, Json &json);

/// The text of calibration, and the table of what was measured.
void printEvidence(const plan::Plan &plan);

} // namespace qopt::inspect

#endif // QOPT_TOOLS_QOPTINSPECT_EVIDENCE_H
