// Loops for one linalg.generic on memrefs, shaped so that LLVM's loop
// vectoriser finds a unit-stride innermost loop:
//   pointwise                    rows · [inner parallel dimension]
//   reduction along the rows     rows · [parallel] · reduction with the
//   accumulators in registers reduction across the rows    rows · reduction by
//   four · [inner parallel dimension] with the accumulators in memory
// Not for tiling into caches: matrix products that matter are host kernels.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
#include "lib/Codegen/Host/KernelLoops.h"

#include "lib/Codegen/Host/KernelForm.h"

#include "mlir/Dialect/Affine/IR/AffineOps.h"
#include "mlir/Dialect/Arith/IR/Arith.h"
#include "mlir/Dialect/Func/IR/FuncOps.h"
#include "mlir/Dialect/Linalg/IR/Linalg.h"
#include "mlir/Dialect/Linalg/Transforms/Transforms.h"
#include "mlir/Dialect/MemRef/IR/MemRef.h"
#include "mlir/Dialect/SCF/IR/SCF.h"
#include "mlir/IR/IRMapping.h"

using namespace mlir;
using namespace qopt;
using namespace qopt::codegen;

namespace {
/// Writes the loops of one generic over [begin, end).
class LoopWriter : ElementWriter {
public:
  LoopWriter(linalg::GenericOp op, SmallVector<Value> starts, Value begin,
             Value end)
      : ElementWriter(op, std::move(starts)), begin(begin), end(end) {}

  void write();

private:
  using Body = llvm::function_ref<void(Value)>;
  using ReductionBody = llvm::function_ref<SmallVector<Value>(ArrayRef<Value>)>;

  void classify();
  bool innerIsContiguous();
  void forEach(Value from, Value to, Body body, int64_t step = 1);
  void writeRow(Value from, Value to);
  void writeRegisterReduction(Value from, Value to);
  void writeMemoryReduction(Value from, Value to);
  void accumulateRow(Value from, Value to, Value first, unsigned count);
  SmallVector<Value> reduce(unsigned level, ArrayRef<Value> accumulators);

  Value begin, end;
  SmallVector<unsigned> outer, reductions;
  std::optional<unsigned> inner;
};
} // namespace

void LoopWriter::classify() {
  for (auto [dim, kind] : llvm::enumerate(op.getIteratorTypesArray())) {
    if (getConstantIntValue(sizes[dim]) == 1)
      continue;
    if (kind == utils::IteratorType::reduction)
      reductions.push_back(dim);
    else
      outer.push_back(dim);
  }
  if (!outer.empty())
    inner = outer.pop_back_val();
}

/// Whether every operand that moves with the inner dimension moves by one
/// element: then it belongs innermost, inside of the reduction.
bool LoopWriter::innerIsContiguous() {
  for (AffineMap map : op.getIndexingMapsArray()) {
    ArrayRef<AffineExpr> results = map.getResults();
    for (auto [position, expr] : llvm::enumerate(results)) {
      if (!expr.isFunctionOfDim(*inner))
        continue;
      if (position + 1 != results.size() || !isa<AffineDimExpr>(expr))
        return false;
    }
  }
  return true;
}

void LoopWriter::forEach(Value from, Value to, Body body, int64_t step) {
  auto loop = scf::ForOp::create(b, loc, from, to, constant(step));
  OpBuilder::InsertionGuard guard(b);
  b.setInsertionPointToStart(loop.getBody());
  body(loop.getInductionVar());
}

/// [begin, end) over all parallel dimensions becomes rows, of which the first
/// and the last may be partial.
void LoopWriter::write() {
  classify();
  if (outer.empty())
    return writeRow(begin, end);
  Value one = constant(1), zero = constant(0);
  Value width = arith::MaxSIOp::create(b, loc, sizes[*inner], one);
  Value firstRow = arith::DivUIOp::create(b, loc, begin, width);
  Value last = arith::AddIOp::create(b, loc, end,
                                     arith::SubIOp::create(b, loc, width, one));
  Value lastRow = arith::DivUIOp::create(b, loc, last, width);
  forEach(firstRow, lastRow, [&](Value row) {
    Value rest = row;
    for (unsigned dim : llvm::reverse(ArrayRef(outer).drop_front())) {
      Value size = arith::MaxSIOp::create(b, loc, sizes[dim], one);
      indices[dim] = arith::RemUIOp::create(b, loc, rest, size);
      rest = arith::DivUIOp::create(b, loc, rest, size);
    }
    indices[outer.front()] = rest;
    Value start = arith::MulIOp::create(b, loc, row, width);
    Value from = arith::SubIOp::create(b, loc, begin, start);
    Value to = arith::SubIOp::create(b, loc, end, start);
    writeRow(arith::MaxSIOp::create(b, loc, from, zero),
             arith::MinSIOp::create(b, loc, to, width));
  });
}

