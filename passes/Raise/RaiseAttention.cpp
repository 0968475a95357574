// Scaled dot-product attention, as one operator or spelt out as two products
// around a softmax, becomes qopt.attention: q and the result [B, S, H, D], k
// and v [B, KV, T, D], heads that an exporter repeated taken back to KV.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
#include "dialects/Onnx/OnnxDialect.h"
#include "dialects/Onnx/OnnxOps.h"
#include "dialects/Onnx/SymbolicShapes.h"
#include "dialects/QOpt/QOptDialect.h"
#include "dialects/QOpt/QOptOps.h"
#include "mlir/Transforms/GreedyPatternRewriteDriver.h"
#include "passes/Raise/AttentionParts.h"
#include "passes/Raise/MergedHeads.h"
#include "passes/Raise/Passes.h"

namespace qopt::passes {
#define GEN_PASS_DEF_RAISEATTENTIONPASS
#include "passes/Raise/Passes.h.inc"
} // namespace qopt::passes

using namespace mlir;
using namespace qopt;
using namespace qopt::onnx;

namespace {

constexpr int64_t swapLast[] = {0, 1, 3, 2};

/// The scores of spelt-out attention with the product that they come from.
struct ProductScores : Scores {
  MatMulOp product;
};

/// x of tanh(x), whether it is raised already or not; null for other values.
Value tanhOperand(Value value) {
  if (auto tanh = value.getDefiningOp<TanhOp>())
    return tanh.getX();
  auto activation = value.getDefiningOp<ir::ActivationOp>();
  bool matches = activation && activation.getFunction() == ir::Function::Tanh;
  return matches ? activation.getX() : Value();
}

/// The product of queries and keys below factors; null for other values.
MatMulOp productBelow(Value value) {
  takeScale(value);
  return value.getDefiningOp<MatMulOp>();
}

/// `scores` of a product whose heads are merged, plus a bias or without.
std::optional<ProductScores> mergedProduct(Value value, ProductScores scores) {
  Value product = value;
  if (auto sum = value.getDefiningOp<AddOp>()) {
    if (scores.scale != 1 || scores.softcap != 0)
      return std::nullopt;
    bool first = bool(productBelow(sum.getA()));
    scores.bias = first ? sum.getB() : sum.getA();
    product = first ? sum.getA() : sum.getB();
    // A number for each head and key, or for each query, too.
    if (typeOf(scores.bias).getRank() != 3 || !isComputable(scores.bias))
      return std::nullopt;
  }
  scores.scale *= takeScale(product);
  scores.product = product.getDefiningOp<MatMulOp>();
  return scores.product ? std::optional(scores) : std::nullopt;
}

/// factor · product, or cap · tanh(factor · product): a soft cap of scores
/// whose scale is factor · cap. Nothing for other values.
std::optional<ProductScores> scaledProduct(Value value,
                                           const MergedHeads &heads) {
  ProductScores scores;
  scores.scale = takeScale(value);
  if (Value x = tanhOperand(value)) {
    scores.softcap = scores.scale;
    scores.scale *= takeScale(x);
    value = x;
    if (scores.softcap <= 0)
      return std::nullopt;
  }
  if (Value merged = heads.merged(value))
    return mergedProduct(merged, scores);
  scores.product = value.getDefiningOp<MatMulOp>();
  if (!scores.product || typeOf(value).getRank() != 4)
    return std::nullopt;
  return scores;
}

bool isMinusInfinity(Value value) {
  auto scalar = constantScalar(value);
  return scalar && *scalar <= -1e9;
}

/// A product, or one to which floats are added on either side; no more of them
/// than models have.
std::optional<ProductScores>
summedProduct(Value value, const MergedHeads &heads, unsigned most = 2) {
  value = withoutFloatCasts(value);
  if (auto scores = scaledProduct(value, heads))
    return scores;
  auto sum = value.getDefiningOp<AddOp>();
  if (!sum || most == 0)
    return std::nullopt;
  for (bool isFirst : {true, false}) {
    Value term = isFirst ? sum.getB() : sum.getA();
    if (!isComputable(term) || typeOf(term).getRank() > 4)
      continue;
    if (auto scores =
            summedProduct(isFirst ? sum.getA() : sum.getB(), heads, most - 1)) {
      scores->terms.push_back(term);
      return scores;
    }
  }
  return std::nullopt;
}

/// Scores with what is added to them and a mask that decides which stay.
std::optional<ProductScores> matchScores(Value value,
                                         const MergedHeads &heads) {
  value = withoutFloatCasts(value);
  auto chosen = [&](Value value, Value mask, bool isInverted) {
    std::optional<ProductScores> scores = summedProduct(value, heads);
    if (scores) {
      scores->mask = mask;
      scores->isInverted = isInverted;
    }
    return scores;
  };
  if (auto where = value.getDefiningOp<WhereOp>()) {
    if (isMinusInfinity(where.getY()))
      if (auto scores = chosen(where.getX(), where.getCondition(), false))
        return scores;
    if (isMinusInfinity(where.getX()))
      return chosen(where.getY(), where.getCondition(), true);
  }
  return summedProduct(value, heads);
}

/// The softmax below probabilities, through the guard that turns the NaN of a
/// fully masked row into 0, which qopt.attention does by itself.
SoftmaxOp softmaxOf(Value probabilities) {
  probabilities = withoutFloatCasts(probabilities);
  if (auto guard = probabilities.getDefiningOp<WhereOp>()) {
    auto isNaN = guard.getCondition().getDefiningOp<IsNaNOp>();
    if (!isNaN || isNaN.getX() != guard.getY() ||
        constantScalar(guard.getX()) != 0.0)
      return {};
    probabilities = withoutFloatCasts(guard.getY());
  }
  auto softmax = probabilities.getDefiningOp<SoftmaxOp>();
  if (!softmax)
    return {};
  int64_t rank = typeOf(softmax.getX()).getRank();
  int64_t axis = softmax.getAxis();
  return axis == -1 || axis == rank - 1 ? softmax : SoftmaxOp();
}

struct RaiseSpeltOutAttention : OpRewritePattern<MatMulOp> {
  RaiseSpeltOutAttention(MLIRContext *context, const SymbolicShapes &shapes)
      : OpRewritePattern(context), merged(shapes) {}

