// What a decoder does with its cache on a GPU: rotation and append in one
// launch, and attention by few or by many new tokens a sequence.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
#include "lib/Driver/CudaSteps.h"

#include "lib/Kernels/AttentionDecode/AttentionDecodeGenerator.h"
#include "lib/Kernels/AttentionPrefill/AttentionPrefillGenerator.h"
#include "lib/Kernels/RotaryAppend/RotaryAppendGenerator.h"
#include "lib/Kernels/RotaryTable/RotaryTableGenerator.h"
#include "lib/Kernels/SymbolName.h"

using namespace mlir;
using namespace qopt::kernels;
using qopt::passes::problemOf;

namespace qopt::driver {

LogicalResult CudaSteps::add(ir::RotaryTableOp op) {
  FailureOr<uint32_t> frequencies = b.widenedConstant(op.getInvFreq());
  if (failed(frequencies))
    return failure();
  uint32_t rows = rowsOf(op.getCos());
  LaunchStep step(rows);
  read(step, op.getPositions());
  step.read(*frequencies);
  step.write(b.valueOf(op.getCos()));
  step.write(b.valueOf(op.getSin()));
  return finish(op, std::move(step), problemOf(op), rows);
}

LogicalResult CudaSteps::readHeads(LaunchStep &step, Operation *op,
                                   Value heads) {
  const plan::ValueT &value = *b.plan->values[b.valueOf(heads)];
  auto shape = cast<ShapedType>(heads.getType()).getShape();
  int64_t stride = value.row_stride ? value.row_stride : shape[1] * shape[2];
  if (stride != passes::rowStrideOf(heads))
    return op->emitError("its heads are columns of a tensor that another "
                         "operation needs without the others; compile the "
                         "model with --as graph");
  read(step, heads);
  return success();
}

/// What rotary_append takes behind its value.
void CudaSteps::readAppend(LaunchStep &step, const ir::RotaryAppendBody &body,
                           const cuda::KvPageLayout &cache) {
  ir::RotaryOp queries = body.queries, keys = body.keys;
  if (queries)
    step.write(b.valueOf(queries.getResult()));
  if (body.keyNorm)
    for (Operation *norm : {body.queryNorm, body.keyNorm})
      read(step, norm->getOperand(1)); // its scale
  if (keys) {
    read(step, keys.getCos());
    read(step, keys.getSin());
  }
  step.state(plan::ArgumentKind::TokenStarts);
  step.state(plan::ArgumentKind::ContextStarts);
  step.state(plan::ArgumentKind::PageTable);
  int64_t layer = ir::KVAppendOp(body.append).getLayer();
  step.cachePages(layer);
  if (cache.recent)
    step.write(stepRowsOf(layer, cache));
  step.symbol(b.symbols.batchSize(plan::SymbolKind::Sequences));
}

LogicalResult CudaSteps::addAppend(Operation *op,
                                   const rotary_append::Problem &problem,
                                   const ir::RotaryAppendBody &body) {
  ir::KVAppendOp append = body.append;
  Value q = body.queryHeads(), k = body.keyHeads(), v = append.getV();
  uint32_t tokens = b.symbols.batchSize(plan::SymbolKind::Tokens);
  LaunchStep step(tokens);
  // A kernel without queries reads none.
  for (Value heads : {q ? q : k, k, v})
    if (failed(readHeads(step, op, heads)))
      return failure();
  readAppend(step, body, problem.cache);
  return finish(op, std::move(step), problem, tokens);
}

LogicalResult CudaSteps::add(ir::KVAppendOp op) {
  ir::RotaryAppendBody body;
  body.append = op;
  return addAppend(op, problemOf(op), body);
}

LogicalResult CudaSteps::add(ir::FusedOp op) {
  Block &block = op.getBody().front();
  for (auto [argument, input] :
       llvm::zip_equal(block.getArguments(), op.getInputs())) {
    b.shareValue(argument, input);
    if (!isa<ir::WeightType>(input.getType()))
      continue;
    FailureOr<uint32_t> weight = b.weightOf(input);
    if (failed(weight))
      return failure();
    b.values[argument] = *weight;
  }
  if (failed(addBody(op)))
    return failure();
  for (auto [result, value] :
       llvm::zip_equal(op.getOutputs(), block.getTerminator()->getOperands()))
    b.shareValue(result, value);
  return success();
}

/// A sequence with as many new tokens as the kernel serves, at most a step's.
static KernelSummary describe(const attention_decode::Problem &problem,
                              const attention_decode::Schedule &schedule,
                              ir::KernelAttr kernel,
                              const target::Target &target, int64_t context) {
  bool rows = schedule.division == attention_decode::Division::Rows;
  KernelSummary summary;
  summary.threads = schedule.threads();
  summary.sharedBytes = attention_decode::planOf(problem, schedule).sharedBytes;
  summary.tokens = rows ? std::min(passes::cudaStepTokens, problem.context)
                        : kernel.getMost();
  int64_t seen = std::min(problem.context, std::max(context, summary.tokens));
  summary.why = reasonOf(
      rows ? attention_prefill::chooseSchedule(problem, target)
           : attention_decode::chooseSchedule(problem, summary.tokens, target),
      kernel.getSchedule());
  summary.predicted =
      predictionOf(rows ? attention_prefill::costOf(problem, schedule, target,
                                                    1, summary.tokens, seen)
                        : attention_decode::costOf(problem, schedule, target, 1,
                                                   summary.tokens, seen));
  return summary;
}

LogicalResult CudaSteps::addBody(ir::FusedOp op) {
  if (op.getKernel() == ir::FusedKernel::Linear)
    return addLinearRegion(op);
  if (std::optional<ir::RotaryAppendBody> body = ir::matchRotaryAppend(op)) {
    if (body->queries && failed(b.resolveSizes(body->queries)))
      return failure();
    return addAppend(op, problemOf(*body), *body);
  }
  if (std::optional<ir::NormSumBody> body = ir::matchNormSum(op))
    return failed(resolveSizes(*body)) ? failure() : addNormSum(op, *body);
  std::optional<ir::LinearBody> body = ir::matchLinear(op);
  if (!body)
    return op.emitError("no kernel of a GPU does what this region does");
  return addLinearRegion(op);
}

/// Bytes of counters for the worst division of a step's tokens into sequences.
static int64_t counterBytes(const attention_decode::Problem &problem,
                            const attention_decode::Schedule &schedule,
                            const target::Target &target) {
  int64_t most = 4;
  for (int64_t sequences = 1; sequences <= passes::cudaStepTokens;
       ++sequences) {
    int64_t tokens = passes::cudaStepTokens - sequences + 1;
    attention_decode::Launch launch = attention_decode::launchOf(
        problem, schedule, target, sequences, tokens, problem.context);
    most = std::max(most, launch.y * launch.z * 4);
  }
  return most;
}

namespace {
/// Arithmetic of attention_decode::gridOf on symbols.
struct SymbolMath {
  SizeSymbols &symbols;

