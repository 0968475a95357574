// Arithmetic with neutral elements, double negation, casts that change nothing,
// choices that are already made: patterns of SimplifyOnnx.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
#include "passes/Raise/SimplifyOnnx.h"

using namespace mlir;
using namespace qopt::onnx;
using namespace qopt::passes;

namespace {

/// x ∘ number = x; with `Commutes` also number ∘ x = x.
template <typename Op, int number, bool Commutes>
struct DropNeutral : OpRewritePattern<Op> {
  using OpRewritePattern<Op>::OpRewritePattern;
  LogicalResult matchAndRewrite(Op op,
                                PatternRewriter &rewriter) const override {
    Value left = op->getOperand(0), right = op->getOperand(1);
    Value kept;
    if (isConstantOf(right, number))
      kept = left;
    else if (Commutes && isConstantOf(left, number))
      kept = right;
    if (!kept)
      return rewriter.notifyMatchFailure(op, "no neutral operand");
    Value neutral = kept == left ? right : left;
    auto keptType = dyn_cast<RankedTensorType>(kept.getType());
    auto type = cast<RankedTensorType>(neutral.getType());
    if (!keptType)
      return rewriter.notifyMatchFailure(op, "the rank is unknown");
    bool mayWiden =
        type.getRank() > keptType.getRank() || type.getNumElements() != 1;
    if (mayWiden && !(keptType.hasStaticShape() && keptType == op.getType()))
      return rewriter.notifyMatchFailure(op, "the constant may broadcast");
    return replaceByEqual(op, kept, rewriter);
  }
};

struct DropDoubleNot : OpRewritePattern<NotOp> {
  using OpRewritePattern::OpRewritePattern;
  LogicalResult matchAndRewrite(NotOp op,
                                PatternRewriter &rewriter) const override {
    auto inner = op->getOperand(0).getDefiningOp<NotOp>();
    if (!inner)
      return rewriter.notifyMatchFailure(op, "not after another Not");
    return replaceByEqual(op, inner->getOperand(0), rewriter);
  }
};

/// Whether every value of `from` is a value of `to`.
bool isLossless(Type from, Type to) {
  if (from == to || from.isInteger(1))
    return true;
  auto fromFloat = dyn_cast<FloatType>(from), toFloat = dyn_cast<FloatType>(to);
  // Those of 8 and 4 bits lack infinities, zeros or signs of each other.
  if (toFloat && toFloat.getWidth() < 16)
    return false;
  if (fromFloat && toFloat)
    return fromFloat.getFPMantissaWidth() <= toFloat.getFPMantissaWidth() &&
           APFloat::semanticsMaxExponent(fromFloat.getFloatSemantics()) <=
               APFloat::semanticsMaxExponent(toFloat.getFloatSemantics());
  auto fromInt = dyn_cast<IntegerType>(from), toInt = dyn_cast<IntegerType>(to);
  if (fromInt && toFloat)
    return fromInt.getWidth() < toFloat.getFPMantissaWidth();
  if (!fromInt || !toInt)
    return false;
  unsigned room =
      toInt.getWidth() - (fromInt.isUnsigned() && !toInt.isUnsigned());
  return (fromInt.isUnsigned() || !toInt.isUnsigned()) &&
         fromInt.getWidth() <= room;
}

struct MergeCasts : OpRewritePattern<CastOp> {
  using OpRewritePattern::OpRewritePattern;
  LogicalResult matchAndRewrite(CastOp op,
                                PatternRewriter &rewriter) const override {
    Value source = op->getOperand(0);
    Type to = getElementTypeOrSelf(op.getType());
    if (getElementTypeOrSelf(source.getType()) == to)
      return replaceByEqual(op, source, rewriter);
    auto inner = source.getDefiningOp<CastOp>();
    if (!inner)
      return rewriter.notifyMatchFailure(op, "no cast before it");
    Value start = inner->getOperand(0);
    Type from = getElementTypeOrSelf(start.getType());
    if (!isLossless(from, getElementTypeOrSelf(source.getType())))
      return rewriter.notifyMatchFailure(op, "the cast before it rounds");
    rewriter.modifyOpInPlace(op, [&] { op->setOperand(0, start); });
    return success();
  }
};

struct DropWhere : OpRewritePattern<WhereOp> {
  using OpRewritePattern::OpRewritePattern;
  LogicalResult matchAndRewrite(WhereOp op,
                                PatternRewriter &rewriter) const override {
    Value condition = op->getOperand(0), yes = op->getOperand(1);
    Value no = op->getOperand(2);
    Value chosen = yes == no                    ? yes
                   : isConstantOf(condition, 1) ? yes
                   : isConstantOf(condition, 0) ? no
                                                : Value();
    if (!chosen)
      return rewriter.notifyMatchFailure(op, "the choice is not known");
    auto type = dyn_cast<RankedTensorType>(op.getType());
    if (!type || !type.hasStaticShape() || chosen.getType() != type)
      return rewriter.notifyMatchFailure(op, "it may broadcast");
    return replaceByEqual(op, chosen, rewriter);
  }
};

/// The branch that a constant condition takes, in place of the If.
struct InlineBranch : OpRewritePattern<IfOp> {
  using OpRewritePattern::OpRewritePattern;
  LogicalResult matchAndRewrite(IfOp op,
                                PatternRewriter &rewriter) const override {
    bool yes = isConstantOf(op.getCondition(), 1);
    if (!yes && !isConstantOf(op.getCondition(), 0))
      return rewriter.notifyMatchFailure(op, "the condition is not constant");
    Block &branch = (yes ? op.getThenBranch() : op.getElseBranch()).front();
    Operation *end = branch.getTerminator();
    SmallVector<Value> values(end->getOperands());
    for (auto [value, result] : llvm::zip(values, op->getResults()))
      if (value.getType() != result.getType() &&
          !llvm::all_of(result.getUsers(), [](Operation *user) {
            return isa<OnnxDialect>(user->getDialect()) && !isa<YieldOp>(user);
          }))
        return rewriter.notifyMatchFailure(op, "a user needs the wider type");
    rewriter.eraseOp(end);
    rewriter.inlineBlockBefore(&branch, op);
    rewriter.replaceOp(op, values);
    return success();
  }
};

/// Whether computing a branch that is not taken changes nothing: no value in it
/// has a size that only a call knows, so that none can be wrong, and nothing
/// reads a place, or divides, by numbers that only its own condition makes
/// good.
static bool canAlwaysRun(Block &branch) {
  for (Operation &op : branch.without_terminator()) {
    if (op.getNumRegions() || isa<GatherOp, GatherElementsOp, GatherNDOp,
                                  ScatterElementsOp, ScatterNDOp, OneHotOp>(op))
      return false;
    if (isa<DivOp, ModOp>(op) &&
        isa<IntegerType>(getElementTypeOrSelf(op.getResult(0))))
      return false;
    for (Value value : op.getResults())
      if (auto type = dyn_cast<RankedTensorType>(value.getType());
          !isAbsent(value) && !(type && type.hasStaticShape()))
        return false;
  }
  return true;
}

/// Where the condition is data: both branches, and a choice of their values,
/// which have one shape.
struct SelectBranch : OpRewritePattern<IfOp> {
  using OpRewritePattern::OpRewritePattern;
  LogicalResult matchAndRewrite(IfOp op,
                                PatternRewriter &rewriter) const override {
    auto condition = dyn_cast<RankedTensorType>(op.getCondition().getType());
    if (isConstantOf(op.getCondition(), 1) ||
        isConstantOf(op.getCondition(), 0) || !condition ||
        !condition.hasStaticShape() || condition.getNumElements() != 1)
      return rewriter.notifyMatchFailure(op, "the condition is no such data");
    Block &yes = op.getThenBranch().front(), &no = op.getElseBranch().front();
    SmallVector<Value> left(yes.getTerminator()->getOperands()),
        right(no.getTerminator()->getOperands());
    for (auto [a, b] : llvm::zip_equal(left, right)) {
      auto type = dyn_cast<RankedTensorType>(a.getType());
      if (!type || !type.hasStaticShape() || b.getType() != type ||
          type.getRank() < condition.getRank())
        return rewriter.notifyMatchFailure(op, "the shapes are not one");
    }
    if (!canAlwaysRun(yes) || !canAlwaysRun(no))
      return rewriter.notifyMatchFailure(op, "a branch has to be skipped");
    for (Block *branch : {&yes, &no}) {
      rewriter.eraseOp(branch->getTerminator());
      rewriter.inlineBlockBefore(branch, op);
    }
    SmallVector<Value> chosen;
    for (auto [a, b] : llvm::zip_equal(left, right))
      chosen.push_back(WhereOp::create(rewriter, op.getLoc(), a.getType(),
                                       op.getCondition(), a, b));
    rewriter.replaceOp(op, chosen);
    return success();
  }
};

} // namespace

void qopt::passes::populateSimplifyArithmetic(RewritePatternSet &patterns) {
  patterns.add<DropNeutral<AddOp, 0, true>, DropNeutral<SubOp, 0, false>,
               DropNeutral<MulOp, 1, true>, DropNeutral<DivOp, 1, false>,
               DropNeutral<PowOp, 1, false>, DropNeutral<AndOp, 1, true>,
               DropNeutral<OrOp, 0, true>, DropDoubleNot, MergeCasts, DropWhere,
               InlineBranch, SelectBranch>(patterns.getContext());
}
