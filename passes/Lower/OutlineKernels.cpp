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
#include "passes/Lower/KernelCutter.h"
#include "passes/Lower/Passes.h"
#include "passes/Lower/SizeBuilder.h"

namespace qopt::passes {
#define GEN_PASS_DEF_OUTLINEKERNELSPASS
#include "passes/Lower/Passes.h.inc"
} // namespace qopt::passes

using namespace mlir;
using namespace qopt;

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
      failedAny |= failed(cutGeneric(op, kernels, number++));
    for (auto loop : llvm::make_early_inc_range(function.getOps<scf::ForOp>()))
      failedAny |= failed(cutLoop(loop, kernels, number++));
    failedAny |= failed(resolveSizes(function));
  }
  if (failedAny)
    signalPassFailure();
}