  uint32_t number(int64_t value) { return symbols.constant(value); }
  uint32_t add(uint32_t a, uint32_t b) {
    return symbols.binary(plan::SymbolKind::Add, a, b);
  }
  uint32_t mul(uint32_t a, uint32_t b) {
    return symbols.binary(plan::SymbolKind::Mul, a, b);
  }
  uint32_t floorDiv(uint32_t a, uint32_t b) {
    return symbols.binary(plan::SymbolKind::FloorDiv, a, b);
  }
  uint32_t ceilDiv(uint32_t a, uint32_t b) {
    return symbols.binary(plan::SymbolKind::CeilDiv, a, b);
  }
  uint32_t min(uint32_t a, uint32_t b) {
    return symbols.binary(plan::SymbolKind::Min, a, b);
  }
  uint32_t max(uint32_t a, uint32_t b) {
    return symbols.binary(plan::SymbolKind::Max, a, b);
  }
};
} // namespace

CudaSteps::AttentionGrid
CudaSteps::gridOf(const attention_decode::Problem &problem,
                  const attention_decode::Schedule &schedule,
                  const target::Target &target) {
  SymbolMath math{b.symbols};
  auto grid =
      attention_decode::gridOf(math, problem, schedule, target,
                               b.symbols.batchSize(plan::SymbolKind::Sequences),
                               newTokens(), math.number(problem.context));
  uint32_t slots = math.mul(grid.x, math.mul(grid.y, grid.z));
  int64_t slotBytes =
      attention_decode::planOf(problem, schedule).slotFloats * 4;
  return {grid.x, grid.y, grid.z, math.mul(slots, math.number(slotBytes))};
}

uint32_t CudaSteps::newTokens() {
  uint32_t one = b.symbols.constant(1);
  return b.symbols.binary(
      plan::SymbolKind::Add, one,
      b.symbols.binary(plan::SymbolKind::Sub,
                       b.symbols.batchSize(plan::SymbolKind::Tokens),
                       b.symbols.batchSize(plan::SymbolKind::Sequences)));
}

LogicalResult CudaSteps::addAttentionVariant(ir::CachedAttentionOp op,
                                             LaunchStep &step,
                                             size_t architecture,
                                             ir::KernelAttr kernel,
                                             uint32_t &workspace) {
  attention_decode::Problem problem = problemOf(op);
  auto schedule = passes::scheduleOf<attention_decode::Schedule>(op, kernel);
  if (failed(schedule))
    return failure();
  const target::Target &target = kernels.target(architecture);
  bool rows = kernel.getFamily() == ir::KernelFamily::AttentionPrefill;
  if (rows)
    schedule->division = attention_decode::Division::Rows;
  std::string symbol = attention_decode::symbolOf(problem, *schedule, target) +
                       "_h" + std::to_string(problem.heads) + "x" +
                       std::to_string(problem.cache.keyHeads) + "_s" +
                       kernels::spellBits(problem.scale) + "_w" +
                       std::to_string(problem.window) + "_q" +
                       std::to_string(problem.queryStride);
  Status added = kernels.add(
      architecture, CudaKernels::selectedBy(kernel), symbol,
      [&] {
        return describe(problem, *schedule, kernel, target,
                        kernels.predictedContext());
      },
      [&](gpu::GPUModuleOp module) {
        return rows ? attention_prefill::buildKernel(module, problem, *schedule,
                                                     target)
                    : attention_decode::buildKernel(module, problem, *schedule,
                                                    target);
      });
  if (!added.ok())
    return op.emitError() << added.message();
  AttentionGrid grid = gridOf(problem, *schedule, target);
  workspace =
      b.symbols.binary(plan::SymbolKind::Max, workspace, grid.workspace);
  step.atLeastCounters(counterBytes(problem, *schedule, target));
  step.variant(target, architecture, uint64_t(kernel.getMost()), symbol,
               {grid.x, grid.y, grid.z}, schedule->threads(),
               attention_decode::planOf(problem, *schedule).sharedBytes);
  return success();
}

LogicalResult CudaSteps::add(ir::CachedAttentionOp op) {
  LaunchStep step(newTokens());
  uint32_t bytes = b.symbols.constant(16);
  for (size_t i = 0; i < kernels.targets(); ++i) {
    auto selected = passes::selectedKernels(op, kernels.target(i));
    if (failed(selected))
      return failure();
    for (ir::KernelAttr kernel : *selected)
      if (failed(addAttentionVariant(op, step, i, kernel, bytes)))
        return failure();
  }
  if (failed(readHeads(step, op, op.getQ())))
    return failure();
  step.write(b.valueOf(op.getResult()));
  step.cachePages(op.getLayer());
  step.state(plan::ArgumentKind::PageTable);
  step.state(plan::ArgumentKind::TokenStarts);
  step.state(plan::ArgumentKind::ContextStarts);
  step.write(workspaceOf(bytes));
  step.counters();
  if (auto slopes = op.getAlibiSlopes()) {
    FailureOr<uint32_t> constant = b.floatVector(*slopes);
    if (failed(constant))
      return failure();
    step.read(*constant);
  }
  if (cuda::KvPageLayout cache = problemOf(op).cache; cache.recent)
    step.read(stepRowsOf(op.getLayer(), cache));
  return finish(op, std::move(step));
}

uint32_t CudaSteps::stepRowsOf(int64_t layer, const cuda::KvPageLayout &cache) {
  auto [found, isNew] = b.stepRows.try_emplace(layer, 0);
  if (isNew) {
    SymbolMath math{b.symbols};
    uint32_t rows = math.add(
        b.symbols.batchSize(plan::SymbolKind::Tokens),
        math.mul(b.symbols.batchSize(plan::SymbolKind::Sequences),
                 math.number(cache.recent + cuda::KvPageLayout::stepPadding)));
    found->second =
        workspaceOf(math.mul(rows, math.number(cache.stepRowBytes())));
  }
  return found->second;
}

} // namespace qopt::driver
