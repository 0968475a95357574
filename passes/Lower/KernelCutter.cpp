// What all kernels have in common: operands, sizes, views of the buffers, the
// call.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
#include "passes/Lower/KernelCutter.h"

#include "dialects/QOpt/QOptOps.h"
#include "mlir/Dialect/Affine/IR/AffineOps.h"
#include "mlir/Dialect/Arith/IR/Arith.h"
#include "mlir/Dialect/MemRef/IR/MemRef.h"
#include "mlir/Dialect/Tensor/IR/Tensor.h"
#include "passes/Lower/Minifloat.h"

using namespace mlir;
using namespace qopt;

Type KernelCutter::storageType(Type element) {
  if (!isa<IntegerType>(element) && !isMinifloat(element))
    return element;
  unsigned width = std::max(8u, element.getIntOrFloatBitWidth());
  return IntegerType::get(element.getContext(), width);
}

Value KernelCutter::fromStorage(OpBuilder &inner, Value value, Type type) {
  if (value.getType() == type)
    return value;
  if (type.isInteger(1)) {
    Value zero = arith::ConstantOp::create(
        inner, loc, inner.getIntegerAttr(value.getType(), 0));
    return arith::CmpIOp::create(inner, loc, arith::CmpIPredicate::ne, value,
                                 zero);
  }
  unsigned width = type.getIntOrFloatBitWidth();
  if (width < 8)
    value =
        arith::TruncIOp::create(inner, loc, inner.getIntegerType(width), value);
  if (isa<FloatType>(type))
    return arith::BitcastOp::create(inner, loc, type, value);
  if (value.getType() == type)
    return value;
  return UnrealizedConversionCastOp::create(inner, loc, type, value)
      .getResult(0);
}

Value KernelCutter::toStorage(OpBuilder &inner, Value value) {
  Type from = value.getType(), type = storageType(from);
  if (from == type)
    return value;
  unsigned width = from.getIntOrFloatBitWidth();
  Type signless = inner.getIntegerType(width);
  if (isa<FloatType>(from))
    value = arith::BitcastOp::create(inner, loc, signless, value);
  else if (from != signless && width < 8)
    value = UnrealizedConversionCastOp::create(inner, loc, signless, value)
                .getResult(0);
  if (width < 8 && from.isSignlessInteger() && !from.isInteger(1))
    return arith::ExtSIOp::create(inner, loc, type, value);
  if (width < 8)
    return arith::ExtUIOp::create(inner, loc, type, value);
  if (value.getType() == type)
    return value;
  return UnrealizedConversionCastOp::create(inner, loc, type, value)
      .getResult(0);
}

LogicalResult KernelCutter::collectValue(Value value) {
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
    return op->emitOpError("uses a scalar that its kernel cannot compute");
  for (Value operand : source->getOperands())
    if (failed(collectValue(operand)))
      return failure();
  constants.push_back(source);
  return success();
}

LogicalResult KernelCutter::collectRegion(Region &region) {
  WalkResult walked = region.walk([&](Operation *nested) {
    for (Value operand : nested->getOperands())
      if (operand.getParentRegion()->isProperAncestor(&region) &&
          failed(collectValue(operand)))
        return WalkResult::interrupt();
    return WalkResult::advance();
  });
  return failure(walked.wasInterrupted());
}

Value KernelCutter::viewOf(Value input) const {
  return views[llvm::find(inputs, input) - inputs.begin()];
}

void KernelCutter::collectSizes(Value like, RankedTensorType type,
                                bool isResult) {
  for (int64_t dim = 0; dim < type.getRank(); ++dim) {
    if (!type.isDynamicDim(dim))
      continue;
    if (isResult)
      resultSizes.push_back(sizes.size());
    sizes.push_back(b.createOrFold<tensor::DimOp>(loc, like, dim));
  }
}

void KernelCutter::makeKernel() {
  SmallVector<Type> arguments;
  auto addBuffer = [&](Type type) {
    Type element = cast<RankedTensorType>(type).getElementType();
    arguments.push_back(MemRefType::get({}, storageType(element)));
  };
  for (Value input : inputs)
    addBuffer(input.getType());
  for (Type type : op->getResultTypes())
    addBuffer(type);
  arguments.append(sizes.size() + 2, b.getIndexType());
  OpBuilder inner = OpBuilder::atBlockEnd(kernels.getBody());
  kernel =
      func::FuncOp::create(inner, loc, name, b.getFunctionType(arguments, {}));
  inner.setInsertionPointToStart(kernel.addEntryBlock());
  unsigned first = inputs.size() + op->getNumResults();
  for (auto [place, index] : llvm::enumerate(indices))
    mapping.map(index, kernel.getArgument(first + place));
  makeViews(inner);
  for (Operation *constant : constants)
    inner.clone(*constant, mapping);
  writeBody(inner);
  func::ReturnOp::create(inner, loc);
}

/// Gives every buffer its shape; the sizes of dynamic dimensions follow the
/// captured indices in the order of collectSizes.
void KernelCutter::makeViews(OpBuilder &inner) {
  unsigned next = inputs.size() + op->getNumResults() + indices.size();
  SmallVector<Type> types;
  for (Value input : inputs)
    types.push_back(input.getType());
  llvm::append_range(types, op->getResultTypes());
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

void KernelCutter::makeCall() {
  auto reference =
      SymbolRefAttr::get(kernels.getSymNameAttr(),
                         {FlatSymbolRefAttr::get(kernel.getSymNameAttr())});
  auto call = ir::GeneratedOp::create(b, loc, op->getResultTypes(), reference,
                                      inputs.getArrayRef(), sizes,
                                      b.getDenseI64ArrayAttr(resultSizes));
  op->replaceAllUsesWith(call.getResults());
  op->erase();
}

LogicalResult KernelCutter::run() {
  if (failed(collect()))
    return failure();
  llvm::append_range(sizes, indices);
  for (Value input : inputs)
    collectSizes(input, cast<RankedTensorType>(input.getType()), false);
  for (auto [like, result] : llvm::zip(likeResults(), op->getResults()))
    collectSizes(like, cast<RankedTensorType>(result.getType()), true);
  makeKernel();
  makeCall();
  return success();
}
