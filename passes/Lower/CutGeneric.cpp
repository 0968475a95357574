// The kernel of a structured op.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
#include "mlir/Dialect/MemRef/IR/MemRef.h"
#include "mlir/Dialect/Tensor/IR/Tensor.h"
#include "passes/Lower/KernelCutter.h"

using namespace mlir;
using namespace qopt;

namespace {
class GenericCutter : public KernelCutter {
public:
  GenericCutter(linalg::GenericOp op, ModuleOp kernels, unsigned number)
      : KernelCutter(op, kernels, number), generic(op) {}

private:
  LogicalResult collect() override;
  SmallVector<Value> likeResults() override {
    return SmallVector<Value>(generic.getDpsInits());
  }
  void writeBody(OpBuilder &inner) override;
  LogicalResult collectStarts();
  void readBuffers(linalg::GenericOp written);

  linalg::GenericOp generic;
  /// The scalar that each result starts from; null where nothing reads it.
  SmallVector<Value> starts;
};
} // namespace

/// Results start undefined (tensor.empty) or filled with one scalar.
LogicalResult GenericCutter::collectStarts() {
  for (OpOperand &init : generic.getDpsInitsMutable()) {
    Value value = init.get();
    while (auto cast = value.getDefiningOp<tensor::CastOp>())
      value = cast.getSource();
    if (auto fill = value.getDefiningOp<linalg::FillOp>()) {
      starts.push_back(fill.value());
      continue;
    }
    if (!generic.getMatchingBlockArgument(&init).use_empty())
      return generic.emitOpError(
          "updates a tensor in place; expected an empty or "
          "a filled one to write to");
    starts.push_back({});
  }
  return success();
}

LogicalResult GenericCutter::collect() {
  if (failed(collectStarts()))
    return failure();
  for (Value input : generic.getDpsInputs())
    inputs.insert(input);
  for (Value start : starts)
    if (start && failed(collectValue(start)))
      return failure();
  return collectRegion(generic.getRegion());
}

void GenericCutter::writeBody(OpBuilder &inner) {
  SmallVector<Value> ins, outs(ArrayRef(views).drop_front(inputs.size()));
  for (Value input : generic.getDpsInputs())
    ins.push_back(viewOf(input));
  for (auto [start, out] : llvm::zip(starts, outs))
    if (start) {
      Value scalar = toStorage(inner, mapping.lookupOrDefault(start));
      linalg::FillOp::create(inner, loc, scalar, out);
    }
  auto written = linalg::GenericOp::create(
      inner, loc, ins, outs, generic.getIndexingMapsArray(),
      generic.getIteratorTypesArray(),
      [](OpBuilder &, Location, ValueRange) {});
  readBuffers(written);
}

/// The region on storage types: loads convert, tensor.extract becomes
/// memref.load, the yield converts back.
void GenericCutter::readBuffers(linalg::GenericOp written) {
  OpBuilder::InsertionGuard guard(b);
  b.setInsertionPointToStart(written.getBody());
  for (auto [from, to] : llvm::zip(generic.getBody()->getArguments(),
                                   written.getBody()->getArguments()))
    mapping.map(from, fromStorage(b, to, from.getType()));
  for (Operation &nested : generic.getBody()->without_terminator())
    b.clone(nested, mapping);
  SmallVector<Value> results;
  for (Value value : generic.getBody()->getTerminator()->getOperands())
    results.push_back(toStorage(b, mapping.lookupOrDefault(value)));
  linalg::YieldOp::create(b, loc, results);
  written.walk([&](tensor::ExtractOp extract) {
    b.setInsertionPoint(extract);
    Value stored = memref::LoadOp::create(b, loc, viewOf(extract.getTensor()),
                                          extract.getIndices());
    extract.replaceAllUsesWith(fromStorage(b, stored, extract.getType()));
    extract.erase();
  });
}

LogicalResult qopt::cutGeneric(linalg::GenericOp op, ModuleOp kernels,
                               unsigned number) {
  return GenericCutter(op, kernels, number).run();
}
