// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
#include "lib/Driver/CudaSteps.h"

#include "lib/Kernels/GatedActivation/GatedActivationGenerator.h"
#include "lib/Kernels/GatherRows/GatherRowsGenerator.h"
#include "lib/Kernels/Norm/NormGenerator.h"
#include "lib/Kernels/Quantize/QuantizeGenerator.h"
#include "lib/Quant/Storage.h"
#include "runtime/plan/PlanFormat.h"
#include "llvm/ADT/TypeSwitch.h"

using namespace mlir;
using namespace qopt::kernels;
using qopt::passes::elementOf;
using qopt::passes::problemOf;

namespace qopt::driver {

LogicalResult CudaSteps::finish(Operation *op, LaunchStep step) {
  step.only(uint64_t(range.after), uint64_t(range.until));
  b.addStep<plan::LaunchT>(op) = step.take();
  return success();
}

uint32_t CudaSteps::rowsOf(Value tensor, int64_t inner) {
  PlanBuilder::Sizes &sizes = b.sizes[tensor];
  uint32_t rows = b.symbols.constant(1);
  for (uint32_t size : ArrayRef(sizes).drop_back(inner))
    rows = b.symbols.binary(plan::SymbolKind::Mul, rows, size);
  return rows;
}

void CudaSteps::read(LaunchStep &step, Value value) {
  if (value.getDefiningOp<ir::PositionsOp>())
    step.state(plan::ArgumentKind::Positions);
  else
    step.read(b.valueOf(value));
}

void CudaSteps::write(LaunchStep &step, Value result) {
  step.write(b.valueOf(result));
  if (passes::isQuantized(result))
    step.write(b.scalesOf(result));
}

uint32_t CudaSteps::partOf(uint32_t constant, int64_t offset, int64_t bytes) {
  auto part = std::make_unique<plan::ValueT>();
  part->dtype = plan::DType::U8;
  part->shape = {b.symbols.constant(bytes)};
  part->storage = plan::Storage::Alias;
  part->index = constant;
  part->offset = b.symbols.constant(offset);
  b.plan->values.push_back(std::move(part));
  return uint32_t(b.plan->values.size() - 1);
}

uint32_t CudaSteps::workspaceOf(uint32_t bytes) {
  auto value = std::make_unique<plan::ValueT>();
  value->dtype = plan::DType::U8;
  value->shape = {bytes};
  value->storage = plan::Storage::Arena;
  b.plan->values.push_back(std::move(value));
  return uint32_t(b.plan->values.size() - 1);
}

uint32_t CudaSteps::gridOf(const LaunchShape &shape, uint32_t rows) {
  return b.symbols.binary(
      plan::SymbolKind::Mul,
      b.symbols.binary(plan::SymbolKind::CeilDiv, rows,
                       b.symbols.constant(shape.rowsPerBlock)),
      b.symbols.constant(shape.blocksPerRow));
}

LogicalResult CudaSteps::add(ir::EmbeddingOp op) {
  FailureOr<uint32_t> weight = b.weightOf(op.getWeight());
  if (failed(weight))
    return failure();
  ir::WeightType type = op.getWeight().getType();
  uint32_t rows = rowsOf(op.getResult());
  LaunchStep step(rows);
  read(step, op.getIds());
  step.read(*weight);
  runtime::CanonicalLayout layout = runtime::canonicalLayout(
      type.getFormat(), type.getRows(), type.getColumns());
  if (!type.getFormat().isFloat())
    step.read(partOf(*weight, layout.scales,
                     quant::scaleBytes(type.getFormat(), type.getRows(),
                                       type.getColumns())));
  if (quant::hasZeroArray(type.getFormat()))
    step.read(partOf(
        *weight, layout.zeros,
        quant::zeroBytes(type.getFormat(), type.getRows(), type.getColumns())));
  step.write(b.valueOf(op.getResult()));
  return finish(op, std::move(step), problemOf(op), rows);
}

/// Columns that something else needs alone were copied; the schedule serves
/// rows of both kinds.
norm::Problem CudaSteps::withRowsOf(Value x, norm::Problem problem) {
  if (!b.plan->values[b.valueOf(x)]->row_stride) {
    problem.heads = 1;
    problem.stride = 0;
  }
  return problem;
}

LogicalResult CudaSteps::add(ir::RmsNormOp op) {
  uint32_t rows = rowsOf(op.getX());
  LaunchStep step(rows);
  read(step, op.getX());
  read(step, op.getScale());
  write(step, op.getResult());
  step.symbol(rows);
  return finish(op, std::move(step), withRowsOf(op.getX(), problemOf(op)),
                rows);
}

LogicalResult CudaSteps::add(ir::LayerNormOp op) {
  if (op.getBias() && elementOf(op.getBias()) != elementOf(op.getScale()))
    return op.emitError("its scale and its bias have different types");
  uint32_t rows = rowsOf(op.getX());
  LaunchStep step(rows);
  read(step, op.getX());
  read(step, op.getScale());
  if (op.getBias())
    read(step, op.getBias());
  write(step, op.getResult());
  step.symbol(rows);
  return finish(op, std::move(step), withRowsOf(op.getX(), problemOf(op)),
                rows);
}

LogicalResult CudaSteps::resolveSizes(const ir::NormSumBody &body) {
  if (failed(b.resolveSizes(body.norm)))
    return failure();
  PlanBuilder::Sizes sizes = b.sizes.lookup(body.norm->getResult(0));
  b.sizes[body.sum->getResult(0)] = std::move(sizes);
  return success();
}

LogicalResult CudaSteps::addNormSum(Operation *op,
                                    const ir::NormSumBody &body) {
  uint32_t rows = rowsOf(body.norm->getOperand(0));
  LaunchStep step(rows);
  for (Value operand : body.norm->getOperands())
    read(step, operand);
  read(step, body.added);
  write(step, body.sum->getResult(0));
  step.symbol(rows);
  return finish(op, std::move(step), problemOf(body), rows);
}

LogicalResult CudaSteps::add(ir::QuantizeOp op) {
  uint32_t rows = rowsOf(op.getX());
  LaunchStep step(rows);
  read(step, op.getX());
  write(step, op.getResult());
  step.symbol(rows);
  return finish(op, std::move(step), problemOf(op), rows);
}

LogicalResult CudaSteps::add(ir::SelectRowsOp op) {
  uint32_t rows = rowsOf(op.getResult());
  LaunchStep step(rows);
  step.state(plan::ArgumentKind::LogitRows);
  read(step, op.getX());
  write(step, op.getResult());
  step.symbol(rowsOf(op.getX()));
  return finish(op, std::move(step), problemOf(op), rows);
}

LogicalResult CudaSteps::add(ir::ActivationOp op) {
  uint32_t rows = rowsOf(op.getX());
  LaunchStep step(rows);
  read(step, op.getX());
  write(step, op.getResult());
  step.symbol(rows);
  return finish(op, std::move(step), problemOf(op), rows);
}

LogicalResult CudaSteps::add(ir::GatedActivationOp op) {
  uint32_t rows = rowsOf(op.getResult());
  LaunchStep step(rows);
  read(step, op.getGate());
  if (op.getUp())
    read(step, op.getUp());
  write(step, op.getResult());
  step.symbol(rows);
  return finish(op, std::move(step), problemOf(op), rows);
}

/// Kernels read the model's own codes where they are, and their one scale.
LogicalResult CudaSteps::add(ir::FromCodesOp op) {
  uint32_t codes = b.valueOf(op.getCodes()), scale = b.valueOf(op.getScale());
  b.values[op.getResult()] = codes;
  b.scales[op.getResult()] = scale;
  return success();
}

LogicalResult CudaSteps::add(Operation *op) {
  return llvm::TypeSwitch<Operation *, LogicalResult>(op)
      .Case<ir::EmbeddingOp, ir::RmsNormOp, ir::LayerNormOp, ir::LinearOp,
            ir::QuantizeOp, ir::FromCodesOp, ir::SelectRowsOp, ir::ActivationOp,
            ir::GatedActivationOp, ir::PositionsOp, ir::RotaryTableOp,
            ir::KVAppendOp, ir::FusedOp, ir::CachedAttentionOp, ir::GeneratedOp,
            ir::CheckIndicesOp>([&](auto kernel) { return add(kernel); })
      .Default([](Operation *other) {
        return other->emitError("no kernel runs \"")
               << other->getName() << "\" on a GPU";
      });
}

} // namespace qopt::driver