void LoopWriter::writeRow(Value from, Value to) {
  if (!reductions.empty() && inner && innerIsContiguous())
    return writeMemoryReduction(from, to);
  if (!reductions.empty())
    return writeRegisterReduction(from, to);
  forEach(from, to, [&](Value index) {
    if (inner)
      indices[*inner] = index;
    store(body(startValues()));
  });
}

void LoopWriter::writeRegisterReduction(Value from, Value to) {
  forEach(from, to, [&](Value index) {
    if (inner)
      indices[*inner] = index;
    store(reduce(0, startValues()));
  });
}

/// The loops over the reduction dimensions from `level` on; returns the
/// accumulators after them.
SmallVector<Value> LoopWriter::reduce(unsigned level,
                                      ArrayRef<Value> accumulators) {
  if (level == reductions.size())
    return body(accumulators);
  unsigned dim = reductions[level];
  auto loop = scf::ForOp::create(b, loc, constant(0), sizes[dim], constant(1),
                                 accumulators);
  OpBuilder::InsertionGuard guard(b);
  b.setInsertionPointToStart(loop.getBody());
  indices[dim] = loop.getInductionVar();
  SmallVector<Value> next =
      reduce(level + 1, SmallVector<Value>(loop.getRegionIterArgs()));
  scf::YieldOp::create(b, loc, next);
  return SmallVector<Value>(loop.getResults());
}

void LoopWriter::writeMemoryReduction(Value from, Value to) {
  if (llvm::any_of(starts, [](Value start) { return bool(start); }))
    forEach(from, to, [&](Value index) {
      indices[*inner] = index;
      store(startValues());
    });
  // Four steps of the last reduction dimension to one load and store of the
  // accumulators.
  constexpr int64_t unroll = 4;
  auto lastLevel = [&] {
    unsigned dim = reductions.back();
    Value four = constant(unroll);
    Value whole = arith::MulIOp::create(
        b, loc, arith::DivUIOp::create(b, loc, sizes[dim], four), four);
    forEach(
        constant(0), whole,
        [&](Value first) { accumulateRow(from, to, first, unroll); }, unroll);
    forEach(whole, sizes[dim],
            [&](Value first) { accumulateRow(from, to, first, 1); });
  };
  std::function<void(unsigned)> nest = [&](unsigned level) {
    if (level + 1 == reductions.size())
      return lastLevel();
    forEach(constant(0), sizes[reductions[level]], [&](Value index) {
      indices[reductions[level]] = index;
      nest(level + 1);
    });
  };
  nest(0);
}

void LoopWriter::accumulateRow(Value from, Value to, Value first,
                               unsigned count) {
  SmallVector<Value> steps{first};
  for (unsigned step = 1; step < count; ++step)
    steps.push_back(arith::AddIOp::create(b, loc, first, constant(step)));
  forEach(from, to, [&](Value index) {
    indices[*inner] = index;
    SmallVector<Value> accumulators = loadAccumulators();
    for (Value step : steps) {
      indices[reductions.back()] = step;
      accumulators = body(accumulators);
    }
    store(accumulators);
  });
}

/// About 10 µs of work at one scalar op per cycle and eight lanes.
static int64_t grainOf(linalg::GenericOp op) {
  int64_t work = 0;
  op.getBody()->walk([&](Operation *nested) {
    work += isa<math::MathDialect>(nested->getDialect()) ? 16
            : nested->getNumRegions()                    ? 256
                                                         : 1;
  });
  OpBuilder builder(op);
  for (auto [dim, kind] : llvm::enumerate(op.getIteratorTypesArray()))
    if (kind == utils::IteratorType::reduction)
      work *= getConstantIntValue(loopSize(builder, op, dim)).value_or(256);
  return std::max<int64_t>(1, 65536 / std::max<int64_t>(work, 1));
}

FailureOr<KernelRange> codegen::lowerToRangeLoops(func::FuncOp kernel) {
  FailureOr<KernelForm> form = readKernelForm(kernel);
  if (failed(form))
    return failure();
  if (!form->generic)
    return KernelRange{form->extent, 1};
  KernelRange range{form->extent, grainOf(form->generic)};
  linalg::GenericOp op = simplifyDimensions(form->generic);
  unsigned arguments = kernel.getNumArguments();
  LoopWriter(op, form->starts, kernel.getArgument(arguments - 2),
             kernel.getArgument(arguments - 1))
      .write();
  op.erase();
  return range;
}
