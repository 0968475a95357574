// Results that a pass adds to a function, behind its own, for statistics.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
#ifndef QOPT_PASSES_CALIBRATE_OBSERVEDRESULTS_H
#define QOPT_PASSES_CALIBRATE_OBSERVEDRESULTS_H

#include "dialects/QOpt/QOptOps.h"
#include "mlir/Dialect/Func/IR/FuncOps.h"

namespace qopt::passes {

/// A value that is to be seen: `qopt.observation` and `qopt.name` of a result.
struct ObservedResult {
  mlir::Value value;
  ir::Observed what;
  llvm::SmallVector<mlir::Attribute> of;
  std::string name;
};

/// Returns them, in this order, behind what the function of one block returns.
void appendResults(mlir::func::FuncOp func,
                   llvm::ArrayRef<ObservedResult> observed);

} // namespace qopt::passes

#endif // QOPT_PASSES_CALIBRATE_OBSERVEDRESULTS_H