  LogicalResult matchAndRewrite(MatMulOp op,
                                PatternRewriter &rewriter) const override {
    Value probabilities = merged.parted(op.getA());
    SoftmaxOp softmax = probabilities ? softmaxOf(probabilities) : SoftmaxOp();
    if (!softmax)
      return rewriter.notifyMatchFailure(op, "no softmax on the left");
    if (!isComputable(op.getB()))
      return rewriter.notifyMatchFailure(op, "not f32, f16 or bf16");
    auto scores = matchScores(softmax.getX(), merged);
    if (!scores)
      return rewriter.notifyMatchFailure(op, "no product below the softmax");
    Heads heads{scores->product.getA(), scores->product.getB(), op.getB()};
    scores->scale *= takeScale(heads.q) * takeScale(heads.k);
    heads.q = merged.parted(heads.q);
    heads.v = merged.parted(heads.v);
    std::optional<Permuted> found = keysOf(heads.k);
    if (!heads.q || !heads.v || !found)
      return rewriter.notifyMatchFailure(op, "heads without four axes");
    Permuted keys = *found;
    if (keys.isThere())
      keys.source = withoutRepeatedHeads(keys.source);
    heads.v = withoutRepeatedHeads(heads.v);
    // Asked before anything is built: a pattern that builds and then gives up
    // would never come to rest.
    if (StringRef reason =
            refusal(typeOf(heads.q), keys.type(), typeOf(heads.v));
        !reason.empty())
      return rewriter.notifyMatchFailure(op, reason);
    bool isMerged = typeOf(op.getResult()).getRank() == 3;
    SmallVector<Value> results = merged.partedUses(op.getResult());
    if (isMerged && results.empty())
      return rewriter.notifyMatchFailure(op, "its heads are not parted");
    OnnxBuilder b(rewriter, op.getLoc());
    heads.k = keys.build(b);
    Value y = makeAttention(b, heads, *scores);
    if (!isMerged) {
      rewriter.replaceOp(op, y);
      return success();
    }
    for (Value result : results)
      rewriter.replaceOp(result.getDefiningOp(), y);
    if (op->use_empty()) // its sizes may be asked for
      rewriter.eraseOp(op);
    return success();
  }

  /// Keys [B, KV, T, D] of the second operand of a product.
  std::optional<Permuted> keysOf(Value k) const {
    if (auto transpose = k.getDefiningOp<TransposeOp>();
        transpose && transpose.getPerm() == ArrayRef<int64_t>{0, 2, 1}) {
      Value parted = merged.parted(transpose.getData());
      return parted ? std::optional(permuted(parted, {0, 1, 2, 3}))
                    : std::nullopt;
    }
    Value parted = merged.parted(k);
    return parted ? std::optional(permuted(parted, swapLast)) : std::nullopt;
  }

  MergedHeads merged;
};

/// A factor of the queries that stands before they are divided into heads.
struct TakeScaleOfQueries : OpRewritePattern<ir::AttentionOp> {
  using OpRewritePattern::OpRewritePattern;
  LogicalResult matchAndRewrite(ir::AttentionOp op,
                                PatternRewriter &rewriter) const override {
    auto heads = op.getQ().getDefiningOp<ReshapeOp>();
    if (!heads)
      return rewriter.notifyMatchFailure(op, "queries are not reshaped");
    Value x = heads.getData();
    double scale = takeScale(x);
    if (scale == 1 || x.getType() != heads.getData().getType())
      return rewriter.notifyMatchFailure(op, "queries have no factor");
    Operation *unscaled = rewriter.clone(*heads);
    unscaled->setOperand(0, x);
    scale *= op.getScale().convertToDouble();
    rewriter.modifyOpInPlace(op, [&] {
      op.getQMutable().assign(unscaled->getResult(0));
      op.setScaleAttr(rewriter.getF32FloatAttr(static_cast<float>(scale)));
    });
    return success();
  }
};

struct RaiseAttention
    : qopt::passes::impl::RaiseAttentionPassBase<RaiseAttention> {
  void runOnOperation() override {
    SymbolicShapes shapes(&getContext());
    if (qopt::Status status = shapes.run(getOperation()); !status.ok())
      getOperation().emitWarning() << status.message();
    RewritePatternSet patterns(&getContext());
    patterns.add<RaiseSpeltOutAttention>(&getContext(), shapes);
    patterns.add<TakeScaleOfQueries>(&getContext());
    addAttentionOperatorPattern(patterns, shapes);
    if (failed(applyPatternsGreedily(getOperation(), std::move(patterns))))
      return signalPassFailure();
    returnWhatIsThere(getOperation());
  }
};

} // namespace
