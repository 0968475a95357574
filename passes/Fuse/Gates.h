// What a linear's launch can apply to its result or compute ahead of it:
// FuseLinear takes it into a region, FuseNormQuantize leaves it there and
// FuseNormSum takes what is left.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
#ifndef QOPT_PASSES_FUSE_GATES_H
#define QOPT_PASSES_FUSE_GATES_H

#include "dialects/QOpt/QOptOps.h"
#include "mlir/Dialect/Arith/IR/Arith.h"
#include "mlir/Dialect/Tensor/IR/Tensor.h"

namespace qopt::passes {

/// Whether only `reader` reads the linear's result, sizes aside.
inline bool isReadByAlone(ir::LinearOp linear, mlir::Operation *reader) {
  return reader->getBlock() == linear->getBlock() &&
         llvm::all_of(linear->getUsers(), [&](mlir::Operation *user) {
           return user == reader || mlir::isa<mlir::tensor::DimOp>(user);
         });
}

/// The linear, without bias and residual, both of whose halves only `gated`
/// reads; null where there is none. The halves are rows that lie in pairs,
/// which have one format.
inline ir::LinearOp linearOfGate(ir::GatedActivationOp gated) {
  auto linear = gated.getGate().getDefiningOp<ir::LinearOp>();
  bool fits = linear && !gated.getUp() && !linear.getBias() &&
              !linear.getResidual() &&
              linear.getWeight().getType().hasOneFormat() &&
              isReadByAlone(linear, gated);
  return fits ? linear : ir::LinearOp();
}

/// Whether scale and bias of a norm, which kernels read as one type, are such.
inline bool hasVectorsOfOneType(mlir::Operation *norm) {
  return llvm::all_equal(
      llvm::drop_begin(mlir::TypeRange(norm->getOperandTypes())));
}

/// The norm that computes `value` for `sum` alone; null where there is none.
inline mlir::Operation *normOf(mlir::Value value, mlir::arith::AddFOp sum) {
  mlir::Operation *norm = value.getDefiningOp();
  bool fits = mlir::isa_and_nonnull<ir::RmsNormOp, ir::LayerNormOp>(norm) &&
              value.hasOneUse() && norm->getBlock() == sum->getBlock() &&
              hasVectorsOfOneType(norm);
  return fits ? norm : nullptr;
}

/// A sum of a norm that nothing else reads, where no region has it yet.
inline std::optional<ir::NormSumBody> normSumOf(mlir::arith::AddFOp sum) {
  if (sum->getParentOfType<ir::FusedOp>())
    return std::nullopt;
  if (mlir::Operation *norm = normOf(sum.getLhs(), sum))
    return ir::NormSumBody{norm, sum, sum.getRhs()};
  if (mlir::Operation *norm = normOf(sum.getRhs(), sum))
    return ir::NormSumBody{norm, sum, sum.getLhs()};
  return std::nullopt;
}

/// The linear that only `activation` reads; null where there is none.
inline ir::LinearOp linearOfActivation(ir::ActivationOp activation) {
  auto linear = activation.getX().getDefiningOp<ir::LinearOp>();
  return linear && isReadByAlone(linear, activation) ? linear : ir::LinearOp();
}

} // namespace qopt::passes

#endif // QOPT_PASSES_FUSE_GATES_H
