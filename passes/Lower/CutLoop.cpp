// The kernel of a loop that writes into a tensor it carries, element after
// element: scatters, whose places may repeat, so that their order counts and
// they are not divided.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
#include "mlir/Dialect/Arith/IR/Arith.h"
#include "mlir/Dialect/MemRef/IR/MemRef.h"
#include "mlir/Dialect/Tensor/IR/Tensor.h"
#include "passes/Lower/KernelCutter.h"

using namespace mlir;
using namespace qopt;

namespace {
class LoopCutter : public KernelCutter {
public:
  LoopCutter(scf::ForOp op, ModuleOp kernels, unsigned number)
      : KernelCutter(op, kernels, number), loop(op) {}

private:
  LogicalResult collect() override;
  SmallVector<Value> likeResults() override {
    return {loop.getInitArgs().front()};
  }
  void writeBody(OpBuilder &inner) override;
  void copyStart(OpBuilder &inner);
  void writeLoop(OpBuilder &inner, scf::ForOp from);
  void writeOp(OpBuilder &inner, Operation &from);

  scf::ForOp loop;
  /// States of the carried tensor: all of them are the result's buffer.
  llvm::SmallDenseSet<Value> carried;
};
} // namespace

LogicalResult LoopCutter::collect() {
  WalkResult walked = loop.walk([&](scf::ForOp nested) {
    bool carriesOne = nested.getInitArgs().size() == 1 &&
                      isa<RankedTensorType>(nested.getResult(0).getType());
    return carriesOne ? WalkResult::advance() : WalkResult::interrupt();
  });
  if (walked.wasInterrupted())
    return loop.emitOpError("carries other values than one tensor");
  for (Value operand : loop->getOperands())
    if (failed(collectValue(operand)))
      return failure();
  return collectRegion(loop.getRegion());
}

/// result = start, by loops: there is no library to copy with.
void LoopCutter::copyStart(OpBuilder &inner) {
  OpBuilder::InsertionGuard guard(inner);
  Value from = viewOf(loop.getInitArgs().front()), to = views.back();
  Value zero = arith::ConstantIndexOp::create(inner, loc, 0);
  Value one = arith::ConstantIndexOp::create(inner, loc, 1);
  SmallVector<Value> place;
  for (int64_t dim = 0; dim < cast<MemRefType>(to.getType()).getRank(); ++dim) {
    Value size = inner.createOrFold<memref::DimOp>(loc, to, dim);
    auto copy = scf::ForOp::create(inner, loc, zero, size, one);
    place.push_back(copy.getInductionVar());
    inner.setInsertionPointToStart(copy.getBody());
  }
  Value element = memref::LoadOp::create(inner, loc, from, place);
  memref::StoreOp::create(inner, loc, element, to, place);
}

void LoopCutter::writeBody(OpBuilder &inner) {
  kernel->setAttr("qopt.undivided", inner.getUnitAttr());
  unsigned last = kernel.getNumArguments() - 1;
  Value isAsked = arith::CmpIOp::create(inner, loc, arith::CmpIPredicate::slt,
                                        kernel.getArgument(last - 1),
                                        kernel.getArgument(last));
  auto guard = scf::IfOp::create(inner, loc, isAsked);
  OpBuilder::InsertionGuard insertion(inner);
  inner.setInsertionPointToStart(guard.thenBlock());
  copyStart(inner);
  writeLoop(inner, loop);
}

void LoopCutter::writeLoop(OpBuilder &inner, scf::ForOp from) {
  auto written = scf::ForOp::create(
      inner, loc, mapping.lookupOrDefault(from.getLowerBound()),
      mapping.lookupOrDefault(from.getUpperBound()),
      mapping.lookupOrDefault(from.getStep()));
  mapping.map(from.getInductionVar(), written.getInductionVar());
  carried.insert(from.getRegionIterArg(0));
  OpBuilder::InsertionGuard guard(inner);
  inner.setInsertionPointToStart(written.getBody());
  for (Operation &op : from.getBody()->without_terminator())
    writeOp(inner, op);
  carried.insert(from.getResult(0));
}

void LoopCutter::writeOp(OpBuilder &inner, Operation &from) {
  auto mapped = [&](ValueRange values) {
    return llvm::map_to_vector(
        values, [&](Value value) { return mapping.lookupOrDefault(value); });
  };
  if (auto nested = dyn_cast<scf::ForOp>(from))
    return writeLoop(inner, nested);
  if (auto insert = dyn_cast<tensor::InsertOp>(from)) {
    Value scalar = mapping.lookupOrDefault(insert.getScalar());
    memref::StoreOp::create(inner, loc, toStorage(inner, scalar), views.back(),
                            mapped(insert.getIndices()));
    carried.insert(insert.getResult());
    return;
  }
  if (auto extract = dyn_cast<tensor::ExtractOp>(from)) {
    Value view = carried.contains(extract.getTensor())
                     ? views.back()
                     : viewOf(extract.getTensor());
    Value stored =
        memref::LoadOp::create(inner, loc, view, mapped(extract.getIndices()));
    mapping.map(extract.getResult(),
                fromStorage(inner, stored, extract.getType()));
    return;
  }
  inner.clone(from, mapping);
}

LogicalResult qopt::cutLoop(scf::ForOp op, ModuleOp kernels, unsigned number) {
  return LoopCutter(op, kernels, number).run();
}
