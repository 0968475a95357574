// Loops for one linalg.generic on memrefs, shaped so that LLVM's loop
// vectoriser finds a unit-stride innermost loop:
//   pointwise                    rows · [inner parallel dimension]
//   reduction along the rows     rows · [parallel] · reduction with the
//   accumulators in registers reduction across the rows    rows · reduction by
//   four · [inner parallel dimension] with the accumulators in memory
// Not for tiling into caches: matrix products that matter are host kernels.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
#include "lib/Codegen/Host/KernelLoops.h"

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

/// The size of one dimension of a kernel's buffer view.
static OpFoldResult sizeOf(OpBuilder &builder, Value buffer, unsigned dim) {
  if (auto cast = buffer.getDefiningOp<memref::ReinterpretCastOp>())
    return cast.getMixedSizes()[dim];
  auto type = cast<MemRefType>(buffer.getType());
  if (!type.isDynamicDim(dim))
    return builder.getIndexAttr(type.getDimSize(dim));
  return memref::DimOp::create(builder, buffer.getLoc(), buffer, dim)
      .getResult();
}

/// The size of iteration dimension `dim`, read off an operand it indexes alone.
static OpFoldResult loopSize(OpBuilder &builder, linalg::GenericOp op,
                             unsigned dim) {
  for (OpOperand &operand : op->getOpOperands()) {
    AffineMap map = op.getMatchingIndexingMap(&operand);
    for (auto [position, expr] : llvm::enumerate(map.getResults()))
      if (auto d = dyn_cast<AffineDimExpr>(expr); d && d.getPosition() == dim)
        return sizeOf(builder, operand.get(), position);
  }
  return {};
}

namespace {
/// Writes the loops of one generic. `starts` holds the scalar that each output
/// is filled with before, or null where the output's present content counts.
class LoopWriter {
public:
  LoopWriter(linalg::GenericOp op, SmallVector<Value> starts, Value begin,
             Value end)
      : op(op), b(op), loc(op.getLoc()), starts(std::move(starts)),
        begin(begin), end(end) {}

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

  Value constant(int64_t value) {
    return arith::ConstantIndexOp::create(b, loc, value);
  }
  SmallVector<Value> position(AffineMap map);
  SmallVector<Value> body(ArrayRef<Value> accumulators);
  SmallVector<Value> loadAccumulators();
  SmallVector<Value> startValues();
  void store(ArrayRef<Value> values);

  linalg::GenericOp op;
  OpBuilder b;
  Location loc;
  SmallVector<Value> starts;
  Value begin, end;
  SmallVector<Value> sizes, indices;
  SmallVector<unsigned> outer, reductions;
  std::optional<unsigned> inner;
};
} // namespace

