// Which values a step reads and writes, for everything that looks at plans
// without executing them: the verifier, the arena planner's lifetimes,
// qopt-inspect.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
#ifndef QOPT_RUNTIME_PLAN_STEPOPERANDS_H
#define QOPT_RUNTIME_PLAN_STEPOPERANDS_H

#include "runtime/plan/Plan_generated.h"

#include <cstdint>
#include <string>
#include <vector>

namespace qopt::runtime {

enum class Access : uint8_t { Read, Write };

struct StepOperand {
  uint32_t value;
  Access access;
};

/// The operands that are present, in the order of the table's fields. Ids are
/// not checked.
std::vector<StepOperand> operandsOf(const plan::Step &step);

/// The kernel of a step as users see it, spelt as families of kernels and
/// operations of the IR are: "rms_norm".
std::string kernelName(plan::Operation operation);

/// "linear of 'model.layers.0.q_proj'", for messages.
std::string describe(const plan::Step &step);

} // namespace qopt::runtime

#endif // QOPT_RUNTIME_PLAN_STEPOPERANDS_H
