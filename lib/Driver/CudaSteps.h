// From an op to the launch of a GPU kernel: the kernels that were selected for
// it (`qopt.kernels`), generated for every architecture, and the arguments.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
#ifndef QOPT_LIB_DRIVER_CUDASTEPS_H
#define QOPT_LIB_DRIVER_CUDASTEPS_H

#include "lib/Driver/LaunchSteps.h"
#include "lib/Kernels/LaunchShape.h"
#include "passes/Schedule/KernelProblems.h"
#include "passes/Schedule/SelectedKernels.h"

namespace qopt::driver {

class CudaSteps {
public:
  CudaSteps(PlanBuilder &plan, CudaKernels &kernels)
      : b(plan), kernels(kernels) {}

  /// An error at the op where no family runs it.
  mlir::LogicalResult add(mlir::Operation *op);

private:
  // CudaSteps.cpp
  mlir::LogicalResult add(ir::EmbeddingOp op);
  mlir::LogicalResult add(ir::RmsNormOp op);
  mlir::LogicalResult add(ir::LayerNormOp op);
  mlir::LogicalResult add(ir::SelectRowsOp op);
  mlir::LogicalResult add(ir::ActivationOp op);
  mlir::LogicalResult add(ir::GatedActivationOp op);
  /// The positions are part of the batch that every step brings.
  mlir::LogicalResult add(ir::PositionsOp) { return mlir::success(); }
  // CudaLinearSteps.cpp
  mlir::LogicalResult add(ir::LinearOp op);
  // CudaAttentionSteps.cpp
  mlir::LogicalResult add(ir::RotaryTableOp op);
  mlir::LogicalResult add(ir::KVAppendOp op);
  mlir::LogicalResult add(ir::FusedOp op);
  mlir::LogicalResult add(ir::CachedAttentionOp op);

  /// Rows of a tensor: the product of all its dimensions but the last `inner`.
  uint32_t rowsOf(mlir::Value tensor, int64_t inner = 1);
  /// Most new tokens of a sequence: tokens − sequences + 1.
  uint32_t newTokens();
  /// Reads an operand, which may be the batch's positions.
  void read(LaunchStep &step, mlir::Value value);
  /// Part of a constant: `bytes` from `offset` on.
  uint32_t partOf(uint32_t constant, int64_t offset, int64_t bytes);
  /// A value of so many bytes that only this step uses.
  uint32_t workspaceOf(uint32_t bytes);

  /// Ends the step with the kernel of a family whose launches count rows.
  template <typename Problem>
  mlir::LogicalResult finish(mlir::Operation *op, LaunchStep step,
                             const Problem &problem, uint32_t rows);
  uint32_t gridOf(const kernels::LaunchShape &shape, uint32_t rows);

  /// `architecture`: index of the target that `kernel` is for.
  mlir::LogicalResult addLinearVariant(ir::LinearOp op, LaunchStep &step,
                                       size_t architecture,
                                       ir::KernelAttr kernel,
                                       mlir::Block *epilogue,
                                       uint32_t &workspaceBytes);
  mlir::LogicalResult addGemmVariant(ir::LinearOp op, LaunchStep &step,
                                     size_t architecture, ir::KernelAttr kernel,
                                     mlir::Block *epilogue,
                                     uint32_t &workspaceBytes);
  /// Without `keys` they are appended as they are, `queries` may be null.
  mlir::LogicalResult addAppend(mlir::Operation *op,
                                const kernels::rotary_append::Problem &problem,
                                const ir::RotaryAppendBody &body);
  /// Symbols of a grid and of the bytes that its splits need.
  struct AttentionGrid {
    uint32_t x, y, z, workspace;
  };
  AttentionGrid gridOf(const kernels::attention_decode::Problem &problem,
                       const kernels::attention_decode::Schedule &schedule,
                       const target::Target &target);
  mlir::LogicalResult addAttentionVariant(ir::CachedAttentionOp op,
                                          LaunchStep &step, size_t architecture,
                                          ir::KernelAttr kernel,
                                          uint32_t &workspace);

  PlanBuilder &b;
  CudaKernels &kernels;
};

template <typename Problem>
mlir::LogicalResult CudaSteps::finish(mlir::Operation *op, LaunchStep step,
                                      const Problem &problem, uint32_t rows) {
  // The family's functions are found through the problem's namespace.
  using Schedule = std::remove_cvref_t<decltype(*chooseSchedule(
      problem, std::declval<const target::Target &>()))>;
  for (size_t i = 0; i < kernels.targets(); ++i) {
    const target::Target &target = kernels.target(i);
    auto selected = passes::selectedKernels(op, target);
    if (failed(selected))
      return mlir::failure();
    auto schedule = passes::scheduleOf<Schedule>(op, selected->front());
    if (failed(schedule))
      return mlir::failure();
    std::string symbol = symbolOf(problem, target);
    Status added = kernels.add(i, symbol, [&](mlir::gpu::GPUModuleOp module) {
      return buildKernel(module, problem, *schedule, target);
    });
    if (!added.ok())
      return op->emitError() << added.message();
    kernels::LaunchShape shape = launchOf(problem, *schedule);
    step.variant(target, i, 0, symbol, {gridOf(shape, rows)}, shape.threads,
                 shape.sharedBytes);
  }
  b.addStep<plan::LaunchT>(op) = step.take();
  return mlir::success();
}

} // namespace qopt::driver

#endif // QOPT_LIB_DRIVER_CUDASTEPS_H
