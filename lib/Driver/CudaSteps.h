// From an op to the launch of a GPU kernel: the kernels that were selected for
// it (`qopt.kernels`), generated for every architecture, and the arguments.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
#ifndef QOPT_LIB_DRIVER_CUDASTEPS_H
#define QOPT_LIB_DRIVER_CUDASTEPS_H

#include "lib/Driver/KernelSummaries.h"
#include "lib/Driver/LaunchSteps.h"
#include "lib/Kernels/CheckIndices/CheckIndices.h"
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

  /// Rows of so many elements each, `stride` elements apart from `offset` on.
  struct Rows {
    uint32_t count, elements, stride, offset; ///< symbols
  };
  /// Copies `rows` of value `from` to value `to`, where they lie without gaps.
  mlir::LogicalResult copyRows(mlir::Operation *op, uint32_t from, uint32_t to,
                               const Rows &rows);
  /// Copies value `from` to value `to`, which has as many elements.
  mlir::LogicalResult copy(mlir::Operation *op, uint32_t from, uint32_t to);

private:
  // CudaSteps.cpp
  mlir::LogicalResult add(ir::EmbeddingOp op);
  kernels::norm::Problem withRowsOf(mlir::Value x,
                                    kernels::norm::Problem problem);
  mlir::LogicalResult add(ir::RmsNormOp op);
  mlir::LogicalResult add(ir::LayerNormOp op);
  mlir::LogicalResult add(ir::QuantizeOp op);
  mlir::LogicalResult add(ir::FromCodesOp op);
  mlir::LogicalResult add(ir::SelectRowsOp op);
  mlir::LogicalResult add(ir::ActivationOp op);
  mlir::LogicalResult add(ir::GatedActivationOp op);
  // CudaLinearSteps.cpp
  mlir::LogicalResult add(ir::LinearOp op);
  /// A linear and what is ahead of it and behind it.
  mlir::LogicalResult addLinearRegion(ir::FusedOp op);
  // CudaAttentionSteps.cpp
  mlir::LogicalResult add(ir::RotaryTableOp op);
  mlir::LogicalResult add(ir::KVAppendOp op);
  mlir::LogicalResult add(ir::FusedOp op);
  mlir::LogicalResult add(ir::CachedAttentionOp op);
  // CudaGenericSteps.cpp
  mlir::LogicalResult add(ir::GeneratedOp op);
  mlir::LogicalResult add(ir::CheckIndicesOp op);
  mlir::LogicalResult add(ir::PositionsOp op);

  /// Ends the step with a kernel of linalg, whose size arguments are `sizes`.
  mlir::LogicalResult finishGeneric(mlir::Operation *op, LaunchStep step,
                                    mlir::func::FuncOp kernel,
                                    llvm::ArrayRef<uint32_t> sizes);
  /// Ends the step with a check, which lowering makes behind the selection of
  /// kernels: there is but one for each architecture.
  mlir::LogicalResult
  finishCheck(ir::CheckIndicesOp op, LaunchStep step,
              const kernels::check_indices::Problem &problem);
  mlir::LogicalResult finishCopy(mlir::Operation *op, LaunchStep step,
                                 unsigned elementBytes, const Rows &rows);
  /// The product of a value's sizes.
  uint32_t elementsOf(uint32_t value);

  /// Rows of a tensor: the product of all its dimensions but the last `inner`.
  uint32_t rowsOf(mlir::Value tensor, int64_t inner = 1);
  /// Most new tokens of a sequence: tokens − sequences + 1.
  uint32_t newTokens();
  /// Reads an operand, which may be the batch's positions.
  void read(LaunchStep &step, mlir::Value value);
  /// Writes a result, codes and then their scales where it is quantized.
  void write(LaunchStep &step, mlir::Value result);
  /// Reads heads [T, heads, size], whose rows must lie as far apart as their
  /// kernel was selected for.
  mlir::LogicalResult readHeads(LaunchStep &step, mlir::Operation *op,
                                mlir::Value heads);
  /// Part of a constant: `bytes` from `offset` on.
  uint32_t partOf(uint32_t constant, int64_t offset, int64_t bytes);
  /// A value of so many bytes that only this step uses.
  uint32_t workspaceOf(uint32_t bytes);
  /// Rows of a step with latest positions: what a layer's append leaves for its
  /// attention.
  uint32_t stepRowsOf(int64_t layer, const cuda::KvPageLayout &cache);

  /// Ends the step.
  mlir::LogicalResult finish(mlir::Operation *op, LaunchStep step);
  /// Ends the step with the kernel of a family whose launches count rows.
  template <typename Problem>
  mlir::LogicalResult finish(mlir::Operation *op, LaunchStep step,
                             const Problem &problem, uint32_t rows);
  /// Generates the kernel of one architecture and adds it to the step.
  template <typename Problem, typename Schedule>
  Status addVariant(LaunchStep &step, size_t architecture,
                    const Problem &problem, const Schedule &schedule,
                    uint32_t rows, const CudaKernels::Selected &selected);
  uint32_t gridOf(const kernels::LaunchShape &shape, uint32_t rows);

  /// The launches for the range of sizes at hand.
  mlir::LogicalResult addLinearRange(const ir::LinearBody &body,
                                     passes::LinearParts parts);
  /// The launch of the linear with these parts.
  mlir::LogicalResult addLinear(const ir::LinearBody &body,
                                passes::LinearParts parts);
  mlir::LogicalResult readScales(LaunchStep &step, ir::LinearOp op,
                                 mlir::Value codes);
  bool isInRange(ir::KernelAttr kernel) const;
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
  mlir::LogicalResult addBody(ir::FusedOp op);
  mlir::LogicalResult resolveSizes(const ir::NormSumBody &body);
  /// `op` has the kernels.
  mlir::LogicalResult addNormSum(mlir::Operation *op,
                                 const ir::NormSumBody &body);
  void readAppend(LaunchStep &step, const ir::RotaryAppendBody &body,
                  const cuda::KvPageLayout &cache);
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
  /// Sizes for which the steps that are added are launches: above `after`, at
  /// most `until`; 0: any.
  struct {
    int64_t after = 0, until = 0;
  } range;
};

