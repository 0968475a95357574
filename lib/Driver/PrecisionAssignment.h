// Which format each weight gets under a budget. Every candidate of every weight
// is made and scored by the curvature, ½ tr(H_O Δ H_I Δᵀ) on held-out text; the
// sum over weights is the objective, its least value within the budget exact
// (lib/Quant/assignment).
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
#ifndef QOPT_LIB_DRIVER_PRECISIONASSIGNMENT_H
#define QOPT_LIB_DRIVER_PRECISIONASSIGNMENT_H

#include "lib/Driver/CalibrationModel.h"
#include "lib/Driver/Curvature.h"
#include "lib/Driver/PrecisionPlan.h"
#include "lib/Quant/Format.h"
#include "mlir/IR/BuiltinOps.h"
#include "qopt/Compiler.h"
#include <string>
#include <vector>

namespace qopt::driver {

/// The formats that a target has fast kernels for, from small to large.
std::vector<quant::Format> usualCandidates(TargetDevice target);

/// Every weight of linears and embeddings of a module, in the order of their
/// use, in the format that it has there.
std::vector<PlannedWeight> listWeights(mlir::ModuleOp module);

/// Fills the alternatives of each weight without a format: the candidates whose
/// groups divide its columns. A weight that nobody observed stays as the file
/// has it. Infeasible where no candidate fits a weight.
Status scoreWeights(CalibrationModel &model, const Curvature &curvature,
                    const std::vector<quant::Format> &candidates,
                    const std::string &algorithm, const Progress &progress,
                    std::vector<PlannedWeight> &weights);

/// Bytes of the smallest plan.
int64_t leastBytes(const std::vector<PlannedWeight> &weights);

/// Chooses an alternative of each weight that has some, all weights together
/// within `budget` bytes, at least the smallest plan's, and says why.
void chooseFormats(std::vector<PlannedWeight> &weights, int64_t budget);

} // namespace qopt::driver

#endif // QOPT_LIB_DRIVER_PRECISIONASSIGNMENT_H
