// OutlineKernels: cuts the arithmetic of a model out of its functions. A kernel
// is a function of buffers and sizes that knows nothing of where they come
// from, so that equal work is compiled once and the plan only has to name it.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
#include "dialects/QOpt/QOptOps.h"
#include "mlir/Dialect/Affine/IR/AffineOps.h"
#include "mlir/Dialect/Arith/IR/Arith.h"
#include "mlir/Dialect/Arith/Utils/Utils.h"
#include "mlir/Dialect/Func/IR/FuncOps.h"
#include "mlir/Dialect/Linalg/IR/Linalg.h"
#include "mlir/Dialect/Linalg/Transforms/Transforms.h"
#include "mlir/Dialect/MemRef/IR/MemRef.h"
#include "mlir/Dialect/MemRef/Transforms/Transforms.h"
#include "mlir/Dialect/Tensor/IR/Tensor.h"
#include "mlir/IR/IRMapping.h"
#include "mlir/Pass/Pass.h"
#include "mlir/Transforms/GreedyPatternRewriteDriver.h"
#include "passes/Lower/Passes.h"
#include "passes/Lower/SizeBuilder.h"

namespace qopt::passes {
#define GEN_PASS_DEF_OUTLINEKERNELSPASS
#include "passes/Lower/Passes.h.inc"
} // namespace qopt::passes

using namespace mlir;
using namespace qopt;

/// The element type of a buffer: booleans are bytes, integers signless.
static Type storageType(Type element) {
  auto integer = dyn_cast<IntegerType>(element);
  if (!integer)
    return element;
  unsigned width = integer.getWidth() == 1 ? 8 : integer.getWidth();
  return IntegerType::get(element.getContext(), width);
}

static Value fromStorage(OpBuilder &b, Location loc, Value value, Type type) {
  if (value.getType() == type)
    return value;
  if (type.isInteger(1)) {
    Value zero =
        arith::ConstantOp::create(b, loc, b.getIntegerAttr(value.getType(), 0));
    return arith::CmpIOp::create(b, loc, arith::CmpIPredicate::ne, value, zero);
  }
  return UnrealizedConversionCastOp::create(b, loc, type, value).getResult(0);
}

static Value toStorage(OpBuilder &b, Location loc, Value value) {
  Type type = storageType(value.getType());
  if (value.getType() == type)
    return value;
  if (value.getType().isInteger(1))
    return arith::ExtUIOp::create(b, loc, type, value);
  return UnrealizedConversionCastOp::create(b, loc, type, value).getResult(0);
}

namespace {
/// Cuts one generic out.
class Outliner {
public:
  Outliner(linalg::GenericOp op, ModuleOp kernels, unsigned number)
      : op(op), b(op), loc(op.getLoc()), kernels(kernels),
        name("kernel_" + std::to_string(number)) {}

  LogicalResult run();

private:
  LogicalResult collectStarts();
  LogicalResult collect();
  LogicalResult collectValue(Value value);
  void collectSizes(Value like, RankedTensorType type, bool isResult);
  void makeKernel();
  void makeViews(OpBuilder &inner);
  void makeGeneric(OpBuilder &inner);
  void readBuffers(linalg::GenericOp inner);
  void makeCall();

  linalg::GenericOp op;
  OpBuilder b;
  Location loc;
  ModuleOp kernels;
  std::string name;

  /// The scalar that each result starts from; null where nothing reads it.
  SmallVector<Value> starts;
  llvm::SetVector<Value> inputs;
  SmallVector<Operation *> constants; ///< cloned into the kernel, in order
  llvm::SetVector<Value> indices;     ///< index values that the region uses
  SmallVector<Value> sizes;           ///< all sizes: indices, then dimensions
  SmallVector<int64_t> resultSizes;
  func::FuncOp kernel;
  SmallVector<Value> views; ///< inputs, then results
  IRMapping mapping;
};
} // namespace

/// Results start undefined (tensor.empty) or filled with one scalar.
LogicalResult Outliner::collectStarts() {
  for (OpOperand &init : op.getDpsInitsMutable()) {
    Value value = init.get();
    while (auto cast = value.getDefiningOp<tensor::CastOp>())
      value = cast.getSource();
    if (auto fill = value.getDefiningOp<linalg::FillOp>()) {
      starts.push_back(fill.value());
      continue;
    }
    if (!op.getMatchingBlockArgument(&init).use_empty())
      return op.emitOpError("updates a tensor in place; expected an empty or "
                            "a filled one to write to");
    starts.push_back({});
  }
  return success();
}

/// Finds a home in the kernel for a value from outside.
LogicalResult Outliner::collectValue(Value value) {
  if (isa<RankedTensorType>(value.getType())) {
    inputs.insert(value);
    return success();
  }
  Operation *source = value.getDefiningOp();
  if (source && llvm::is_contained(constants, source))
    return success();
  bool isConstant = source && source->hasTrait<OpTrait::ConstantLike>();
  if (isa<IndexType>(value.getType()) && !isConstant) {
    indices.insert(value);
    return success();
  }
  if (!source || !isPure(source) || source->getNumRegions() != 0)
    return op.emitOpError("uses a scalar that its kernel cannot compute");
  for (Value operand : source->getOperands())
    if (failed(collectValue(operand)))
      return failure();
  constants.push_back(source);
  return success();
}

