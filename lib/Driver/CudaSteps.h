// From an op to the launch of a GPU kernel: the problem that the family is
// asked, its kernel for every architecture, and the arguments.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
#ifndef QOPT_LIB_DRIVER_CUDASTEPS_H
#define QOPT_LIB_DRIVER_CUDASTEPS_H

#include "lib/Driver/LaunchSteps.h"

namespace qopt::driver {

/// Most tokens that the linear kernels of a GPU take in one step.
constexpr int64_t cudaStepTokens = 64;

class CudaSteps {
public:
  CudaSteps(PlanBuilder &plan, CudaKernels &kernels)
      : b(plan), kernels(kernels) {}

  /// An error at the op where no family runs it.
  mlir::LogicalResult add(mlir::Operation *op);

private:
  mlir::LogicalResult add(ir::EmbeddingOp op);
  mlir::LogicalResult add(ir::RmsNormOp op);
  mlir::LogicalResult add(ir::LayerNormOp op);
  mlir::LogicalResult add(ir::LinearOp op);
  mlir::LogicalResult add(ir::SelectRowsOp op);
  mlir::LogicalResult add(ir::ActivationOp op);
  mlir::LogicalResult add(ir::GatedActivationOp op);
  /// The positions are part of the batch that every step brings.
  mlir::LogicalResult add(ir::PositionsOp) { return mlir::success(); }

  /// Rows of a tensor: the product of all its dimensions but the last `inner`.
  uint32_t rowsOf(mlir::Value tensor, int64_t inner = 1);
  /// Reads an operand, which may be the batch's positions.
  void read(LaunchStep &step, mlir::Value value);
  /// Reads a vector of parameters.
  mlir::LogicalResult readVector(LaunchStep &step, mlir::Value value);
  /// Part of a constant: `bytes` from `offset` on.
  uint32_t partOf(uint32_t constant, int64_t offset, int64_t bytes);
  /// A value of so many bytes that only this step uses.
  uint32_t workspace(int64_t bytes);

  /// A kernel of a family whose launches count rows, for every architecture.
  template <typename Problem>
  mlir::LogicalResult addVariants(mlir::Operation *op, LaunchStep &step,
                                  const Problem &problem, uint32_t rows);
  mlir::LogicalResult addLinearVariants(ir::LinearOp op, LaunchStep &step,
                                        mlir::Block *epilogue,
                                        int64_t &workspaceBytes,
                                        int64_t &counterBytes);
  void finish(mlir::Operation *op, LaunchStep step);

  PlanBuilder &b;
  CudaKernels &kernels;
};

} // namespace qopt::driver

#endif // QOPT_LIB_DRIVER_CUDASTEPS_H
