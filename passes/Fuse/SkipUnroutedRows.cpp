// A mixture's graph computes every expert of every token and multiplies what
// the token did not take by 0:
//
//   route ── slice of expert e ── share ──────────────┐
//   x ── linear ── gate ── linear ── y ───────────────┴─ y * share
//
// Here all linears between x and y, which nothing else reads, learn the share.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
#include "dialects/Onnx/OnnxOps.h"
#include "dialects/QOpt/QOptOps.h"
#include "mlir/Dialect/Arith/IR/Arith.h"
#include "mlir/Dialect/Linalg/IR/Linalg.h"
#include "mlir/Dialect/Tensor/IR/Tensor.h"
#include "passes/Fuse/Passes.h"
#include "llvm/ADT/SetVector.h"

namespace qopt::passes {
#define GEN_PASS_DEF_SKIPUNROUTEDROWSPASS
#include "passes/Fuse/Passes.h.inc"
} // namespace qopt::passes

using namespace mlir;
using namespace qopt;
using namespace qopt::ir;

/// Whether every element of the result is the product of the operands' elements
/// there, or in the same row where the last axis of one has one element.
static bool isProduct(linalg::GenericOp op) {
  if (op.getNumDpsInputs() != 2 || op->getNumResults() != 1 ||
      op.getNumParallelLoops() != op.getNumLoops() ||
      op.getBody()->getOperations().size() != 2)
    return false;
  auto product = op.getBody()->front().getResult(0);
  auto multiply = dyn_cast<arith::MulFOp>(product.getDefiningOp());
  if (!multiply || op.getBody()->getTerminator()->getOperand(0) != product)
    return false;
  Value a = op.getBody()->getArgument(0), b = op.getBody()->getArgument(1);
  if (!(multiply.getLhs() == a && multiply.getRhs() == b) &&
      !(multiply.getLhs() == b && multiply.getRhs() == a))
    return false;
  return llvm::all_of(op.getIndexingMapsArray(), [&](AffineMap map) {
    SmallVector<AffineExpr> expected(map.getNumResults());
    for (auto [i, result] : llvm::enumerate(map.getResults())) {
      bool isZero = isa<AffineConstantExpr>(result) &&
                    cast<AffineConstantExpr>(result).getValue() == 0;
      bool isLast = i + 1 == map.getNumResults();
      if (result != getAffineDimExpr(i, map.getContext()) &&
          !(isZero && isLast))
        return false;
    }
    return map.getNumResults() == map.getNumDims();
  });
}

/// The route of which the value is one expert's column.
static RouteOp routeOf(Value value) {
  Value source;
  if (auto slice = value.getDefiningOp<tensor::ExtractSliceOp>()) {
    auto isOne = [](int64_t stride) { return stride == 1; };
    auto offsets = slice.getStaticOffsets();
    bool hasAllRows =
        llvm::all_of(slice.getStaticStrides(), isOne) && !offsets.empty() &&
        llvm::all_of(offsets.drop_back(), [](int64_t at) { return at == 0; });
    source = hasAllRows ? slice.getSource() : Value();
  } else if (auto split = value.getDefiningOp<onnx::SplitOp>()) {
    source = split.getData();
  }
  auto route = source ? source.getDefiningOp<RouteOp>() : RouteOp();
  auto type = dyn_cast<RankedTensorType>(value.getType());
  bool isColumn = route && type && type.getRank() > 0 &&
                  type.getElementType().isF32() &&
                  type.getShape().back() == 1 &&
                  type.getShape().drop_back() ==
                      cast<ShapedType>(route.getType()).getShape().drop_back();
  return isColumn ? route : RouteOp();
}

/// Elements of the result are made of elements in the same row alone.
static bool isRowWise(Operation *op) {
  if (isa<LinearOp, ActivationOp, GatedActivationOp, QuantizeOp>(op))
    return true;
  auto shapeOf = [](Value value) {
    return cast<ShapedType>(value.getType()).getShape();
  };
  if (auto reshape = dyn_cast<onnx::ReshapeOp>(op)) // a row's columns to pairs
    return shapeOf(reshape.getResult()).size() ==
               shapeOf(reshape.getData()).size() + 1 &&
           shapeOf(reshape.getResult()).drop_back(2) ==
               shapeOf(reshape.getData()).drop_back();
  if (auto gather = dyn_cast<onnx::GatherOp>(op)) // one of each pair
    return shapeOf(gather.getIndices()).empty() &&
           shapeOf(gather.getResult()) == shapeOf(gather.getData()).drop_back();
  return isa<onnx::AddOp, onnx::MulOp, onnx::MinOp, onnx::MaxOp>(op) &&
         llvm::all_of(op->getOperands(), [&](Value operand) {
           return operand.getType() == op->getResult(0).getType() ||
                  (operand.getDefiningOp<onnx::ConstantOp>() &&
                   shapeOf(operand).size() <= 1);
         });
}

