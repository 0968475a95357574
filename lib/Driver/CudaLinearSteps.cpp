// Linear layers on a GPU: one kernel for each bucket of tokens, of
// skinny_linear for few and of gemm for many, with bias and residual as its
// epilogue.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
#include "lib/Driver/CudaSteps.h"

#include "lib/Kernels/Gemm/GemmGenerator.h"
#include "lib/Kernels/SkinnyLinear/SkinnyLinearGenerator.h"
#include "mlir/Dialect/Arith/IR/Arith.h"

using namespace mlir;
using namespace qopt::kernels;

namespace qopt::driver {

/// The sum of the product and its operands, as a block for the generator.
static void fillSum(Block &block, size_t operands, OpBuilder builder,
                    Location loc) {
  Type real = builder.getF32Type();
  block.addArgument(real, loc);
  for (size_t i = 0; i < operands; ++i)
    block.addArgument(real, loc);
  builder.setInsertionPointToStart(&block);
  Value sum = block.getArgument(0);
  for (size_t i = 0; i < operands; ++i)
    sum = arith::AddFOp::create(builder, loc, sum, block.getArgument(1 + i));
  ir::YieldOp::create(builder, loc, sum);
}

/// The name within the artifact: the family's, the shape, and what is added.
static std::string linearSymbol(const skinny_linear::Problem &problem,
                                std::string symbol) {
  symbol += "_" + std::to_string(problem.rows()) + "x" +
            std::to_string(problem.columns);
  for (const skinny_linear::Operand &operand : problem.operands)
    symbol += operand.shape == skinny_linear::OperandShape::Column
                  ? "_bias"
                  : "_residual";
  return symbol;
}

LogicalResult CudaSteps::addLinearVariant(ir::LinearOp op, LaunchStep &step,
                                          size_t architecture,
                                          ir::KernelAttr kernel,
                                          Block *epilogue,
                                          uint32_t &workspaceBytes) {
  if (kernel.getFamily() == ir::KernelFamily::Gemm)
    return addGemmVariant(op, step, architecture, kernel, epilogue,
                          workspaceBytes);
  const target::Target &target = kernels.target(architecture);
  skinny_linear::Problem problem = passes::problemOf(op, kernel.getMost());
  auto schedule = passes::scheduleOf<skinny_linear::Schedule>(op, kernel);
  if (failed(schedule))
    return failure();
  std::string symbol =
      linearSymbol(problem, skinny_linear::symbolOf(problem, target));
  Status added =
      kernels.add(architecture, symbol, [&](gpu::GPUModuleOp module) {
        return skinny_linear::buildKernel(module, problem, *schedule, target,
                                          epilogue);
      });
  if (!added.ok())
    return op.emitError() << added.message();
  skinny_linear::Plan plan = skinny_linear::planOf(problem, *schedule);
  workspaceBytes = b.symbols.binary(plan::SymbolKind::Max, workspaceBytes,
                                    b.symbols.constant(plan.workspaceBytes));
  step.atLeastCounters(plan.counters * 4);
  step.variant(target, architecture, uint64_t(kernel.getMost()), symbol,
               {b.symbols.constant(schedule->grid)}, schedule->threads(),
               plan.sharedBytes);
  return success();
}

LogicalResult CudaSteps::addGemmVariant(ir::LinearOp op, LaunchStep &step,
                                        size_t architecture,
                                        ir::KernelAttr kernel, Block *epilogue,
                                        uint32_t &workspaceBytes) {
  const target::Target &target = kernels.target(architecture);
  int64_t most = kernel.getMost() ? kernel.getMost() : passes::cudaStepTokens;
  gemm::Problem problem{passes::problemOf(op, most)};
  auto schedule = passes::scheduleOf<gemm::Schedule>(op, kernel);
  if (failed(schedule))
    return failure();
  std::string symbol =
      linearSymbol(problem, gemm::symbolOf(problem, *schedule, target));
  Status added =
      kernels.add(architecture, symbol, [&](gpu::GPUModuleOp module) {
        return gemm::buildKernel(module, problem, *schedule, target, epilogue);
      });
  if (!added.ok())
    return op.emitError() << added.message();
  // gemm::launchOf as expressions of the tokens; the workspace of a variant is
  // for as many as it serves.
  using plan::SymbolKind;
  auto number = [&](int64_t value) { return b.symbols.constant(value); };
  auto binary = [&](SymbolKind kind, uint32_t lhs, uint32_t rhs) {
    return b.symbols.binary(kind, lhs, rhs);
  };
  gemm::Launch tile = gemm::launchOf(problem, *schedule, 1);
  auto tiles = [&](uint32_t tokens) {
    return binary(SymbolKind::CeilDiv, tokens, number(schedule->blockTokens()));
  };
  uint32_t tokens = rowsOf(op.getX());
  if (tile.workspaceBytes)
    workspaceBytes =
        binary(SymbolKind::Max, workspaceBytes,
               binary(SymbolKind::Mul, number(tile.workspaceBytes),
                      tiles(binary(SymbolKind::Min, tokens, number(most)))));
  step.atLeastCounters(gemm::launchOf(problem, *schedule, most).counters * 4);
  step.variant(target, architecture, uint64_t(kernel.getMost()), symbol,
               {binary(SymbolKind::Mul, number(tile.grid), tiles(tokens))},
               schedule->threads(),
               gemm::planOf(problem, *schedule).sharedBytes);
  return success();
}

LogicalResult CudaSteps::add(ir::LinearOp op) {
  FailureOr<uint32_t> weight = b.weightOf(op.getWeight());
  if (failed(weight))
    return failure();
  Block block;
  size_t operands = bool(op.getBias()) + bool(op.getResidual());
  if (operands)
    fillSum(block, operands, OpBuilder(op.getContext()), op.getLoc());
  uint32_t tokens = rowsOf(op.getX());
  LaunchStep step(tokens);
  uint32_t workspaceBytes = b.symbols.constant(16);
  for (size_t i = 0; i < kernels.targets(); ++i) {
    auto selected = passes::selectedKernels(op, kernels.target(i));
    if (failed(selected))
      return failure();
    for (ir::KernelAttr kernel : *selected)
      if (failed(addLinearVariant(op, step, i, kernel,
                                  operands ? &block : nullptr, workspaceBytes)))
        return failure();
  }
  read(step, op.getX());
  step.read(*weight);
  step.write(b.valueOf(op.getResult()));
  step.write(workspaceOf(workspaceBytes));
  step.counters();
  if (op.getBias())
    read(step, op.getBias());
  if (op.getResidual())
    read(step, op.getResidual());
  step.symbol(tokens);
  b.addStep<plan::LaunchT>(op) = step.take();
  return success();
}

} // namespace qopt::driver