template <typename Problem, typename Schedule>
Status CudaSteps::addVariant(LaunchStep &step, size_t architecture,
                             const Problem &problem, const Schedule &schedule,
                             uint32_t rows,
                             const CudaKernels::Selected &selected) {
  // The family's functions are found through the problem's namespace.
  const target::Target &target = kernels.target(architecture);
  std::string symbol = symbolOf(problem, target);
  kernels::LaunchShape shape = launchOf(problem, schedule);
  auto describe = [&] {
    KernelSummary summary;
    summary.why = reasonOf(chooseSchedule(problem, target), selected.schedule);
    summary.threads = shape.threads;
    summary.sharedBytes = shape.sharedBytes;
    summary.predicted = predictionOf(costOf(problem, schedule, 1, target));
    return summary;
  };
  QOPT_RETURN_IF_ERROR(kernels.add(architecture, selected, symbol, describe,
                                   [&](mlir::gpu::GPUModuleOp module) {
                                     return buildKernel(module, problem,
                                                        schedule, target);
                                   }));
  step.variant(target, architecture, 0, symbol, {gridOf(shape, rows)},
               shape.threads, shape.sharedBytes);
  return {};
}

template <typename Problem>
mlir::LogicalResult CudaSteps::finish(mlir::Operation *op, LaunchStep step,
                                      const Problem &problem, uint32_t rows) {
  using Schedule = std::remove_cvref_t<decltype(*chooseSchedule(
      problem, std::declval<const target::Target &>()))>;
  for (size_t i = 0; i < kernels.targets(); ++i) {
    auto selected = passes::selectedKernels(op, kernels.target(i));
    if (failed(selected))
      return mlir::failure();
    ir::KernelAttr kernel = selected->front();
    auto schedule = passes::scheduleOf<Schedule>(op, kernel);
    if (failed(schedule))
      return mlir::failure();
    Status added = addVariant(step, i, problem, *schedule, rows,
                              CudaKernels::selectedBy(kernel));
    if (!added.ok())
      return op->emitError() << added.message();
  }
  return finish(op, std::move(step));
}

} // namespace qopt::driver

#endif // QOPT_LIB_DRIVER_CUDASTEPS_H
