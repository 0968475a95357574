// Launches of kernels that no family has: those that OutlineKernels cut out of
// a model, copies, and the check of indices that such kernels read at.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
#include "lib/Driver/CudaSteps.h"

#include "lib/Kernels/CheckIndices/CheckIndicesGenerator.h"
#include "mlir/Dialect/Linalg/IR/Linalg.h"
#include "mlir/Dialect/MemRef/IR/MemRef.h"
#include "runtime/plan/PlanFormat.h"

using namespace mlir;
using namespace qopt::kernels;

namespace qopt::driver {

LogicalResult CudaSteps::finishGeneric(Operation *op, LaunchStep step,
                                       func::FuncOp kernel,
                                       ArrayRef<uint32_t> sizes) {
  std::string symbol = "generic_" + kernel.getSymName().str();
  for (uint32_t size : sizes)
    step.longSymbol(size);
  for (size_t i = 0; i < kernels.targets(); ++i) {
    FailureOr<codegen::ThreadRange> range =
        kernels.addGeneric(i, symbol, kernel);
    if (failed(range))
      return failure();
    FailureOr<uint32_t> extent =
        b.symbols.of(range->extent.getResult(0), sizes, /*dims=*/0);
    if (failed(extent))
      return op->emitError("its range is no expression of its sizes");
    uint32_t grid = b.symbols.binary(plan::SymbolKind::CeilDiv, *extent,
                                     b.symbols.constant(range->perBlock));
    step.variant(kernels.target(i), i, 0, symbol, {grid}, range->threads,
                 /*sharedBytes=*/0);
    step.waitsForPredecessors();
  }
  b.addStep<plan::LaunchT>(op) = step.take();
  return success();
}

LogicalResult CudaSteps::add(ir::GeneratedOp op) {
  auto kernel = SymbolTable::lookupNearestSymbolFrom<func::FuncOp>(
      op, op.getKernelAttr());
  SmallVector<uint32_t> sizes;
  for (Value size : op.getSizes()) {
    FailureOr<uint32_t> symbol = b.symbols.of(size);
    if (failed(symbol))
      return op.emitError("a size is no expression of input sizes");
    sizes.push_back(*symbol);
  }
  LaunchStep step(b.symbols.constant(1));
  for (Value input : op.getInputs())
    read(step, input);
  for (Value output : op.getOutputs())
    step.write(b.valueOf(output));
  return finishGeneric(op, std::move(step), kernel, sizes);
}

uint32_t CudaSteps::elementsOf(uint32_t value) {
  uint32_t elements = b.symbols.constant(1);
  for (uint32_t size : b.plan->values[value]->shape)
    elements = b.symbols.binary(plan::SymbolKind::Mul, elements, size);
  return elements;
}

/// The result is another name of the indices.
LogicalResult CudaSteps::add(ir::CheckIndicesOp op) {
  std::vector<uint32_t> limits;
  for (Value limit : op.getLimits()) {
    FailureOr<uint32_t> symbol = b.symbols.of(limit);
    if (failed(symbol))
      return op.emitError("a limit is no expression of input sizes");
    limits.push_back(*symbol);
  }
  check_indices::Problem problem;
  problem.integer =
      getElementTypeOrSelf(op.getIndices().getType()).isInteger(64)
          ? check_indices::Integer::Long
          : check_indices::Integer::Word;
  problem.interval = op.getFromZero() ? check_indices::Interval::FromZero
                                      : check_indices::Interval::FromEitherEnd;
  problem.limits = int(limits.size());
  uint32_t indices = b.valueOf(op.getIndices());
  LaunchStep step(b.symbols.constant(1));
  step.read(indices);
  step.checksIndices(limits, op.getFromZero());
  step.symbol(elementsOf(indices));
  for (uint32_t limit : limits)
    step.symbol(limit);
  if (failed(finishCheck(op, std::move(step), problem)))
    return failure();
  return b.addView(op);
}

LogicalResult CudaSteps::finishCheck(ir::CheckIndicesOp op, LaunchStep step,
                                     const check_indices::Problem &problem) {
  for (size_t i = 0; i < kernels.targets(); ++i) {
    auto schedule = check_indices::chooseSchedule(problem, kernels.target(i));
    if (!schedule.ok())
      return op.emitError() << schedule.status().message();
    Status added = addVariant(
        step, i, problem, *schedule, b.symbols.constant(1),
        {"check_indices", passes::numbersOf(*schedule, op.getContext())});
    if (!added.ok())
      return op.emitError() << added.message();
  }
  b.addStep<plan::LaunchT>(op) = step.take();
  return success();
}

/// Kernels that take the positions as they lie in the batch need no copy.
LogicalResult CudaSteps::add(ir::PositionsOp op) {
  bool copied = llvm::any_of(op->getUsers(), [](Operation *user) {
    return isa<tensor::ExpandShapeOp, tensor::CollapseShapeOp, tensor::CastOp,
               ir::CheckIndicesOp, func::ReturnOp>(user);
  });
  if (!copied)
    return success();
  uint32_t to = b.valueOf(op.getResult()), one = b.symbols.constant(1);
  LaunchStep step(one);
  step.state(plan::ArgumentKind::Positions);
  step.write(to);
  uint32_t count = elementsOf(to);
  return finishCopy(op, std::move(step), 4,
                    {one, count, count, b.symbols.constant(0)});
}

LogicalResult CudaSteps::copy(Operation *op, uint32_t from, uint32_t to) {
  uint32_t count = elementsOf(to);
  return copyRows(op, from, to,
                  {b.symbols.constant(1), count, count, b.symbols.constant(0)});
}

LogicalResult CudaSteps::copyRows(Operation *op, uint32_t from, uint32_t to,
                                  const Rows &rows) {
  LaunchStep step(b.symbols.constant(1));
  step.read(from);
  step.write(to);
  unsigned bytes = unsigned(runtime::bytesOf(b.plan->values[to]->dtype));
  return finishCopy(op, std::move(step), bytes, rows);
}

/// y[i, j] = x[offset + i · stride + j], in the form of KernelLoops.h; sizes
/// are rows, columns, stride and offset.
static func::FuncOp copyKernel(ModuleOp module, unsigned elementBytes) {
  OpBuilder b = OpBuilder::atBlockEnd(module.getBody());
  Location loc = module.getLoc();
  Type element = b.getIntegerType(elementBytes * 8), index = b.getIndexType();
  Type buffer = MemRefType::get({}, element);
  SmallVector<Type> arguments = {buffer, buffer};
  arguments.append(6, index);
  auto kernel =
      func::FuncOp::create(b, loc, "copy_" + std::to_string(elementBytes),
                           b.getFunctionType(arguments, {}));
  Block *body = kernel.addEntryBlock();
  b.setInsertionPointToStart(body);
  auto size = [&](unsigned i) { return body->getArgument(2 + i); };
  SmallVector<OpFoldResult> shape = {size(0), size(1)};
  auto view = [&](unsigned place, OpFoldResult offset, OpFoldResult stride) {
    int64_t dynamic = ShapedType::kDynamic;
    int64_t begin = isa<Attribute>(offset) ? 0 : dynamic;
    auto layout = StridedLayoutAttr::get(b.getContext(), begin, {dynamic, 1});
    auto type = MemRefType::get({dynamic, dynamic}, element, layout);
    return memref::ReinterpretCastOp::create(
               b, loc, type, body->getArgument(place), offset, shape,
               ArrayRef<OpFoldResult>{stride, b.getIndexAttr(1)})
        .getResult();
  };
  Value from = view(0, size(3), size(2));
  Value to = view(1, b.getIndexAttr(0), size(1));
  SmallVector<AffineMap> maps(2, b.getMultiDimIdentityMap(2));
  SmallVector<utils::IteratorType> kinds(2, utils::IteratorType::parallel);
  linalg::GenericOp::create(b, loc, from, to, maps, kinds,
                            [](OpBuilder &inner, Location at, ValueRange x) {
                              linalg::YieldOp::create(inner, at, x[0]);
                            });
  func::ReturnOp::create(b, loc);
  return kernel;
}

LogicalResult CudaSteps::finishCopy(Operation *op, LaunchStep step,
                                    unsigned elementBytes, const Rows &rows) {
  OwningOpRef<ModuleOp> module(ModuleOp::create(op->getLoc()));
  func::FuncOp kernel = copyKernel(*module, elementBytes);
  return finishGeneric(op, std::move(step), kernel,
                       {rows.count, rows.elements, rows.stride, rows.offset});
}

} // namespace qopt::driver