void LoopWriter::classify() {
  for (auto [dim, kind] : llvm::enumerate(op.getIteratorTypesArray())) {
    OpFoldResult size = loopSize(b, op, dim);
    sizes.push_back(getValueOrCreateConstantIndexOp(b, loc, size));
    indices.push_back(constant(0));
    if (getConstantIntValue(size) == 1)
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

SmallVector<Value> LoopWriter::position(AffineMap map) {
  SmallVector<Value> values;
  for (AffineExpr expr : map.getResults()) {
    if (auto dim = dyn_cast<AffineDimExpr>(expr))
      values.push_back(indices[dim.getPosition()]);
    else if (auto number = dyn_cast<AffineConstantExpr>(expr))
      values.push_back(constant(number.getValue()));
    else
      values.push_back(affine::AffineApplyOp::create(
          b, loc, AffineMap::get(map.getNumDims(), 0, expr), indices));
  }
  return values;
}

/// One evaluation of the region at `indices`.
SmallVector<Value> LoopWriter::body(ArrayRef<Value> accumulators) {
  IRMapping mapping;
  Block *block = op.getBody();
  for (OpOperand *input : op.getDpsInputOperands()) {
    BlockArgument argument = op.getMatchingBlockArgument(input);
    if (argument.use_empty())
      continue;
    if (!isa<MemRefType>(input->get().getType())) {
      mapping.map(argument, input->get());
      continue;
    }
    AffineMap map = op.getMatchingIndexingMap(input);
    mapping.map(argument,
                memref::LoadOp::create(b, loc, input->get(), position(map)));
  }
  unsigned inputs = op.getNumDpsInputs();
  for (auto [index, accumulator] : llvm::enumerate(accumulators))
    if (accumulator)
      mapping.map(block->getArgument(inputs + index), accumulator);
  for (Operation &nested : block->without_terminator()) {
    if (auto index = dyn_cast<linalg::IndexOp>(nested)) {
      mapping.map(index.getResult(), indices[index.getDim()]);
      continue;
    }
    b.clone(nested, mapping)->walk([&](linalg::IndexOp index) {
      index.replaceAllUsesWith(indices[index.getDim()]);
      index.erase();
    });
  }
  SmallVector<Value> results;
  for (Value value : block->getTerminator()->getOperands())
    results.push_back(mapping.lookupOrDefault(value));
  return results;
}

SmallVector<Value> LoopWriter::loadAccumulators() {
  SmallVector<Value> values;
  for (OpOperand &output : op.getDpsInitsMutable())
    values.push_back(memref::LoadOp::create(
        b, loc, output.get(), position(op.getMatchingIndexingMap(&output))));
  return values;
}

/// What the outputs hold before the first evaluation; null where the region
/// does not ask.
SmallVector<Value> LoopWriter::startValues() {
  SmallVector<Value> values;
  for (auto [start, output] : llvm::zip(starts, op.getDpsInitsMutable())) {
    bool used = !op.getMatchingBlockArgument(&output).use_empty();
    if (start || (!used && reductions.empty()))
      values.push_back(start);
    else
      values.push_back(memref::LoadOp::create(
          b, loc, output.get(), position(op.getMatchingIndexingMap(&output))));
  }
  return values;
}

void LoopWriter::store(ArrayRef<Value> values) {
  for (auto [value, output] : llvm::zip(values, op.getDpsInitsMutable()))
    if (value)
      memref::StoreOp::create(b, loc, value, output.get(),
                              position(op.getMatchingIndexingMap(&output)));
}

/// Sums may be reassociated, or no reduction of floats would be vectorised:
/// the one place where generated code leaves the order of the source.
static void allowReassociation(linalg::GenericOp op) {
  if (op.getNumReductionLoops() == 0)
    return;
  auto flags = arith::FastMathFlagsAttr::get(
      op.getContext(),
      arith::FastMathFlags::reassoc | arith::FastMathFlags::contract);
  auto contract = arith::FastMathFlagsAttr::get(op.getContext(),
                                                arith::FastMathFlags::contract);
  for (BlockArgument argument : op.getRegionOutputArgs())
    for (Operation *user : argument.getUsers()) {
      if (!isa<arith::AddFOp, arith::MulFOp>(user))
        continue;
      user->setAttr("fastmath", flags);
      for (Value operand : user->getOperands())
        if (auto product = operand.getDefiningOp<arith::MulFOp>())
          product.setFastmathAttr(contract);
    }
}

/// Merges neighbouring dimensions that every operand walks as one, so that rows
/// become long.
static linalg::GenericOp collapse(linalg::GenericOp op) {
  if (op.hasIndexSemantics() ||
      !llvm::all_of(op.getIndexingMapsArray(),
                    [](AffineMap map) { return map.isProjectedPermutation(); }))
    return op;
  SmallVector<ReassociationIndices> groups;
  SmallVector<utils::IteratorType> kinds = op.getIteratorTypesArray();
  SmallVector<AffineMap> maps = op.getIndexingMapsArray();
  unsigned dims = kinds.size();
  for (unsigned first = 0; first < dims;) {
    ReassociationIndices group{first};
    while (first + group.size() < dims) {
      unsigned next = first + group.size();
      ReassociationIndices longer = group;
      longer.push_back(next);
      if (kinds[next] != kinds[first] ||
          !linalg::areDimSequencesPreserved(maps, {longer}))
        break;
      group = longer;
    }
    first += group.size();
    if (group.size() > 1)
      groups.push_back(group);
  }
  if (groups.empty())
    return op;
  IRRewriter rewriter(op);
  auto collapsed = linalg::collapseOpIterationDims(op, groups, rewriter);
  if (failed(collapsed))
    return op;
  rewriter.eraseOp(op);
  return cast<linalg::GenericOp>(collapsed->collapsedOp.getOperation());
}

/// The number of iterations as an expression over the kernel's size arguments.
static FailureOr<AffineMap> extentOf(linalg::GenericOp op, func::FuncOp kernel,
                                     unsigned firstSize, unsigned numSizes) {
  OpBuilder builder(op);
  AffineExpr product = builder.getAffineConstantExpr(1);
  for (auto [dim, kind] : llvm::enumerate(op.getIteratorTypesArray())) {
    OpFoldResult size = loopSize(builder, op, dim);
    if (!size)
      return op.emitOpError("has an iteration dimension (")
             << dim << ") that no operand is indexed by alone";
    if (kind == utils::IteratorType::reduction)
      continue;
    if (std::optional<int64_t> number = getConstantIntValue(size)) {
      product = product * *number;
      continue;
    }
    auto argument = dyn_cast<BlockArgument>(cast<Value>(size));
    if (!argument || argument.getOwner() != &kernel.getBody().front() ||
        argument.getArgNumber() < firstSize ||
        argument.getArgNumber() >= firstSize + numSizes)
      return op.emitOpError("has a dynamic size that is no argument of \"")
             << kernel.getSymName() << "\"";
    product = product *
              builder.getAffineSymbolExpr(argument.getArgNumber() - firstSize);
  }
  return AffineMap::get(0, numSizes, product);
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

static KernelRange constantRange(func::FuncOp kernel, unsigned sizes,
                                 int64_t extent) {
  AffineExpr expr = getAffineConstantExpr(extent, kernel.getContext());
  return {AffineMap::get(0, sizes, expr), 1};
}

FailureOr<KernelRange> codegen::lowerToRangeLoops(func::FuncOp kernel) {
  unsigned arguments = kernel.getNumArguments();
  unsigned buffers = llvm::count_if(kernel.getArgumentTypes(), [](Type type) {
    return isa<MemRefType>(type);
  });
  if (arguments < buffers + 2)
    return kernel.emitOpError("is no kernel; expected buffers, sizes and the "
                              "two indices of a range");
  if (kernel->hasAttr("qopt.undivided"))
    return constantRange(kernel, arguments - buffers - 2, 1);
  SmallVector<linalg::GenericOp> generics(kernel.getOps<linalg::GenericOp>());
  if (generics.empty()) {
    // Simplification has found that it computes nothing: what remains is to
    // fill the results, if they have elements.
    SmallVector<linalg::FillOp> fills(kernel.getOps<linalg::FillOp>());
    if (fills.empty())
      return constantRange(kernel, arguments - buffers - 2, 0);
    IRRewriter rewriter(fills.front());
    FailureOr<linalg::GenericOp> filling =
        linalg::generalizeNamedOp(rewriter, fills.front());
    if (succeeded(filling))
      generics.push_back(*filling);
  }
  if (generics.size() != 1)
    return kernel.emitOpError("has ")
           << generics.size() << " linalg.generic ops; expected one";
  FailureOr<AffineMap> extent =
      extentOf(generics.front(), kernel, buffers, arguments - buffers - 2);
  if (failed(extent))
    return failure();
  KernelRange range{*extent, grainOf(generics.front())};

  llvm::SmallDenseMap<Value, Value> fills;
  for (auto fill :
       llvm::make_early_inc_range(kernel.getOps<linalg::FillOp>())) {
    fills[fill.output()] = fill.value();
    fill.erase();
  }
  SmallVector<Value> starts;
  for (Value output : generics.front().getDpsInits())
    starts.push_back(fills.lookup(output));
  allowReassociation(generics.front());
  linalg::GenericOp op = collapse(generics.front());
  LoopWriter(op, starts, kernel.getArgument(arguments - 2),
             kernel.getArgument(arguments - 1))
      .write();
  op.erase();
  return range;
}
