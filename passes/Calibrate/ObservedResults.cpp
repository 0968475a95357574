// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
#include "passes/Calibrate/ObservedResults.h"

using namespace mlir;

namespace qopt::passes {

void appendResults(func::FuncOp func, ArrayRef<ObservedResult> observed) {
  Builder builder(func.getContext());
  Operation *end = func.getBody().front().getTerminator();
  SmallVector<Value> results = llvm::to_vector(end->getOperands());
  unsigned first = unsigned(results.size());
  for (const ObservedResult &result : observed)
    results.push_back(result.value);
  end->setOperands(results);
  func.setType(builder.getFunctionType(func.getArgumentTypes(),
                                       ValueRange(results).getTypes()));
  for (auto [index, result] : llvm::enumerate(observed)) {
    unsigned number = first + unsigned(index);
    func.setResultAttr(
        number, "qopt.observation",
        ir::ObservationAttr::get(func.getContext(), result.what,
                                 builder.getArrayAttr(result.of)));
    func.setResultAttr(number, "qopt.name", builder.getStringAttr(result.name));
  }
}

} // namespace qopt::passes
