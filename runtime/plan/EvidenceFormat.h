// What was measured of an artifact, between the plan and the structures that
// programs use.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
#ifndef QOPT_RUNTIME_PLAN_EVIDENCEFORMAT_H
#define QOPT_RUNTIME_PLAN_EVIDENCEFORMAT_H

#include "qopt/Status.h"
#include "qopt/ValidationSummary.h"
#include "runtime/plan/Plan_generated.h"

#include <memory>

namespace qopt::runtime {

std::unique_ptr<plan::ValidationT>
fromValidation(const ValidationSummary &from);
ValidationSummary toValidation(const plan::Validation &from);

/// BadArtifact for figures that are none, a digest of another length, and gates
/// of another slice, option or value than were measured.
Status verifyValidation(const plan::Validation &validation);

} // namespace qopt::runtime

#endif // QOPT_RUNTIME_PLAN_EVIDENCEFORMAT_H
