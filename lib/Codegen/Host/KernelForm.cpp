// Reading a kernel's form, and its generic at one place.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
#include "lib/Codegen/Host/KernelForm.h"

#include "mlir/Dialect/Affine/IR/AffineOps.h"
#include "mlir/Dialect/Func/IR/FuncOps.h"
#include "mlir/Dialect/Linalg/Transforms/Transforms.h"
#include "mlir/Dialect/MemRef/IR/MemRef.h"
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

OpFoldResult codegen::loopSize(OpBuilder &builder, linalg::GenericOp op,
                               unsigned dim) {
  for (OpOperand &operand : op->getOpOperands()) {
    AffineMap map = op.getMatchingIndexingMap(&operand);
    for (auto [position, expr] : llvm::enumerate(map.getResults()))
      if (auto d = dyn_cast<AffineDimExpr>(expr); d && d.getPosition() == dim)
        return sizeOf(builder, operand.get(), position);
  }
  return {};
}

/// Or no reduction of floats would be vectorised or divided among threads.
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

linalg::GenericOp codegen::simplifyDimensions(linalg::GenericOp op) {
  allowReassociation(op);
  return collapse(op);
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

/// Reading stops here: the kernel has `extent` iterations and no generic.
static KernelForm constantForm(func::FuncOp kernel, KernelForm form,
                               int64_t extent) {
  AffineExpr expr = getAffineConstantExpr(extent, kernel.getContext());
  form.extent = AffineMap::get(0, form.sizes, expr);
  return form;
}

FailureOr<KernelForm> codegen::readKernelForm(func::FuncOp kernel) {
  KernelForm form;
  unsigned arguments = kernel.getNumArguments();
  form.buffers = llvm::count_if(kernel.getArgumentTypes(), [](Type type) {
    return isa<MemRefType>(type);
  });
  if (arguments < form.buffers + 2)
    return kernel.emitOpError("is no kernel; expected buffers, sizes and the "
                              "two indices of a range");
  form.sizes = arguments - form.buffers - 2;
  if (kernel->hasAttr("qopt.undivided"))
    return constantForm(kernel, form, 1);
  SmallVector<linalg::GenericOp> generics(kernel.getOps<linalg::GenericOp>());
  if (generics.empty()) {
    // Simplification has found that it computes nothing: what remains is to
    // fill the results, if they have elements.
    SmallVector<linalg::FillOp> fills(kernel.getOps<linalg::FillOp>());
    if (fills.empty())
      return constantForm(kernel, form, 0);
    IRRewriter rewriter(fills.front());
    FailureOr<linalg::GenericOp> filling =
        linalg::generalizeNamedOp(rewriter, fills.front());
    if (succeeded(filling))
      generics.push_back(*filling);
  }
  if (generics.size() != 1)
    return kernel.emitOpError("has ")
           << generics.size() << " linalg.generic ops; expected one";
  form.generic = generics.front();
  FailureOr<AffineMap> extent =
      extentOf(form.generic, kernel, form.buffers, form.sizes);
  if (failed(extent))
    return failure();
  form.extent = *extent;

  llvm::SmallDenseMap<Value, Value> fills;
  for (auto fill :
       llvm::make_early_inc_range(kernel.getOps<linalg::FillOp>())) {
    fills[fill.output()] = fill.value();
    fill.erase();
  }
  for (Value output : form.generic.getDpsInits())
    form.starts.push_back(fills.lookup(output));
  return form;
}

ElementWriter::ElementWriter(linalg::GenericOp op, SmallVector<Value> starts)
    : op(op), b(op), loc(op.getLoc()), starts(std::move(starts)) {
  for (unsigned dim = 0; dim < op.getNumLoops(); ++dim) {
    OpFoldResult size = loopSize(b, op, dim);
    sizes.push_back(getValueOrCreateConstantIndexOp(b, loc, size));
    indices.push_back(constant(0));
  }
}

SmallVector<Value> ElementWriter::position(AffineMap map) {
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

SmallVector<Value> ElementWriter::body(ArrayRef<Value> accumulators) {
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

SmallVector<Value> ElementWriter::loadAccumulators() {
  SmallVector<Value> values;
  for (OpOperand &output : op.getDpsInitsMutable())
    values.push_back(memref::LoadOp::create(
        b, loc, output.get(), position(op.getMatchingIndexingMap(&output))));
  return values;
}

SmallVector<Value> ElementWriter::startValues() {
  SmallVector<Value> values;
  for (auto [start, output] : llvm::zip(starts, op.getDpsInitsMutable())) {
    bool used = !op.getMatchingBlockArgument(&output).use_empty();
    if (start || (!used && op.getNumReductionLoops() == 0))
      values.push_back(start);
    else
      values.push_back(memref::LoadOp::create(
          b, loc, output.get(), position(op.getMatchingIndexingMap(&output))));
  }
  return values;
}

void ElementWriter::store(ArrayRef<Value> values) {
  for (auto [value, output] : llvm::zip(values, op.getDpsInitsMutable()))
    if (value)
      memref::StoreOp::create(b, loc, value, output.get(),
                              position(op.getMatchingIndexingMap(&output)));
}
