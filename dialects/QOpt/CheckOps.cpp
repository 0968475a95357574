// Folding of requirements, constraints and shapes of index checks.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
#include "dialects/QOpt/QOptOps.h"
#include "dialects/QOpt/Shapes.h"
#include "mlir/Dialect/Utils/StaticValueUtils.h"
#include "mlir/IR/PatternMatch.h"

using namespace mlir;
using namespace qopt::ir;

bool qopt::ir::holds(SizeRelation relation, int64_t lhs, int64_t rhs) {
  switch (relation) {
  case SizeRelation::Equal:
    return lhs == rhs;
  case SizeRelation::Broadcast:
    return lhs == rhs || (lhs == 1 && rhs > 0) || (rhs == 1 && lhs > 0);
  case SizeRelation::AtMost:
    return lhs <= rhs;
  case SizeRelation::MultipleOf:
    if (rhs == 0 || rhs == -1) // what the machine cannot divide by, or may not
      return rhs == -1 || lhs == 0;
    return lhs % rhs == 0;
  }
  llvm_unreachable("every relation is decided");
}

LogicalResult RequireOp::canonicalize(RequireOp op, PatternRewriter &rewriter) {
  auto lhs = getConstantIntValue(op.getLhs());
  auto rhs = getConstantIntValue(op.getRhs());
  bool proven = op.getLhs() == op.getRhs() || // every relation is reflexive
                (lhs && rhs && holds(op.getRelation(), *lhs, *rhs));
  if (!proven)
    return rewriter.notifyMatchFailure(op, "its sizes do not prove it");
  rewriter.eraseOp(op);
  return success();
}

LogicalResult CheckIndicesOp::verify() {
  ArrayRef<int64_t> shape = getIndices().getType().getShape();
  int64_t limits = getLimits().size();
  bool tuples = !shape.empty() && shape.back() == limits;
  if (limits != 1 && !tuples) // (C1)
    return emitOpError("has ")
           << limits << " limits for indices " << spellShape(shape)
           << "; expected one, or one for each place of their last axis";
  return success();
}

LogicalResult
CheckIndicesOp::reifyResultShapes(OpBuilder &builder,
                                  ReifiedRankedShapedTypeDims &shapes) {
  return reifyLike(builder, *this, getIndices(), shapes);
}
