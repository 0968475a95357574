// The gate that a linear's launch can apply: what FuseLinear takes into a
// region, and FuseNormQuantize leaves to it.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
#ifndef QOPT_PASSES_FUSE_GATES_H
#define QOPT_PASSES_FUSE_GATES_H

#include "dialects/QOpt/QOptOps.h"
#include "mlir/Dialect/Tensor/IR/Tensor.h"

namespace qopt::passes {

/// The linear, without bias and residual, both of whose halves only `gated`
/// reads; null where there is none. The halves are rows that lie in pairs,
/// which have one format.
inline ir::LinearOp linearOfGate(ir::GatedActivationOp gated) {
  auto linear = gated.getGate().getDefiningOp<ir::LinearOp>();
  bool fits = linear && !gated.getUp() && !linear.getBias() &&
              !linear.getResidual() &&
              linear.getWeight().getType().hasOneFormat() &&
              gated->getBlock() == linear->getBlock() &&
              llvm::all_of(linear->getUsers(), [&](mlir::Operation *user) {
                return user == gated || mlir::isa<mlir::tensor::DimOp>(user);
              });
  return fits ? linear : ir::LinearOp();
}

} // namespace qopt::passes

#endif // QOPT_PASSES_FUSE_GATES_H
