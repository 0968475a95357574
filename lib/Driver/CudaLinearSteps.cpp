// Linear layers on a GPU: one kernel for each bucket of tokens, of
// skinny_linear for few and of gemm for many, with bias, residual and steps as
// its epilogue.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
#include "lib/Driver/CudaSteps.h"

#include "lib/Kernels/Builder/Region.h"
#include "lib/Kernels/Gemm/GemmGenerator.h"
#include "lib/Kernels/SkinnyLinear/SkinnyLinearGenerator.h"
#include "lib/Kernels/SymbolName.h"
#include "lib/Quant/Element.h"

using namespace mlir;
using namespace qopt::kernels;

namespace qopt::driver {

/// The name within the artifact: the family's, the shape with the rows of each
/// segment, and what is added.
static std::string linearSymbol(const skinny_linear::Problem &problem,
                                const target::Target &target,
                                std::string symbol) {
  for (const skinny_linear::Segment &segment : problem.segments)
    symbol += "_" + std::to_string(segment.rows);
  symbol += "x" + std::to_string(problem.columns);
  auto spell = [](const skinny_linear::Norm &norm) {
    return kernels::spellBits(norm.epsilon) + "_" +
           std::string(quant::elementOf(norm.scale).name) +
           (norm.bias ? "_shift" : "");
  };
  if (problem.sum)
    symbol += "_s" + spell(*problem.sum);
  for (const skinny_linear::Norm &norm : problem.norm)
    symbol += "_n" + spell(norm);
  for (const skinny_linear::Operand &operand : problem.operands)
    symbol += operand.shape == skinny_linear::OperandShape::Column
                  ? "_bias"
                  : "_residual";
  if (problem.append)
    symbol += "_" + rotary_append::symbolOf(*problem.append, target);
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
      linearSymbol(problem, target, skinny_linear::symbolOf(problem, target));
  auto describe = [&] {
    KernelSummary summary;
    summary.tokens = problem.tokens;
    summary.threads = schedule->threads();
    summary.sharedBytes = skinny_linear::planOf(problem, *schedule).sharedBytes;
    summary.why = reasonOf(skinny_linear::chooseSchedule(problem, target),
                           kernel.getSchedule());
    summary.predicted =
        predictionOf(skinny_linear::costOf(problem, *schedule, target));
    return summary;
  };
  Status added =
      kernels.add(architecture, CudaKernels::selectedBy(kernel), symbol,
                  describe, [&](gpu::GPUModuleOp module) {
                    return skinny_linear::buildKernel(
                        module, problem, *schedule, target, epilogue);
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
      linearSymbol(problem, target, gemm::symbolOf(problem, *schedule, target));
  auto describe = [&] {
    KernelSummary summary;
    summary.tokens = problem.tokens;
    summary.threads = schedule->threads();
    summary.sharedBytes = gemm::planOf(problem, *schedule).sharedBytes;
    summary.why =
        reasonOf(gemm::chooseSchedule(problem, target), kernel.getSchedule());
    summary.predicted = predictionOf(gemm::costOf(problem, *schedule, target));
    return summary;
  };
  Status added = kernels.add(
      architecture, CudaKernels::selectedBy(kernel), symbol, describe,
      [&](gpu::GPUModuleOp module) {
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
  ir::LinearBody alone;
  alone.linear = op;
  return addLinear(alone, {});
}

bool CudaSteps::isInRange(ir::KernelAttr kernel) const {
  int64_t most = kernel.getMost() ? kernel.getMost() : passes::cudaStepTokens;
  return most > range.after && (!range.until || most <= range.until);
}

/// Scales of codes; of a model's own their zero point and what it is
/// multiplied by, too.
LogicalResult CudaSteps::readScales(LaunchStep &step, ir::LinearOp op,
                                    Value codes) {
  step.read(b.scalesOf(codes));
  ir::FromCodesOp own = passes::fromCodesOf(op.getX());
  if (!own)
    return success();
  FailureOr<uint32_t> sums = b.rowSumsOf(op.getWeight());
  if (failed(sums))
    return failure();
  read(step, own.getZero());
  step.read(*sums);
  return success();
}

LogicalResult CudaSteps::addLinear(const ir::LinearBody &body,
                                   passes::LinearParts parts) {
  ir::LinearOp op = body.linear;
  Operation *norm = parts.prologue ? body.norm : nullptr;
  ir::GatedActivationOp gated =
      parts.tail ? body.gated : ir::GatedActivationOp();
  FailureOr<uint32_t> weight = b.weightOf(op.getWeight());
  if (failed(weight))
    return failure();
  Block block;
  size_t operands = bool(op.getBias()) + bool(op.getResidual());
  if (operands)
    fillSum(block, operands, OpBuilder(op.getContext()), op.getLoc());
  Value x = parts.sum        ? body.sum->norm->getOperand(0)
            : parts.prologue ? body.source()
                             : Value(op.getX());
  uint32_t tokens = rowsOf(x);
  LaunchStep step(tokens);
  uint32_t workspaceBytes = b.symbols.constant(16);
  for (size_t i = 0; i < kernels.targets(); ++i) {
    auto selected = passes::selectedKernels(op, kernels.target(i));
    if (failed(selected))
      return failure();
    for (ir::KernelAttr kernel : *selected)
      if (isInRange(kernel) &&
          failed(addLinearVariant(op, step, i, kernel,
                                  operands ? &block : nullptr, workspaceBytes)))
        return failure();
  }
  read(step, x);
  step.read(*weight);
  step.write(b.valueOf(gated ? gated.getResult() : body.stored()));
  step.write(workspaceOf(workspaceBytes));
  step.counters();
  if (passes::isQuantized(x) && failed(readScales(step, op, x)))
    return failure();
  if (norm)
    for (Value vector : norm->getOperands().drop_front())
      read(step, vector);
  if (parts.sum) {
    for (Value vector : body.sum->norm->getOperands().drop_front())
      read(step, vector);
    read(step, body.sum->added);
    step.write(b.valueOf(body.sum->sum->getResult(0)));
  }
  if (op.getBias())
    read(step, op.getBias());
  if (op.getResidual())
    read(step, op.getResidual());
  for (const ir::LinearStep &each : body.steps)
    if (each.added)
      read(step, each.added);
  if (parts.tail && body.append)
    readAppend(step, *body.append, passes::problemOf(*body.append).cache);
  step.symbol(tokens);
  return finish(op, std::move(step));
}

LogicalResult CudaSteps::addLinearRegion(ir::FusedOp op) {
  ir::LinearBody body = *ir::matchLinear(op);
  if (body.sum && failed(resolveSizes(*body.sum)))
    return failure();
  for (Operation &inner :
       llvm::make_early_inc_range(op.getBody().front().without_terminator())) {
    bool view = isa<tensor::ExtractSliceOp, tensor::ExpandShapeOp>(inner);
    // Steps have the sizes of the linear.
    if (isa<arith::ArithDialect>(inner.getDialect()) ||
        isa<tensor::SplatOp>(inner) || (body.sum && body.sum->norm == &inner))
      continue;
    if (failed(view ? b.addWithSizes(&inner) : b.resolveSizes(&inner)))
      return failure();
  }
  for (const ir::LinearStep &step : body.steps) {
    PlanBuilder::Sizes sizes = b.sizes.lookup(body.linear.getResult());
    b.sizes[step.op->getResult(0)] = std::move(sizes);
  }
  int64_t most = passes::cudaStepTokens;
  SmallVector<int64_t> ends{most};
  if (body.hasPrologue())
    llvm::append_range(ends,
                       op.getPrologueTokens().value_or(ArrayRef<int64_t>()));
  if (body.sum)
    llvm::append_range(ends, op.getSumTokens().value_or(ArrayRef<int64_t>()));
  if (body.hasTail())
    llvm::append_range(ends,
                       op.getEpilogueTokens().value_or(ArrayRef<int64_t>()));
  llvm::sort(ends);
  for (int64_t end : ends) {
    if (end <= range.after)
      continue;
    range.until = end == most ? 0 : end;
    if (failed(addLinearRange(body, passes::partsOf(op, end))))
      return failure();
    range.after = end;
  }
  range = {};
  return success();
}

LogicalResult CudaSteps::addLinearRange(const ir::LinearBody &body,
                                        passes::LinearParts parts) {
  if (body.sum && !parts.sum && failed(addNormSum(body.sum->norm, *body.sum)))
    return failure();
  if (body.norm && !parts.prologue && failed(add(body.norm)))
    return failure();
  if (body.quantize && !parts.prologue && failed(add(body.quantize)))
    return failure();
  if (failed(addLinear(body, parts)))
    return failure();
  if (parts.tail || !body.hasTail())
    return success();
  if (body.gated)
    return add(body.gated);
  return addAppend(body.append->append, passes::problemOf(*body.append),
                   *body.append);
}

} // namespace qopt::driver
