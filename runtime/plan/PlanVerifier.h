// The rules of a plan that FlatBuffers cannot state: ids in range, expressions
// and aliases without cycles, nothing read before it is written, constants
// inside their segments and as large as their shapes. After it a reader may
// index without looking. Sizes that depend on the inputs are checked when a
// function is bound to them.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
#ifndef QOPT_RUNTIME_PLAN_PLANVERIFIER_H
#define QOPT_RUNTIME_PLAN_PLANVERIFIER_H

#include "qopt/Status.h"
#include "runtime/plan/Plan_generated.h"

namespace qopt::runtime {

/// `plan` has passed the FlatBuffers verifier. Errors are BadArtifact and name
/// the function, step or value.
Status verifyPlan(const plan::Plan &plan);

} // namespace qopt::runtime

#endif // QOPT_RUNTIME_PLAN_PLANVERIFIER_H