/// The linear whose result the value is, which has the share's rows.
static LinearOp linearOf(Value value, Value share) {
  auto linear = value.getDefiningOp<LinearOp>();
  bool fits = linear && !linear.getResidual() && !linear.getShare() &&
              cast<ShapedType>(value.getType()).getShape().drop_back() ==
                  cast<ShapedType>(share.getType()).getShape().drop_back();
  return fits ? linear : LinearOp();
}

/// What the linear reads that nothing else reads, back to the first linears;
/// empty where something else reads the last.
static SetVector<Operation *> expertOf(LinearOp last, Operation *product) {
  SetVector<Operation *> expert;
  auto isReadByExpert = [&](Operation *op) {
    return llvm::all_of(op->getUsers(), [&](Operation *user) {
      return user == product || expert.contains(user) ||
             isa<tensor::DimOp>(user);
    });
  };
  auto visit = [&](Operation *op) {
    bool fits = op && op->getBlock() == product->getBlock() && isRowWise(op);
    if (fits && isReadByExpert(op))
      expert.insert(op);
  };
  visit(last);
  // Operations behind others come first: a reader is seen before what it reads.
  for (size_t i = 0; i < expert.size(); ++i)
    for (Value operand : expert[i]->getOperands())
      visit(operand.getDefiningOp());
  return expert;
}

/// Moves what computes `value` ahead of `first`, where nothing hinders that: a
/// route may stand behind the first linears of an expert.
static LogicalResult moveAhead(Value value, Operation *first,
                               const SetVector<Operation *> &expert) {
  SetVector<Operation *> behind;
  auto visit = [&](Value operand) {
    Operation *op = operand.getDefiningOp();
    if (op && op->getBlock() == first->getBlock() &&
        !op->isBeforeInBlock(first))
      behind.insert(op);
  };
  visit(value);
  for (size_t i = 0; i < behind.size(); ++i) {
    if (expert.contains(behind[i]) || !isPure(behind[i]))
      return failure();
    behind[i]->walk([&](Operation *op) { // with what regions read
      for (Value operand : op->getOperands())
        visit(operand);
    });
  }
  SmallVector<Operation *> inOrder(behind.begin(), behind.end());
  llvm::sort(inOrder,
             [](Operation *a, Operation *b) { return a->isBeforeInBlock(b); });
  for (Operation *op : inOrder)
    op->moveBefore(first);
  return success();
}

namespace {
struct SkipUnroutedRows
    : qopt::passes::impl::SkipUnroutedRowsPassBase<SkipUnroutedRows> {
  void runOnOperation() override {
    SmallVector<Operation *> products;
    getOperation().walk([&](Operation *op) {
      auto generic = dyn_cast<linalg::GenericOp>(op);
      if (generic ? isProduct(generic) : isa<onnx::MulOp, arith::MulFOp>(op))
        products.push_back(op);
    });
    for (Operation *op : products)
      skip(op, op->getOperand(0), op->getOperand(1));
  }

  void skip(Operation *product, Value a, Value b) {
    if (routeOf(a))
      std::swap(a, b);
    LinearOp last = routeOf(b) ? linearOf(a, b) : LinearOp();
    if (!last)
      return;
    SetVector<Operation *> expert = expertOf(last, product);
    if (expert.empty())
      return;
    Operation *first = expert.front();
    for (Operation *op : expert)
      if (op->isBeforeInBlock(first))
        first = op;
    if (failed(moveAhead(b, first, expert)))
      return;
    for (Operation *op : expert)
      if (auto linear = dyn_cast<LinearOp>(op);
          linear && linearOf(linear.getResult(), b))
        giveShare(linear, b);
  }

  static void giveShare(LinearOp linear, Value share) {
    RouteOp route = routeOf(share);
    auto experts = cast<ShapedType>(route.getType()).getShape().back();
    linear.getShareMutable().assign(share);
    linear.setTaken(APFloat(double(route.getCount()) / double(experts)));
  }
};
} // namespace
