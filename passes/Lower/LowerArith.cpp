// LowerArith: raising and fusing write plain arithmetic on whole tensors (a
// residual sum, a scale) as arith and math ops on tensor operands; here it
// joins everything else that is generated. What lies in qopt.fused belongs to
// its kernel.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
#include "mlir/Dialect/Arith/IR/Arith.h"
#include "mlir/Dialect/Func/IR/FuncOps.h"
#include "mlir/Dialect/Linalg/IR/Linalg.h"
#include "mlir/Dialect/Math/IR/Math.h"
#include "mlir/Dialect/Tensor/IR/Tensor.h"
#include "mlir/Pass/Pass.h"
#include "passes/Lower/GenericOps.h"
#include "passes/Lower/Passes.h"

namespace qopt::passes {
#define GEN_PASS_DEF_LOWERARITHPASS
#include "passes/Lower/Passes.h.inc"
} // namespace qopt::passes

using namespace mlir;
using namespace qopt;

static bool isTensorArithmetic(Operation &op) {
  return isa<arith::ArithDialect, math::MathDialect>(op.getDialect()) &&
         OpTrait::hasElementwiseMappableTraits(&op) &&
         op.getNumResults() == 1 &&
         isa<RankedTensorType>(op.getResult(0).getType());
}

/// The same op on elements, for all of them.
static void lowerToGeneric(Operation &op) {
  OpBuilder b(&op);
  Location loc = op.getLoc();
  auto type = cast<RankedTensorType>(op.getResult(0).getType());
  AffineMap identity = b.getMultiDimIdentityMap(type.getRank());
  SmallVector<Value> tensors;
  for (Value operand : op.getOperands())
    if (isa<RankedTensorType>(operand.getType()))
      tensors.push_back(operand);
  Value like = tensors.front();
  SmallVector<AffineMap> maps(tensors.size() + 1, identity);
  Value init = tensor::EmptyOp::create(
      b, loc, tensor::getMixedSizes(b, loc, like), type.getElementType());
  if (init.getType() != type)
    init = tensor::CastOp::create(b, loc, type, init);
  SmallVector<utils::IteratorType> kinds(type.getRank(),
                                         utils::IteratorType::parallel);
  auto generic = linalg::GenericOp::create(
      b, loc, type, tensors, init, maps, kinds,
      [&](OpBuilder &inner, Location, ValueRange elements) {
        Operation *scalar = inner.create(loc, op.getName().getIdentifier(),
                                         elements.drop_back(),
                                         type.getElementType(), op.getAttrs());
        linalg::YieldOp::create(inner, loc, scalar->getResults());
      });
  op.replaceAllUsesWith(generic);
  op.erase();
}

namespace {
struct LowerArithPass : passes::impl::LowerArithPassBase<LowerArithPass> {
  void runOnOperation() override {
    if (getOperation().isExternal())
      return;
    for (Operation &op :
         llvm::make_early_inc_range(getOperation().getBody().front()))
      if (isTensorArithmetic(op))
        lowerToGeneric(op);
      else if (auto route = dyn_cast<ir::RouteOp>(op)) // no kernel of its own
        lowerRoute(route);
  }
};
} // namespace
