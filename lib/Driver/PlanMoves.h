// Exchanges of formats behind the exact choice: predictions add up over
// weights, and what models do does not quite. Two weights or caches change
// places on their curves of size and error, one smaller, one larger, within the
// very bounds of the choice; the model that comes of it is run on text that no
// algorithm saw, and what lowers the KL to the unquantized model is kept.
// Local search from the solution of the additive problem, as EvoPress
// (Sieberling et al. 2024) shows that it is worth it.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
#ifndef QOPT_LIB_DRIVER_PLANMOVES_H
#define QOPT_LIB_DRIVER_PLANMOVES_H

#include "lib/Driver/CalibrationStore.h"
#include "lib/Driver/Companions.h"
#include "lib/Driver/PlanBudget.h"
#include "lib/Tokens/TokenWindows.h"
#include "mlir/IR/BuiltinOps.h"

namespace qopt::driver {

/// The entry of a store with a weight's codes in a format, as they were scored.
std::string codesEntry(const std::string &weight, const std::string &format);

struct MoveInputs {
  mlir::ModuleOp raised; ///< as the stage raise leaves it
  const CompileOptions &options;
  const Companions &companions;
  const CalibrationStore &codes; ///< of weights in their alternatives
  const TokenWindows &windows;   ///< that no algorithm saw
};

/// Tries `options.moves` exchanges, those first that are predicted to cost
/// least, and writes of each into `plan` what was measured. Errors of passes
/// are the context's diagnostics.
Status improveByMoves(const MoveInputs &inputs, const PlanBudget &budget,
                      const Progress &progress, PrecisionPlan &plan);

} // namespace qopt::driver

#endif // QOPT_LIB_DRIVER_PLANMOVES_H