LogicalResult Outliner::collect() {
  if (failed(collectStarts()))
    return failure();
  for (Value input : op.getDpsInputs())
    inputs.insert(input);
  for (Value start : starts)
    if (start && failed(collectValue(start)))
      return failure();
  WalkResult walked = op.getRegion().walk([&](Operation *nested) {
    for (Value operand : nested->getOperands())
      if (operand.getParentRegion()->isProperAncestor(&op.getRegion()) &&
          failed(collectValue(operand)))
        return WalkResult::interrupt();
    return WalkResult::advance();
  });
  if (walked.wasInterrupted())
    return failure();
  llvm::append_range(sizes, indices);
  for (Value input : inputs)
    collectSizes(input, cast<RankedTensorType>(input.getType()), false);
  for (auto [init, result] : llvm::zip(op.getDpsInits(), op.getResults()))
    collectSizes(init, cast<RankedTensorType>(result.getType()), true);
  return success();
}

void Outliner::collectSizes(Value like, RankedTensorType type, bool isResult) {
  for (int64_t dim = 0; dim < type.getRank(); ++dim) {
    if (!type.isDynamicDim(dim))
      continue;
    if (isResult)
      resultSizes.push_back(sizes.size());
    sizes.push_back(b.createOrFold<tensor::DimOp>(loc, like, dim));
  }
}

void Outliner::makeKernel() {
  SmallVector<Type> arguments;
  auto addBuffer = [&](Type type) {
    Type element = cast<RankedTensorType>(type).getElementType();
    arguments.push_back(MemRefType::get({}, storageType(element)));
  };
  for (Value input : inputs)
    addBuffer(input.getType());
  for (Type type : op.getResultTypes())
    addBuffer(type);
  arguments.append(sizes.size() + 2, b.getIndexType());
  OpBuilder inner = OpBuilder::atBlockEnd(kernels.getBody());
  kernel =
      func::FuncOp::create(inner, loc, name, b.getFunctionType(arguments, {}));
  inner.setInsertionPointToStart(kernel.addEntryBlock());
  unsigned first = inputs.size() + op.getNumResults();
  for (auto [place, index] : llvm::enumerate(indices))
    mapping.map(index, kernel.getArgument(first + place));
  makeViews(inner);
  for (Operation *constant : constants)
    inner.clone(*constant, mapping);
  makeGeneric(inner);
  func::ReturnOp::create(inner, loc);
}

/// Gives every buffer its shape; the sizes of dynamic dimensions follow the
/// captured indices in the order of collectSizes.
void Outliner::makeViews(OpBuilder &inner) {
  unsigned next = inputs.size() + op.getNumResults() + indices.size();
  SmallVector<Type> types;
  for (Value input : inputs)
    types.push_back(input.getType());
  llvm::append_range(types, op.getResultTypes());
  for (auto [place, type] : llvm::enumerate(types)) {
    auto tensor = cast<RankedTensorType>(type);
    SmallVector<OpFoldResult> shape;
    for (int64_t size : tensor.getShape())
      shape.push_back(ShapedType::isDynamic(size)
                          ? OpFoldResult(kernel.getArgument(next++))
                          : OpFoldResult(inner.getIndexAttr(size)));
    SmallVector<OpFoldResult> strides(shape.size());
    OpFoldResult stride = inner.getIndexAttr(1);
    AffineExpr product =
        inner.getAffineSymbolExpr(0) * inner.getAffineSymbolExpr(1);
    for (int64_t dim = shape.size() - 1; dim >= 0; --dim) {
      strides[dim] = stride;
      if (dim > 0)
        stride = affine::makeComposedFoldedAffineApply(inner, loc, product,
                                                       {stride, shape[dim]});
    }
    auto view = MemRefType::get(tensor.getShape(),
                                storageType(tensor.getElementType()));
    views.push_back(memref::ReinterpretCastOp::create(
        inner, loc, view, kernel.getArgument(place), inner.getIndexAttr(0),
        shape, strides));
  }
}

void Outliner::makeGeneric(OpBuilder &inner) {
  SmallVector<Value> ins, outs(ArrayRef(views).drop_front(inputs.size()));
  for (Value input : op.getDpsInputs())
    ins.push_back(views[llvm::find(inputs, input) - inputs.begin()]);
  for (auto [start, out] : llvm::zip(starts, outs))
    if (start) {
      Value scalar = toStorage(inner, loc, mapping.lookupOrDefault(start));
      linalg::FillOp::create(inner, loc, scalar, out);
    }
  auto generic = linalg::GenericOp::create(
      inner, loc, ins, outs, op.getIndexingMapsArray(),
      op.getIteratorTypesArray(), [](OpBuilder &, Location, ValueRange) {});
  readBuffers(generic);
}

/// The region on storage types: loads convert, tensor.extract becomes
/// memref.load, the yield converts back.
void Outliner::readBuffers(linalg::GenericOp generic) {
  OpBuilder::InsertionGuard guard(b);
  b.setInsertionPointToStart(generic.getBody());
  for (auto [from, to] : llvm::zip(op.getBody()->getArguments(),
                                   generic.getBody()->getArguments()))
    mapping.map(from, fromStorage(b, loc, to, from.getType()));
  for (Operation &nested : op.getBody()->without_terminator())
    b.clone(nested, mapping);
  SmallVector<Value> results;
  for (Value value : op.getBody()->getTerminator()->getOperands())
    results.push_back(toStorage(b, loc, mapping.lookupOrDefault(value)));
  linalg::YieldOp::create(b, loc, results);
  generic.walk([&](tensor::ExtractOp extract) {
    unsigned place = llvm::find(inputs, extract.getTensor()) - inputs.begin();
    b.setInsertionPoint(extract);
    Value stored =
        memref::LoadOp::create(b, loc, views[place], extract.getIndices());
    extract.replaceAllUsesWith(fromStorage(b, loc, stored, extract.getType()));
    extract.erase();
  });
}

void Outliner::makeCall() {
  auto reference =
      SymbolRefAttr::get(kernels.getSymNameAttr(),
                         {FlatSymbolRefAttr::get(kernel.getSymNameAttr())});
  auto call = ir::GeneratedOp::create(b, loc, op.getResultTypes(), reference,
                                      inputs.getArrayRef(), sizes,
                                      b.getDenseI64ArrayAttr(resultSizes));
  op.replaceAllUsesWith(call.getResults());
  op.erase();
}

LogicalResult Outliner::run() {
  if (failed(collect()))
    return failure();
  makeKernel();
  makeCall();
  return success();
}

namespace {
struct OutlineKernelsPass
    : passes::impl::OutlineKernelsPassBase<OutlineKernelsPass> {
  void runOnOperation() override;
};
} // namespace

/// The same name is the same size: sizes of arguments that an earlier argument
/// determines are computed from it, so that equal sizes become one value.
static LogicalResult unifyArgumentSizes(func::FuncOp function) {
  onnx::SymbolicShapes shapes(function.getContext());
  for (BlockArgument argument : function.getArguments())
    shapes.declare(argument, function.getArgAttrOfType<ArrayAttr>(
                                 argument.getArgNumber(), "onnx.dims"));
  SizeBuilder sizes(function, shapes);
  SmallVector<tensor::DimOp> dims;
  function.walk([&](tensor::DimOp dim) {
    if (isa<BlockArgument>(dim.getSource()) && dim.getConstantIndex())
      dims.push_back(dim);
  });
  for (tensor::DimOp dim : dims) {
    OpBuilder builder(dim);
    AffineExpr expr = shapes.dim(dim.getSource(), *dim.getConstantIndex());
    OpFoldResult size = sizes.build(builder, dim.getLoc(), expr);
    if (!size)
      continue;
    dim.replaceAllUsesWith(
        getValueOrCreateConstantIndexOp(builder, dim.getLoc(), size));
    dim.erase();
  }
  return success();
}

/// Sizes as arithmetic on the functions' arguments.
static LogicalResult resolveSizes(func::FuncOp function) {
  RewritePatternSet patterns(function.getContext());
  memref::populateResolveRankedShapedTypeResultDimsPatterns(patterns);
  tensor::DimOp::getCanonicalizationPatterns(patterns, function.getContext());
  tensor::CastOp::getCanonicalizationPatterns(patterns, function.getContext());
  if (failed(applyPatternsGreedily(function, std::move(patterns))))
    return failure();
  return unifyArgumentSizes(function);
}

void OutlineKernelsPass::runOnOperation() {
  ModuleOp module = getOperation();
  OpBuilder builder = OpBuilder::atBlockEnd(module.getBody());
  auto kernels = module.lookupSymbol<ModuleOp>("kernels");
  if (!kernels)
    kernels = ModuleOp::create(builder, module.getLoc(), "kernels");
  unsigned number = 0;
  bool failedAny = false;
  for (auto function : module.getOps<func::FuncOp>()) {
    SmallVector<linalg::LinalgOp> named;
    function.walk([&](linalg::LinalgOp op) {
      if (!isa<linalg::GenericOp, linalg::FillOp>(op))
        named.push_back(op);
    });
    IRRewriter rewriter(&getContext());
    for (linalg::LinalgOp op : named) {
      rewriter.setInsertionPoint(op);
      failedAny |= failed(linalg::generalizeNamedOp(rewriter, op));
    }
    SmallVector<linalg::GenericOp> generics;
    function.walk([&](linalg::GenericOp op) { generics.push_back(op); });
    for (linalg::GenericOp op : generics)
      failedAny |= failed(Outliner(op, kernels, number++).run());
    failedAny |= failed(resolveSizes(function));
  }
  if (failedAny)
    signalPassFailure();
}
